# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections whose keys are names: of hosts, of domains, of groups.

Decides how a wrong name is reported, and that a section is not empty and not endless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from backstay.cloud.kinds import Kind
from backstay.cloud.names import HOST_NAME, HOST_NAME_EXPECTED
from backstay.cloud.problems import Position, quote
from backstay.cloud.reader import Fields, fields_of
from backstay.cloud.secrets import is_a_name
from backstay.cloud.sections import Named, Section


def declared(section: Section, key: str) -> Named:
    """The declaration of the names under `key`."""
    kind = next(each.kind for each in section.keys if each.name == key)
    assert isinstance(kind, Named), key
    return kind


def named(top: Fields, section: Section, key: str) -> Iterator[tuple[str, Position, Fields]]:
    """Each name under `key`, its place and its fields."""
    kind = declared(section, key)
    fields = top.fields(key, f"`{key}`")
    if fields is None or not _counted(fields, kind):
        return
    for name, (word, node) in fields.mapping.items.items():
        if kind.pattern == HOST_NAME.pattern and HOST_NAME.fullmatch(name) is None:
            fields.report.add(word.at, f"the {kind.noun} {quote(name)}", HOST_NAME_EXPECTED)
        inner = fields_of(node, f"the {kind.noun} {quote(name)}", fields.report)
        if inner is not None:
            yield name, word.at, inner


def _counted(fields: Fields, kind: Named) -> bool:
    count = len(fields.mapping.items)
    if count < kind.least:
        fields.report.add(fields.at, f"no {kind.noun}s", f"at least one {kind.noun}")
    if count > kind.most:
        fields.report.add(fields.at, f"{count} {kind.noun}s", f"at most {kind.most}")
    return count <= kind.most


def pairs(fields: Fields, section: Section, key: str) -> tuple[tuple[str, str], ...]:
    """The names under `key` with a plain value each, in the order of the file."""
    kind = declared(section, key)
    inner = fields.fields(key, f"`{key}` of {fields.owner}")
    if inner is None or not _counted(inner, kind):
        return ()
    assert isinstance(kind.value, Kind)
    good = []
    for name, (word, _) in inner.mapping.items.items():
        if kind.secrets and is_a_name(name):
            fields.report.add(word.at, f"the {kind.noun} {quote(name)} of {fields.owner}", section.instead)
        elif re.fullmatch(kind.pattern, name) is None:
            expected = "a name of letters, digits, `_` and `-`"
            fields.report.add(word.at, f"the {kind.noun} {quote(name)} of {fields.owner}", expected)
        else:
            value = inner.value(name, replace(kind.value, instead=section.instead))
            good.append((name, str(value or "")))
    return tuple(good)
