# SPDX-License-Identifier: GPL-2.0-or-later
"""The ledger of faults: what is in force, and that every fault has a way back."""

from __future__ import annotations

import pytest

from backstay.errors import BadInput
from backstay.lab.faults import catalogue, ledger
from backstay.lab.faults.ledger import HEALED, INJECTED, Entry
from backstay.lab.layout import Layout


def entry(event, fault, host, at=1.0):
    return Entry(at, at + 1000.0, event, fault, host)


@pytest.mark.parametrize(
    ("entries", "left"),
    [
        ([], ()),
        ([entry(INJECTED, "cut-power", "n1")], (("cut-power", "n1"),)),
        ([entry(INJECTED, "cut-power", "n1"), entry(HEALED, "cut-power", "n1")], ()),
        ([entry(INJECTED, "cut-power", "n1"), entry(HEALED, "cut-power", "n2")], (("cut-power", "n1"),)),
        ([entry(INJECTED, "cut-power", "n1"), entry(INJECTED, "cut-power", "n1")], (("cut-power", "n1"),)),
        (
            [
                entry(INJECTED, "drop-bmc", "n2"),
                entry(INJECTED, "cut-power", "n2"),
                entry(HEALED, "drop-bmc", "n2"),
            ],
            (("cut-power", "n2"),),
        ),
        ([entry(HEALED, "cut-power", "n1"), entry(INJECTED, "cut-power", "n1")], (("cut-power", "n1"),)),
    ],
)
def test_what_is_in_force(entries, left):
    assert ledger.active(tuple(entries)) == left


def test_written_and_read_again(tmp_path):
    layout = Layout(tmp_path, tmp_path)
    assert ledger.read(layout) == ()
    first = ledger.write(layout, INJECTED, "drop-bmc", "n1")
    second = ledger.write(layout, HEALED, "drop-bmc", "n1")
    assert ledger.read(layout) == (first, second)
    assert second.at >= first.at


def test_a_line_that_was_cut_off_is_passed_over(tmp_path):
    layout = Layout(tmp_path, tmp_path)
    whole = ledger.write(layout, INJECTED, "drop-bmc", "n1")
    with ledger.path(layout).open("a") as stream:
        stream.write('{"at": 1.0, "wall"')
    assert ledger.read(layout) == (whole,)


def test_an_unknown_fault_names_the_others():
    with pytest.raises(BadInput, match="there is no fault 'cut-pwer'") as problem:
        catalogue.find("cut-pwer")
    assert "cut-power" in problem.value.hint


def test_what_is_broken_is_mended_power_first(tmp_path, monkeypatch):
    layout = Layout(tmp_path, tmp_path)
    for name, host in (("drop-bmc", "n1"), ("cut-network", "n2"), ("cut-power", "n3")):
        ledger.write(layout, INJECTED, name, host)
        layout.node(host).directory.mkdir(parents=True)
    mended = []
    for name in ("drop-bmc", "cut-network", "cut-power"):
        fault = catalogue.find(name)
        recorded = fault.__class__(
            name, fault.what, fault.inject, lambda node, name=name: mended.append((name, node.name))
        )
        monkeypatch.setattr(catalogue, "FAULTS", {**catalogue.FAULTS, name: recorded})
    catalogue.heal_all(layout)
    assert mended == [("cut-power", "n3"), ("drop-bmc", "n1"), ("cut-network", "n2")]
    assert ledger.active(ledger.read(layout)) == ()
