# SPDX-License-Identifier: GPL-2.0-or-later
"""Every declared key: in the large example, in the reference, in the schema, and reported at its place when it is wrong."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import yaml

from backstay.cli.schema import text as schema_text
from backstay.cloud import keys, model
from backstay.cloud.bmcs import BMC
from backstay.cloud.kinds import Kind
from backstay.cloud.parse import parse, read
from backstay.cloud.problems import InvalidDescription
from backstay.cloud.reference import MARK, reference
from backstay.cloud.schema import FILE
from backstay.cloud.sections import Named, Section, Variants

NAME = "NAME"
# Nothing takes it: no key is a list of mappings.
WRONG = [{"wrong": ["wrong"]}]


def declared(kind, place=()):
    """Every key, as the names that lead to it; NAME stands for the names that an admin gives."""
    if isinstance(kind, Section):
        for key in kind.keys:
            yield (*place, key.name)
            yield from declared(key.kind, (*place, key.name))
    elif isinstance(kind, Named):
        yield from declared(kind.value, (*place, NAME))
    elif isinstance(kind, Variants):
        for value, section in kind.sections:
            yield from declared(section, (*place, value))


def written(kind, data, place=()):
    """Every key in `data`: as the names that lead to it in the declarations, and those in the data."""
    if isinstance(kind, Section) and isinstance(data, dict):
        for key in kind.keys:
            if key.name in data:
                yield (*place, key.name), (key.name,)
                for names, way in written(key.kind, data[key.name], (*place, key.name)):
                    yield names, (key.name, *way)
    elif isinstance(kind, Named):
        for name in data:
            for names, way in written(kind.value, data[name], (*place, NAME)):
                yield names, (name, *way)
    elif isinstance(kind, Variants):
        value = data.get(kind.key, kind.default)
        yield from written(dict(kind.sections)[value], data, (*place, value))


ELSEWHERE = {("frontend", "ganeti"): "ganeti.yaml", ("frontend", "generic"): "one-role.yaml"}


def example(names):
    """The example that has the key, as data; scalars are texts."""
    return deepcopy(loaded(ELSEWHERE.get(names[:2], "two-sites.yaml")))


@cache
def loaded(file):
    """An example as it is; read once, since every key asks for it."""
    return yaml.load((Path(__file__).parents[3] / "examples" / file).read_bytes(), Loader=yaml.BaseLoader)


EVERY = dict.fromkeys(declared(keys.CLOUD))
PLACES = {
    **dict(reversed(list(written(keys.CLOUD, example(("frontend", "generic")))))),
    **dict(reversed(list(written(keys.CLOUD, example(("frontend", "ganeti")))))),
    **dict(reversed(list(written(keys.CLOUD, example(()))))),
}


def test_the_examples_have_every_key():
    assert [names for names in EVERY if names not in PLACES] == []


def wrong(names):
    """The example with a wrong value for one key, its lines, and what is said about that."""
    data = example(names)
    *outer, last = PLACES[names]
    inner = data
    for name in outer:
        inner = inner[name]
    inner[last] = WRONG
    text = json.dumps(data, indent=1)
    with pytest.raises(InvalidDescription) as caught:
        parse(text.encode(), "c.yaml")
    return text.splitlines(), caught.value.problems


def test_a_wrong_value_of_each_key_is_reported_at_its_place_and_in_these_words(golden):
    said = []
    for names in EVERY:
        lines, problems = wrong(names)
        last = PLACES[names][-1]
        place = next(number for number, line in enumerate(lines) if '"wrong": [' in line) - 1
        assert f'"{last}": [' in lines[place - 1]
        told = [problem for problem in problems if place <= problem.position.line <= place + 1]
        assert any(f"`{last}`" in str(one) or "a list for" in str(one) for one in told), (names, problems)
        said += [f"{'.'.join(names)}: found {one.found}, expected {one.expected}" for one in told]
    golden("every-key.txt", "".join(f"{line}\n" for line in said))


@pytest.mark.parametrize(
    "names",
    [names for names in EVERY if names not in {("hosts",), ("domains",), ("frontend",)}],
    ids=".".join,
)
def test_a_key_with_another_letter_is_recognised(names):
    data = example(names)
    *outer, last = PLACES[names]
    inner = data
    for name in outer:
        inner = inner[name]
    inner[f"{last}x"] = inner.pop(last)
    with pytest.raises(InvalidDescription) as caught:
        parse(json.dumps(data, indent=1).encode(), "c.yaml")
    said = str(caught.value)
    assert f"the key `{last}x` in" in said
    assert f"did you mean `{last}`?" in said or "no secret" in said


def test_the_shipped_schema_is_the_one_of_the_parser(repository, request):
    file = repository / "share" / FILE
    if request.config.getoption("--regenerate-golden"):
        file.write_text(schema_text(), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == schema_text(), "--regenerate-golden writes it anew"


def test_the_reference_is_the_one_of_the_parser(repository, request):
    file = repository / "docs" / "cloud-description.md"
    head, mark, _ = file.read_text(encoding="utf-8").partition(MARK)
    if request.config.getoption("--regenerate-golden"):
        file.write_text(f"{head}{MARK}{reference()}", encoding="utf-8")
    assert mark
    assert file.read_text(encoding="utf-8") == f"{head}{MARK}{reference()}", (
        "--regenerate-golden writes it anew"
    )


def test_the_reference_has_every_key():
    text = reference()
    assert [names for names in EVERY if f"| `{names[-1]}` |" not in text] == []


MODELS = {
    ("cluster",): model.Cluster, ("cluster", "migration"): model.Migration, ("corosync",): model.Corosync,
    ("quorum", "device"): model.QuorumDevice, ("hosts", NAME, "bmc", "ipmi"): model.Bmc,
    ("domains", NAME): model.Domain, ("domains", NAME, "migration"): model.Moving,
    ("domains", NAME, "monitor"): model.Monitor, ("apart", NAME): model.Apart, ("together", NAME): model.Together,
    ("alerts", NAME): model.Alert, ("storage", NAME, "ceph-rbd"): model.Storage, ("storage", NAME, "lvm"): model.Storage,
}  # fmt: skip


def test_documented_defaults_are_those_that_hold():
    compared = 0
    for place, owner in MODELS.items():
        section = keys.CLOUD
        for name in place:
            if isinstance(section, Section):
                section = next(key.kind for key in section.keys if key.name == name)
            elif isinstance(section, Named):
                section = section.value
            else:
                section = dict(section.sections)[name]
        defaults = {field.name: field.default for field in fields(owner)}
        for key in section.keys:
            if not isinstance(key.kind, Kind) or key.kind.many or not key.default or key.required:
                continue
            try:
                value = key.kind.convert(key.default)
            except ValueError:
                continue  # it is in words
            if defaults[key.name] not in ("", None):
                assert value == defaults[key.name], (place, key.name)
                compared += 1
    assert compared >= 25


def test_variants_name_the_other_one():
    assert BMC.elsewhere("cipher", "redfish") == "ipmi"
    assert BMC.elsewhere("tls_ca", "ipmi") == "redfish"
    assert BMC.elsewhere("address", "ipmi") == ""


def test_the_example_says_what_it_means(repository):
    cloud = read(repository / "examples" / "two-sites.yaml")
    assert [host.name for host in cloud.members] == ["berlin1", "berlin2", "hamburg1", "hamburg2"]
    assert cloud.hosts[0].rings == ("10.1.0.1", "10.2.0.1")
    assert cloud.hosts[0].capacity == model.Capacity(248 * 2**30, 62)
    assert cloud.hosts[0].levels == (("bmc",), ("pdu-a", "pdu-b"))
    assert cloud.hosts[4].levels == (("bmc",),)
    assert cloud.apart[0].domains == ("db1", "db2")
