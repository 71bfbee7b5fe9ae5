# SPDX-License-Identifier: GPL-2.0-or-later
"""A fragment of a configuration in the words of the crm shell.

Decides the words only: which resources there are, and what they take, has been decided by the template. Ids of
attribute sets are kept, because they carry Backstay's mark; those of single attributes and operations are crmsh's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lxml import etree

from backstay.cib.document import elements
from backstay.cib.symbols import WHEN
from backstay.cloud.problems import quote
from backstay.errors import BadInput

_SETS = {"instance_attributes": "params", "meta_attributes": "meta", "utilization": "utilization"}
_MEMBERS = ("primitive", "group", "clone")


def _if(element: etree._Element, inner: str) -> str:
    """`inner`, only when the value is given that `element` names (or only when it is not)."""
    name, sign = (element.get("value"), "#") if element.get("value") else (element.get("not"), "^")
    if not inner:
        return ""
    bare = str(name).removeprefix("{{").removesuffix("}}")
    return "{{" + sign + bare + "}}" + inner + "{{/" + bare + "}}"


def _each(parent: etree._Element, say: Callable[[etree._Element], str], between: str = " ") -> str:
    """What `say` makes of the children of `parent`, each after `between`; conditions are kept."""
    return "".join(
        _if(child, _each(child, say, between)) if child.tag == WHEN else between + said
        for child in elements(parent)
        if child.tag == WHEN or (said := say(child))
    )


def _quoted(text: str) -> str:
    # crmsh 4.4.1 takes backslashes away and writes an e with an accent as `&#233;`, without a word.
    if re.fullmatch(r"[ -~]*", text) is None or set(text) & {'"', "\\"}:
        hint = "load its XML with cibadmin, or do without quotation marks, backslashes and what is not ASCII"
        raise BadInput(f"the crm shell has no way to write {quote(text)}", hint=hint)
    return f'"{text}"'


def _pair(pair: etree._Element) -> str:
    return f"{pair.get('name')}={_quoted(pair.get('value', ''))}"


def _set(holder: etree._Element, word: str) -> str:
    return f"{word} $id={_quoted(holder.get('id', ''))}{_each(holder, _pair)}"


def _op(op: etree._Element) -> str:
    words = [f"op {op.get('name')}"]
    words += [f"{key}={op.get(key)}" for key in map(str, op.attrib) if key not in ("id", "name")]
    params = op.find("instance_attributes")
    return " ".join(words) + (f" op_params{_each(params, _pair)}" if params is not None else "")


def _parts(resource: etree._Element) -> str:
    """The attribute sets and operations of a resource, each on a line that continues it."""

    def say(child: etree._Element) -> str:
        if child.tag in _SETS:
            return _set(child, _SETS[str(child.tag)])
        return _each(child, _op, "\n  ").removeprefix("\n  ") if child.tag == "operations" else ""

    return _each(resource, say, "\n  ")


def _primitive(one: etree._Element) -> Iterator[str]:
    agent = ":".join(word for key in ("class", "provider", "type") if (word := one.get(key)))
    yield f"primitive {one.get('id')} {agent}{_parts(one)}"


def _member(child: etree._Element) -> str:
    return child.get("id", "") if child.tag in _MEMBERS else ""


def _members(holder: etree._Element) -> Iterator[str]:
    """The resources in `holder`, which have to be known before it is."""
    for child in elements(holder):
        if child.tag == WHEN:
            inner = "\n".join(_members(child))
            if inner:
                yield _if(child, f"\n{inner}\n")
        elif child.tag in _MEMBERS:
            yield from _resource(child)


def _resource(one: etree._Element) -> Iterator[str]:
    if one.tag == "primitive":
        yield from _primitive(one)
        return
    yield from _members(one)
    yield f"{one.tag} {one.get('id')}{_each(one, _member)}{_parts(one)}"


def _step(order: etree._Element, which: str) -> str:
    action = order.get(f"{which}-action")
    return f"{order.get(which)}:{action}" if action else order.get(which, "")


def _order(one: etree._Element) -> str:
    way = f" symmetrical={one.get('symmetrical')}" if one.get("symmetrical") else ""
    return f"order {one.get('id')} {one.get('kind', 'Mandatory')}: {_step(one, 'first')} {_step(one, 'then')}{way}"


def _colocation(one: etree._Element) -> str:
    role = one.get("with-rsc-role")
    there = one.get("with-rsc", "") + (f":{role}" if role else "")
    by = f" node-attribute={one.get('node-attribute')}" if one.get("node-attribute") else ""
    return f"colocation {one.get('id')} {one.get('score')}: {one.get('rsc')} {there}{by}"


def _expression(one: etree._Element) -> str:
    if one.get("operation") == "defined":
        return f"defined {one.get('attribute')}"
    return f"{one.get('attribute')} {one.get('operation')} {one.get('value')}"


def _location(one: etree._Element) -> str:
    rule = one.find("rule")
    begin = f"location {one.get('id')} {one.get('rsc')}"
    if rule is None:
        return f"{begin} {one.get('score')}: {one.get('node')}"
    told = _each(rule, _expression, " and ").removeprefix(" and ")
    return f"{begin} rule $id={_quoted(rule.get('id', ''))} {rule.get('score')}: {told}"


def _alert(one: etree._Element) -> str:
    def say(child: etree._Element) -> str:
        if child.tag == "select":
            return "select" + _each(child, lambda kind: str(kind.tag).removeprefix("select_"))
        if child.tag == "recipient":
            return f"to {{ {_quoted(child.get('value', ''))} }}"
        word = {"instance_attributes": "attributes", "meta_attributes": "meta"}[str(child.tag)]
        return _set(child, word)

    parts = _each(one, say, "\n  ")
    return f"alert {one.get('id')} {_quoted(one.get('path', ''))}{parts}"


_CONSTRAINTS = {
    "rsc_order": _order,
    "rsc_colocation": _colocation,
    "rsc_location": _location,
    "alert": _alert,
}


def _top(child: etree._Element) -> Iterator[str]:
    if child.tag == WHEN:
        inner = "\n".join(line for one in elements(child) for line in _top(one))
        if inner:
            yield _if(child, f"\n{inner}\n")
    elif child.tag in _MEMBERS:
        yield from _resource(child)
    elif child.tag == "cluster_property_set":
        yield f"property $id={_quoted(child.get('id', ''))}{_each(child, _pair)}"
    elif child.tag in _CONSTRAINTS:
        yield _CONSTRAINTS[str(child.tag)](child)
    else:
        raise BadInput(
            f"the crm shell's words for <{child.tag}> are not known here", hint="load its XML with cibadmin"
        )


def words(configuration: etree._Element) -> str:
    """The crm shell's commands that make what stands in `configuration`, one for each line that is not indented.

    Raises BadInput for what has no such words.
    """
    parts = list(elements(configuration))
    lines: list[str] = []
    for part in parts:
        if part.tag == WHEN:
            inner = "\n".join(
                line for inside in elements(part) for one in elements(inside) for line in _top(one)
            )
            lines.append(_if(part, f"\n{inner}\n"))
        else:
            lines += [line for child in elements(part) for line in _top(child)]
    return "\n".join(lines) + "\n"
