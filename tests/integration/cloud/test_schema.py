# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON Schema beside the parser, by an independent validator: both take and refuse the same descriptions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings

from backstay.cloud.parse import parse
from backstay.cloud.problems import InvalidDescription
from backstay.cloud.schema import schema
from tests.unit.cloud.random_clouds import clouds, text
from tests.unit.cloud.test_every_key import EVERY, PLACES, WRONG, example

CORPUS = Path(__file__).parents[2] / "unit" / "cloud" / "corpus"
SCALARS = (
    (re.compile(r"(?:true|True|TRUE)"), lambda _: True),
    (re.compile(r"(?:false|False|FALSE)"), lambda _: False),
    (re.compile(r"(?:null|Null|NULL|~|)"), lambda _: None),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"), float),
)


class Editor(yaml.SafeLoader):
    """YAML as an editor reads it: the core schema of YAML 1.2, keys as texts."""


def _scalar(loader, node):
    if node.style:
        return node.value
    for pattern, convert in SCALARS:
        if pattern.fullmatch(node.value):
            return convert(node.value)
    return node.value


def _mapping(loader, node):
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


Editor.yaml_implicit_resolvers = {}
Editor.add_constructor("tag:yaml.org,2002:str", _scalar)
Editor.add_constructor("tag:yaml.org,2002:map", _mapping)


@pytest.fixture(scope="module")
def complaints():
    """`complaints(data)` is what the schema finds wrong, as places."""
    jsonschema.Draft7Validator.check_schema(schema())
    validator = jsonschema.Draft7Validator(schema(), format_checker=jsonschema.FormatChecker())
    return lambda data: [
        "/".join(map(str, error.absolute_path)) + f": {error.message:.80}"
        for error in validator.iter_errors(data)
    ]


def accepted(data):
    """Whether the parser takes `data`."""
    try:
        parse(data, "c.yaml")
    except InvalidDescription:
        return False
    return True


@pytest.mark.parametrize("name", ["three-hosts.yaml", "two-sites.yaml", "ganeti.yaml", "one-role.yaml"])
def test_the_examples_are_taken(repository, complaints, name):
    data = (repository / "examples" / name).read_bytes()
    assert accepted(data)
    assert complaints(yaml.load(data, Editor)) == []


def _readable(file):
    try:
        yaml.load(file.read_bytes(), Editor)
    except (yaml.YAMLError, ValueError, TypeError):
        return False
    return True


@pytest.mark.parametrize("file", sorted(filter(_readable, CORPUS.glob("*.yaml"))), ids=lambda file: file.stem)
def test_the_corpus_is_refused_where_a_schema_can_know(complaints, file):
    first = file.read_text(encoding="utf-8").splitlines()[1]
    found = complaints(yaml.load(file.read_bytes(), Editor))
    assert first == f"# schema: {'refuses' if found else 'accepts'}", found


@settings(max_examples=150)
@given(clouds())
def test_what_the_parser_takes_the_schema_takes(complaints, description):
    data = text(description)
    assert accepted(data)
    assert complaints(json.loads(data)) == []


@pytest.mark.parametrize("names", EVERY, ids=".".join)
def test_what_is_wrong_in_one_key_is_wrong_for_both(complaints, names):
    for wrong in (WRONG, None, "\x7f", {"x": []}):
        data = example(names)
        *outer, last = PLACES[names]
        inner = data
        for name in outer:
            inner = inner[name]
        inner[last] = wrong
        assert complaints(data), (names, wrong)
        assert not accepted(json.dumps(data).replace("null", "~").encode()), (names, wrong)


def test_both_know_the_same_words_for_yes(complaints):
    for word in ("yes", "No", "TRUE", "off", "oN", "maybe", "1"):
        cloud = {
            "cluster": {"name": "c"}, "corosync": {"encryption": word},
            "hosts": {"n": {"address": "10.0.0.1", "bmc": {"address": "10.0.0.2", "username": "f", "password_file": "/p"}}},
            "domains": {"d": {"config": "/d", "memory": "1 GiB", "vcpus": 1}},
        }  # fmt: skip
        assert accepted(json.dumps(cloud).encode()) == (complaints(cloud) == []), word
