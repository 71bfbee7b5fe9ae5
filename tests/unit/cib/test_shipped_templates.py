# SPDX-License-Identifier: GPL-2.0-or-later
"""Every shipped template alone: what it becomes, and that its header says all about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.cib.alone import render_alone
from backstay.cib.document import MARK, elements, is_ours, own_ids, write_snippet
from backstay.cib.templates import Templates
from backstay.errors import BadInput

REPOSITORY = Path(__file__).resolve().parents[3]
SHIPPED = Templates([REPOSITORY / "crm-templates"])
NAMES = SHIPPED.names()


def examples(head, *, full):
    """The examples of what has to be given, or of everything (of values that exclude each other the first)."""
    left_out = {name for names in head.one_of for name in names[1:]}
    asked = {names[0] for names in head.one_of}
    return {
        value.name: value.example
        for value in head.takes
        if value.example and value.name not in left_out and (full or value.required or value.name in asked)
    }


def counting(head, given):
    """Without what means nothing beside the others."""
    said = {value.name: given.get(value.name, value.default) for value in head.takes}
    needs = {value.name: value.only_with.partition("=") for value in head.takes if value.only_with}
    met = {name: said[other] == word if word else said[other] for name, (other, _, word) in needs.items()}
    return {name: text for name, text in given.items() if met.get(name, True)}


def variants():
    """Each template with as little as possible, with everything, and with everything for each of its kinds."""
    for name in NAMES:
        head = SHIPPED.header(name)
        yield name, name, examples(head, full=False)
        yield f"{name}-full", name, counting(head, examples(head, full=True))
        for value in head.takes:
            for word in value.of if value.scripts == "each" else ():
                if word != value.default:
                    given = {**examples(head, full=True), value.name: word}
                    yield f"{name}-{word}", name, counting(head, given)


VARIANTS = {label: (name, given) for label, name, given in variants()}


@pytest.mark.parametrize("label", VARIANTS)
def test_each_template_renders_as_recorded(golden, label):
    name, given = VARIANTS[label]
    golden(f"templates/{label}.xml", write_snippet(render_alone(SHIPPED, name, given)).decode())


def test_no_recording_is_left_of_a_template_that_is_gone(repository):
    recorded = {path.stem for path in (repository / "tests/golden/templates").iterdir()}
    assert recorded == set(VARIANTS)


def test_the_concerns_are_all_there():
    wanted = """address alerts ceph-rbd dlm domain domain-drbd drbd fencing fencing-levels frontend-ganeti
    frontend-opennebula gfs2 glusterfs iscsi-ocfs2 libvirtd lvm nfs properties service"""
    assert set(wanted.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_all(name):
    head = SHIPPED.header(name)
    assert head.summary.endswith(".")
    for value in head.takes:
        assert value.about.endswith("."), value.name
        assert value.example or value.default or value.scripts == "no", f"{value.name} has no example"
        if value.example:
            value.read(value.example)
        if value.default:
            value.read(value.default)


@pytest.mark.parametrize("label", VARIANTS)
def test_everything_carries_the_mark(label):
    name, given = VARIANTS[label]
    made = render_alone(SHIPPED, name, given)
    for part in elements(made.find("configuration")):
        assert part.tag == "crm_config" or all(is_ours(child) for child in elements(part)), part.tag
    free = {element.get("id") for element in made.iter("primitive", "group", "clone", "cluster_property_set")}
    unmarked = [one for one in own_ids(made) if one not in free and not one.startswith(MARK)]
    assert name == "properties" or not unmarked


def lines(name, given):
    """What is rendered, line by line."""
    return write_snippet(render_alone(SHIPPED, name, given)).decode().splitlines()


def has_effect(name, given, value):
    """Whether leaving out a value changes anything, its companions aside."""
    without = counting(SHIPPED.header(name), {key: text for key, text in given.items() if key != value.name})
    return value.name in given and lines(name, without) != lines(name, given)


def is_taken(name, given):
    """Whether nobody objects."""
    try:
        return bool(lines(name, given))
    except BadInput:
        return False


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_an_effect(name):
    """By itself, or it is refused by itself and has one beside others."""
    head = SHIPPED.header(name)
    chosen = {one for names in head.one_of for one in names}
    many = [given for other, given in VARIANTS.values() if other == name]
    for value in head.takes:
        if value.example and not value.required and value.name not in chosen:
            example = (
                "n1,n2" if (name, value.name) == ("fencing", "hosts") else value.example
            )  # one host has no tie
            alone = {**examples(head, full=False), value.name: example}
            assert not is_taken(name, alone) or has_effect(name, alone, value), value.name
            assert any(has_effect(name, given, value) for given in many), value.name


CONSTRAINTS = ("rsc_location", "rsc_colocation", "rsc_order", "fencing-level")


@pytest.mark.parametrize("label", VARIANTS)
def test_each_constraint_has_its_reason_before_it(label):
    """A comment stands before each constraint; one of a pair, or of a list, may share it with the one before."""
    name, given = VARIANTS[label]
    made = render_alone(SHIPPED, name, given, explain=True)
    for constraint in made.iter(*CONSTRAINTS):
        before = constraint.getprevious()
        steps = 0
        while before is not None and before.tag in CONSTRAINTS:
            # What is said once for a list is said of things of one kind, one after the other.
            steps += before.tag != constraint.tag
            before = before.getprevious()
        assert before is not None, constraint.get("id")
        assert not isinstance(before.tag, str), constraint.get("id")
        assert steps <= 1, constraint.get("id")


@pytest.mark.parametrize("name", NAMES)
def test_each_on_fail_has_its_reason_before_it(name):
    text = (REPOSITORY / f"crm-templates/{name}.xml").read_text(encoding="utf-8")
    lines = text[text.index("-->\n", text.index("<!-- template")) :].splitlines()
    for number, line in enumerate(lines):
        if "on-fail=" in line and 'on-fail="restart"' not in line:
            assert lines[number - 1].rstrip().endswith("-->"), line


def test_a_remote_host_is_said_to_be_one():
    given = {"name": "n17", "nodeid": "n17", "memory": "4 GiB", "cpu": "2"}
    kinds = [
        render_alone(SHIPPED, "host", {**given, "remote": word}).find("configuration/nodes/node").get("type")
        for word in ("yes", "no")
    ]
    assert kinds == ["remote", None]
