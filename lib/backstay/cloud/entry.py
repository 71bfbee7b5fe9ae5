# SPDX-License-Identifier: GPL-2.0-or-later
"""A host's entry in the text of a cloud description: put in, taken out, every other byte left as it is.

Decides where an entry goes, and that Corosync's numbers stay what they are: hosts without `nodeid` are numbered by
their place, so before one goes each gets the number that it has. Pure: comments, order and quoting are the admin's.
"""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from backstay.cloud.problems import quote
from backstay.errors import BadInput

HOSTS, NODEID = "hosts", "nodeid"


def mentions(text: str, name: str) -> bool:
    """Whether the section `hosts` of `text` has the host."""
    hosts = _hosts(text)
    return hosts is not None and any(key.value == name for key, _ in hosts.value)


def has_hosts(text: str) -> bool:
    """Whether `text` has the section `hosts`."""
    return _hosts(text) is not None


def with_host(text: str, name: str, entry: str) -> str:
    """`text` with `entry` (the lines of a mapping) as the last host, called `name`.

    Raises BadInput where that cannot be written without touching what is there.
    """
    hosts = _hosts(text)
    if hosts is None or hosts.flow_style or not hosts.value:
        hint = f"write the entry of {name} by hand"
        raise BadInput(
            "the section `hosts` is not written as indented lines, one host below the other", hint=hint
        )
    numbers = _numbers(hosts)
    number = str(max(map(int, numbers)) + 1) if numbers and all(numbers) else ""
    end = _end_of_line(text, _last(hosts.value[-1][1]))
    before = text[:end] if text[:end].endswith("\n") else text[:end] + "\n"
    return before + _lines(hosts.value[-1][0], name, entry, number) + text[end:]


def with_other(text: str, name: str, entry: str) -> str:
    """`text` in which the host `name` has this `entry` in the place of its own; its number in Corosync stays.

    Raises BadInput where the host is not written in lines of its own.
    """
    key, value = next(pair for pair in _in_lines(text, name).value if pair[0].value == name)
    number = _of(value, NODEID)
    kept = str(number.value) if number is not None else ""
    begin, end = key.start_mark.index - key.start_mark.column, _end_of_line(text, _last(value))
    return text[:begin] + _lines(key, name, entry, kept) + text[end:]


def _lines(beside: yaml.Node, name: str, entry: str, number: str) -> str:
    """The lines of a host, as far from the margin as the key `beside`; `number` is for an entry that has none."""
    indent = " " * beside.start_mark.column
    lines = [f"{indent}{name}:", *(f"{indent}  {line}".rstrip() for line in entry.strip("\n").split("\n"))]
    if number and not _has(entry, NODEID):
        lines.insert(1, f"{indent}  {NODEID}: {number}")
    return "\n".join(lines) + "\n"


def _in_lines(text: str, name: str) -> yaml.MappingNode:
    hosts = _hosts(text)
    assert hosts is not None  # the caller saw the host in it
    if hosts.flow_style:
        raise BadInput("the section `hosts` is written in braces", hint=f"change {name} by hand")
    return hosts


def without_host(text: str, name: str, numbers: Mapping[str, int]) -> str:
    """`text` without the host `name`; the hosts in `numbers` that have no `nodeid` get theirs.

    Raises BadInput where the host is not written in lines of its own.
    """
    if not mentions(text, name):
        return text
    hosts = _in_lines(text, name)
    pair = next(pair for pair in hosts.value if pair[0].value == name)
    begin = pair[0].start_mark.index - pair[0].start_mark.column
    changes = [(begin, _end_of_line(text, _last(pair[1])), "")]
    for key, value in hosts.value:
        if key.value != name and key.value in numbers and not _of(value, NODEID):
            changes.append(_numbered(value, numbers[key.value]))
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def block(given: Mapping[str, str]) -> str:
    """The lines of an entry out of `key=value` words; a dot in a key goes one level deeper (`bmc.address`)."""
    tree: dict[str, object] = {}
    for path, value in given.items():
        place = tree
        *above, last = path.split(".")
        for word in above:
            inner = place.setdefault(word, {})
            if not isinstance(inner, dict):
                raise BadInput(f"{quote(path)} is set below a plain value", hint="set one or the other")
            place = inner
        place[last] = _value(path, value)
    return str(yaml.safe_dump(tree, sort_keys=False, default_flow_style=False, allow_unicode=True))


def _value(path: str, text: str) -> object:
    try:
        return yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise BadInput(f"the value of {quote(path)} is no YAML", hint="put it in quotation marks") from error


def entry_of(text: str, name: str) -> str:
    """The entry in the text of a file: the mapping itself, or one that has it under the host's name."""
    root = _compose(text)
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise BadInput(
            "the entry is no mapping of keys and values", hint="write `address: ...` and `bmc: ...`"
        )
    if [key.value for key, _ in root.value] != [name]:
        return text
    inner = root.value[0][1]
    if not isinstance(inner, yaml.MappingNode) or inner.flow_style:
        raise BadInput(
            f"the entry of {name} is not written as indented lines", hint="one key below the other"
        )
    lines = text[inner.start_mark.index - inner.start_mark.column :].split("\n")
    return "\n".join(line[inner.start_mark.column :] for line in lines)


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise BadInput(
            f"it is no YAML{where}: {problem or 'it cannot be read'}", hint="mend it there"
        ) from error


def _hosts(text: str) -> yaml.MappingNode | None:
    root = _compose(text)
    found = _of(root, HOSTS)
    return found if isinstance(found, yaml.MappingNode) else None


def _of(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == name), None)


def _has(entry: str, name: str) -> bool:
    return _of(_compose(entry), name) is not None


def _numbers(hosts: yaml.MappingNode) -> list[str]:
    """The `nodeid` of each host; empty for one without, and digits only."""
    found = [_of(value, NODEID) for _, value in hosts.value]
    return [node.value if node is not None and str(node.value).isdecimal() else "" for node in found]


def _numbered(value: yaml.Node, number: int) -> tuple[int, int, str]:
    at = value.start_mark.index
    if isinstance(value, yaml.MappingNode) and value.flow_style:
        return at + 1, at + 1, f"{NODEID}: {number}, "
    return at, at, f"{NODEID}: {number}\n{' ' * value.start_mark.column}"


def _last(node: yaml.Node) -> int:
    """Where the last word of a node ends; the end of a block mapping is behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _last(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _end_of_line(text: str, at: int) -> int:
    if at and text[at - 1] == "\n":  # a block scalar ends behind its last line
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1
