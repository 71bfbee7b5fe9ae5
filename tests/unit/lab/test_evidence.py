# SPDX-License-Identifier: GPL-2.0-or-later
"""The evidence is complete or it is not taken: a host whose log is missing leaves the audit nothing to say."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.lab import evidence, guest, records, witness
from backstay.lab.layout import Layout
from backstay.lab.records import Heard, Record

UUID = "5a3c1f0e-7d64-4b51-9a0e-0d1b00000001"
GUESTS = {UUID: "web1"}
WALL = 1_795_165_000.0
LINE = "Nov 20 08:57:1{}.000 n1 pacemaker-controld  [8] (log) \tnotice: Result of start operation for {} on n1: ok | x\n"


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path, tmp_path)
    log = made.node("n1").upper / evidence.LOG
    log.parent.mkdir(parents=True)
    log.write_text(LINE.format(1, "web1"))
    disk = made.shared / "disks" / "web1.raw"
    disk.parent.mkdir(parents=True)
    guest.make_disk(disk, 1 << 20)
    heard = Heard(Record(UUID, UUID, 0, "run"), "n1", 100.0, WALL)
    witness.path(made).write_text(records.to_json(heard) + "\n")
    return made


def test_what_is_collected(layout):
    found = evidence.collect(layout, GUESTS, 1.0, 2.0)
    assert (found.begin, found.end, found.guests) == (1.0, 2.0, GUESTS)
    assert [heard.host for heard in found.testimony.heard] == ["n1"]
    assert [str(deed) for deed in found.deeds] == ["start of web1 on n1"]
    assert found.deeds[0].at == pytest.approx(131.0)
    assert found.disks == {UUID: {}}


def test_a_log_that_was_rotated_is_read_as_well(layout):
    log = layout.node("n1").upper / evidence.LOG
    log.with_name(f"{log.name}.1").write_text(LINE.format(0, "db1"))
    assert [deed.resource for deed in evidence.collect(layout, GUESTS, 1, 2).deeds] == ["db1", "web1"]


def test_a_log_with_broken_bytes_is_read(layout):
    log = layout.node("n1").upper / evidence.LOG
    log.write_bytes(b"\xff\xfe torn by a power cut\n" + log.read_bytes())
    assert len(evidence.collect(layout, GUESTS, 1, 2).deeds) == 1


def test_a_host_without_a_log_is_a_hole(layout):
    (layout.node("n1").upper / evidence.LOG).unlink()
    with pytest.raises(CannotAsk, match=r"n1 has no .*pacemaker\.log"):
        evidence.collect(layout, GUESTS, 1, 2)


def test_a_disk_that_is_not_there_is_not_an_empty_one(layout):
    (layout.shared / "disks" / "web1.raw").unlink()
    assert evidence.collect(layout, GUESTS, 1, 2).disks == {}
