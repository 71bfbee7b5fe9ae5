# SPDX-License-Identifier: GPL-2.0-or-later
"""Which agents are proven still, and what is remembered after a check."""

from __future__ import annotations

import pytest

from backstay.agents.proven import Proven, after, read, unchanged, written
from backstay.host.fingerprint import Fingerprints

OLD = {"domain": Proven("one", 10.0), "fence": Proven("two", 10.0)}


def test_what_is_remembered_is_read_again():
    assert read(written(OLD)) == OLD
    assert read("") == {}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"domain": 1}', '{"domain": {"fingerprint": "x"}}', '{"a": {"at": "x"}}']
)
def test_what_cannot_be_read_proves_nothing(text):
    assert read(text) == {}


@pytest.mark.parametrize(
    ("prints", "still"),
    [
        ({"domain": "one", "fence": "two"}, {"domain", "fence"}),
        ({"domain": "one", "fence": "other"}, {"domain"}),
        ({"domain": "one", "new": "three"}, {"domain"}),
        ({}, set()),
    ],
)
def test_what_stands_on_something_else_is_unproven(prints, still):
    assert unchanged(prints, OLD) == still


@pytest.mark.parametrize(
    ("verdicts", "remembered"),
    [
        ([], {"domain": 10.0, "fence": 10.0}),  # nothing was asked: it is unchanged
        ([("fence", True), ("fence", True)], {"domain": 10.0, "fence": 20.0}),
        ([("fence", True), ("fence", False)], {"domain": 10.0}),
        ([("fence", False), ("fence", True)], {"domain": 10.0}),
        ([("heartbeat:x", True)], {"domain": 10.0, "fence": 10.0}),  # somebody else's
    ],
)
def test_what_is_remembered_after_a_check(verdicts, remembered):
    found = after(OLD, {"domain": "one", "fence": "now"}, verdicts, 20.0)
    assert {name: each.at for name, each in found.items()} == remembered
    assert found.get("fence", OLD["fence"]).fingerprint == (
        "now" if remembered.get("fence") == 20.0 else "two"
    )


def test_an_agent_that_is_gone_is_forgotten():
    assert set(after(OLD, {"domain": "one"}, [], 20.0)) == {"domain"}


def test_contents_count_and_times_do_not(tmp_path):
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("one")
    first = Fingerprints().of([str(file), str(other)])
    file.write_text("one")
    assert Fingerprints().of([str(other), str(file)]) == first
    file.write_text("two")
    second = Fingerprints().of([str(file), str(other)])
    other.write_text("")
    assert len({first, second, Fingerprints().of([str(file), str(other)])}) == 3
