# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON Schema of a cloud description, for editors, made from the same declarations as the parser.

Decides how a declaration reads as a schema. What several values must agree on (addresses that are unique, hosts that
exist, times that are long enough) is the parser's alone: `backstay validate` says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from backstay.cloud.keys import CLOUD
from backstay.cloud.kinds import Kind, anchored
from backstay.cloud.secrets import SECRETS
from backstay.cloud.sections import Key, Named, Section, Variants

DRAFT = "http://json-schema.org/draft-07/schema#"
FILE = "cloud.schema.json"


def schema() -> dict[str, object]:
    """The schema of a whole description, as plain data."""
    return {"$schema": DRAFT, "title": "Backstay cloud description", **_of(CLOUD)}


@singledispatch
def _of(declared: object) -> dict[str, object]:
    raise TypeError(type(declared))


@_of.register
def _(kind: Kind) -> dict[str, object]:
    return dict(kind.schema)


@_of.register
def _(section: Section) -> dict[str, object]:
    found: dict[str, object] = {
        "type": "object",
        "description": section.doc,
        "properties": {key.name: _property(key) for key in section.keys},
        "additionalProperties": False,
    }
    required = [key.name for key in section.keys if key.required]
    if required:
        found["required"] = required
    if section.at_least_one:
        found["anyOf"] = [{"required": [name]} for name in section.at_least_one]
    if section.exactly_one:
        found["oneOf"] = [{"required": [name]} for name in section.exactly_one]
    return found


@_of.register
def _(named: Named) -> dict[str, object]:
    names: dict[str, object] = {"pattern": anchored(named.pattern)}
    if named.secrets:
        names["not"] = {"pattern": _SECRET_NAME}
    return {
        "type": "object",
        "propertyNames": names,
        "additionalProperties": _of(named.value),
        "minProperties": named.least,
        "maxProperties": named.most,
    }


@_of.register
def _(variants: Variants) -> dict[str, object]:
    key = variants.key
    ways: list[dict[str, object]] = []
    for value, section in variants.sections:
        said: dict[str, object] = {"properties": {key: {"const": value}}, "required": [key]}
        if value == variants.default:
            said = {"properties": {key: {"const": value}}}
        ways.append({"if": said, "then": _of(section)})
    found: dict[str, object] = {
        "type": "object",
        "description": variants.doc,
        "properties": {key: {"enum": [value for value, _ in variants.sections]}},
        "allOf": ways,
    }
    if not variants.default:
        found["required"] = [key]
    return found


def _property(key: Key) -> dict[str, object]:
    said: Mapping[str, object] = _of(key.kind)
    default = f" Default: {key.default}." if key.default else ""
    return {**said, "description": f"{key.doc}{default}"}


def _any_case(pattern: str) -> str:
    return "".join(f"[{each.upper()}{each}]" if each.isalpha() else each for each in pattern)


# A name that ends so is where a secret comes from, and none.
_SECRET_NAME = f"(?!.*_(?:script|file)$)(?:^.*(?:{_any_case(SECRETS)}).*$)"
