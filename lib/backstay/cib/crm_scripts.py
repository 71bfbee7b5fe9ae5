# SPDX-License-Identifier: GPL-2.0-or-later
"""The templates as crmsh cluster scripts: `crm script run backstay-domain name=web1 ...`, and wizards in Hawk.

Decides how a header becomes a script's parameters. What a script configures is the template itself, filled in with
symbols; values on which the template decides something (yes or no, one of several words) make an action each.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import yaml

from backstay.cib import crm_calls
from backstay.cib.crm_words import words
from backstay.cib.document import parse
from backstay.cib.header import Header, Value
from backstay.cib.symbols import Symbol, compared, environment, slots
from backstay.cib.templates import SUFFIX, Templates
from backstay.cloud.units import cib_duration, mebibytes, parse_duration, parse_size
from backstay.errors import BadInput

PREFIX = "backstay-"
CATEGORY = "Backstay"
VERSION = 2.2
# REUSE-IgnoreStart (the licence of what is made)
LICENCE = (
    "# SPDX-License-Identifier: GPL-2.0-or-later\n# Made from crm-templates/{name}.xml: change that one.\n"
)
# REUSE-IgnoreEnd
# Names that mean something to `crm script` itself.
RESERVED = frozenset({"nodes", "dry_run", "action", "statefile", "user", "sudo", "port", "timeout"})
_TYPES = {"boolean": "boolean", "choice": "enum", "integer": "integer", "name": "resource"}


def _offered(header: Header) -> tuple[Value, ...]:
    return tuple(value for value in header.takes if value.scripts != "no")


def _parameter(value: Value, name: str, types: dict[str, str], *, required: bool) -> dict[str, object]:
    # Wizards show the short one beside the field.
    made: dict[str, object] = {"name": name, "shortdesc": value.about.rstrip(".") + _written(value)}
    made["type"] = types.get(value.kind, "string")
    if value.kind == "choice":
        made["values"] = list(value.of)
    made["required"] = required
    if value.default and not value.many:
        made["value"] = (
            _pacemakers(value, value.default) if value.kind != "boolean" else value.default == "yes"
        )
    elif value.example and not value.many:
        made["example"] = _pacemakers(value, value.example)
    return made


def _written(value: Value) -> str:
    if value.kind == "size":
        return " (in MiB, as a number)"
    return " (a number and its unit, without a blank)" if value.kind == "time" else ""


def _pacemakers(value: Value, text: str) -> str:
    """`text` as it is written where nothing converts it."""
    if value.kind == "size":
        return str(mebibytes(parse_size(text)))
    return cib_duration(parse_duration(text)) if value.kind == "time" else text


def _parameters(header: Header) -> Iterator[dict[str, object]]:
    types = crm_calls.CHECKED if header.scripts == "call" else _TYPES
    for value in _offered(header):
        if value.many:
            for number, slot in enumerate(slots(value), 1):
                must = value.required and number <= max(1, value.least)
                yield _parameter(value, slot.name, types, required=must)
        else:
            yield _parameter(value, value.name, types, required=value.required)


def _switches(header: Header, places: frozenset[str]) -> tuple[Value, ...]:
    """The values on which the template decides something: each of their words is an action of its own."""
    return tuple(
        value
        for value in _offered(header)
        if value.kind in ("boolean", "choice") and not value.many and value.default and value.at in places
    )


def _given(header: Header, chosen: dict[str, str]) -> dict[str, object]:
    """What the template is filled in with: symbols, but for what is `chosen` and for what no script offers."""
    found: dict[str, object] = {}
    for value in header.takes:
        if value.name in chosen:
            found[value.name] = value.read(chosen[value.name])
        elif value.scripts == "no":
            found[value.name] = value.read(value.default or "")
        else:
            found[value.name] = slots(value) if value.many else Symbol(value.name)
    return found


def _words_of(value: Value) -> tuple[str, ...]:
    return value.of if value.kind == "choice" else ("yes", "no")


def _shown(value: Value, word: str) -> str:
    """A word as crmsh hands it on: true and false are its own for yes and no."""
    return {"yes": "true", "no": "false"}[word] if value.kind == "boolean" else word


def _condition(value: Value, word: str) -> str:
    return f'"{Symbol(value.name)}" == "{_shown(value, word)}"'


def _commands(templates: Templates, header: Header, chosen: dict[str, str]) -> str:
    """The template with the values that are `chosen`, and symbols for all others, in the words of the crm shell."""
    symbolic = Templates(templates.places, environment(header, frozenset(chosen)))
    text, path = symbolic.render(header.template + SUFFIX, **header.context(_given(header, chosen)))
    return words(parse(text.encode(), path, keep_comments=False, compact=True))


def _combinations(values: tuple[Value, ...]) -> Iterator[dict[str, str]]:
    for chosen in product(*(_words_of(value) for value in values)):
        yield dict(zip((value.name for value in values), chosen, strict=True))


def _decides(templates: Templates, header: Header, value: Value, others: tuple[Value, ...]) -> bool:
    """Whether the word that `value` has changes more than the place where it stands itself (a comment, say)."""
    for known in _combinations(others):
        later = _commands(templates, header, known)
        for word in _words_of(value):
            shown = _shown(value, word)
            if later.replace(Symbol(value.name), shown) != _commands(
                templates, header, {**known, value.name: word}
            ):
                return True
    return False


def _actions(templates: Templates, header: Header) -> Iterator[dict[str, object]]:
    asked = _switches(header, compared(templates.tree(header.template)))
    for value in asked:
        rest = tuple(other for other in asked if other is not value)
        if not _decides(templates, header, value, rest):
            asked = rest
    for known in _combinations(asked):
        commands = _commands(templates, header, known)
        _check(header, commands)
        when = " and ".join(_condition(value, known[value.name]) for value in asked)
        yield {"cib": commands, **({"when": when} if when else {})}


def _calls(header: Header) -> Iterator[dict[str, object]]:
    yield {
        "call": crm_calls.program(header),
        "nodes": "local",
        "shortdesc": f"Load what `backstay render --template {header.template}` makes",
    }


def _check(header: Header, commands: str) -> None:
    """BadInput when a value that may be missing is used where nothing asks whether it is there."""
    for value in _offered(header):
        if value.required or value.many or value.default:
            continue
        before, *rest = commands.split("{{#" + value.name + "}}")
        outside = before + "".join(part.partition("{{/" + value.name + "}}")[2] for part in rest)
        if "{{" + value.name + "}}" in outside:
            hint = f"say `scripts: no` for {value.name} in the header, or ask for it with a plain if"
            raise BadInput(f"{header.path}: {value.name} is used where it may be missing", hint=hint)


class _Dumper(yaml.SafeDumper):
    """Writes what has several lines as a block, so that a script can be read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def script(templates: Templates, name: str) -> str:
    """The main.yml of the cluster script for the template `name`; BadInput when there can be none."""
    header = templates.header(name)
    kept = next((value.name for value in header.takes if value.required and value.scripts == "no"), None)
    if kept is not None:
        hint = "say `scripts: no` at the top of its header"
        raise BadInput(f"{header.path}: a script cannot do without {kept}", hint=hint)
    clash = next((value.name for value in _offered(header) if value.name in RESERVED), None)
    if clash is not None:
        raise BadInput(f"{header.path}: {clash} is a word of crm script itself", hint="rename the value")
    made = {
        "version": VERSION,
        "category": CATEGORY,
        "shortdesc": header.summary.rstrip("."),
        "longdesc": header.explains or header.summary,
        "parameters": list(_parameters(header)),
        "actions": list(_calls(header) if header.scripts == "call" else _actions(templates, header)),
    }
    return LICENCE.format(name=name) + yaml.dump(
        made, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True
    )


def scripts(templates: Templates) -> dict[str, str]:
    """Every template that can be a cluster script: path below crmsh's directory of scripts, and content."""
    heads = (templates.header(name) for name in templates.names())
    return {
        f"{PREFIX}{head.template}/main.yml": script(templates, head.template)
        for head in heads
        if head.scripts != "no"
    }
