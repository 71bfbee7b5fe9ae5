# SPDX-License-Identifier: GPL-2.0-or-later
"""Records are told from noise, and the witness's file says when the witness itself was not there."""

from __future__ import annotations

import io

import pytest

from backstay.lab import records, witness
from backstay.lab.records import BYE, RUN, UP, Heard, Record, Stall, parse_disk, parse_line, parse_testimony
from backstay.lab.witness import Clock, Line, Notebook

UUID, BOOT = "5a3c1f0e-7d64-4b51-9a0e-0d1b00000001", "00145cea-d473-431f-a266-86e6b773f958"
WHOLE = f"#backstay {UUID} {BOOT} 17 run ."
RECORD = Record(UUID, BOOT, 17, RUN)


@pytest.mark.parametrize(
    ("line", "record"),
    [
        pytest.param(WHOLE, RECORD, id="a record"),
        pytest.param(f"{WHOLE}\r", RECORD, id="a terminal's line end"),
        pytest.param(WHOLE.replace("run", UP), Record(UUID, BOOT, 17, UP), id="a boot"),
        pytest.param(WHOLE.replace("run", BYE), Record(UUID, BOOT, 17, BYE), id="a goodbye"),
        pytest.param(
            WHOLE.upper().replace("BACKSTAY", "backstay").replace("RUN", "run"), RECORD, id="capitals"
        ),
        pytest.param(
            f"[    1.5] usb 1-1: new{WHOLE}", RECORD, id="a kernel message without an end before it"
        ),
        pytest.param(f"#backstay {UUID} {BOOT} 1{WHOLE}", RECORD, id="a torn record before it"),
        pytest.param(f"#backstay {UUID} {BOOT} 1", None, id="torn in the number"),
        pytest.param(f"#backstay {UUID} {BOOT} 17 run", None, id="torn before the mark"),
        pytest.param(WHOLE[9:], None, id="the rest of a torn record"),
        pytest.param(WHOLE.replace("run", "walk"), None, id="another word"),
        pytest.param(WHOLE.replace("-4b51", ""), None, id="no UUID"),
        pytest.param("Kernel panic - not syncing: Attempted to kill init!", None, id="a kernel message"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_only_a_whole_record_is_one(line, record):
    assert parse_line(line) == record


def cut(text, size):
    data = text.encode()
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 64, 100, 101, 102, 4096])
def test_lines_are_put_together_however_they_arrive(size):
    line = Line("n1")
    text = "".join(f"#backstay {UUID} {BOOT} {n} run .\r\n" for n in range(5)) + "noise\n" + WHOLE
    found = [record for part in cut(text, size) for record in line.feed(part)]
    assert [record.sequence for record in found] == [0, 1, 2, 3, 4]
    assert line.feed(b"\n") == [RECORD]


def test_a_line_that_never_ends_is_given_up():
    line = Line("n1")
    for _ in range(100):
        assert line.feed(b"\xff" * 4096) == []
        assert len(line._rest) <= witness.LONGEST
    assert line.feed(b"\n") == []
    assert line.feed(WHOLE.encode() + b"\n") == [RECORD]


class Hands:
    """A clock whose hands are moved by the test."""

    def __init__(self):
        self.now = 100.0

    def clock(self):
        return Clock(lambda: self.now, lambda: self.now + 1_000_000)


def test_what_was_heard_can_be_read_again():
    hands, stream = Hands(), io.StringIO()
    notebook = Notebook(stream, hands.clock())
    notebook.look()
    notebook.hear("n2", [RECORD])
    hands.now = 100.9
    notebook.look()
    hands.now = 103.0
    notebook.look()
    notebook.hear("n3", [Record(UUID, BOOT, 18, BYE)])
    testimony = parse_testimony(io.StringIO(stream.getvalue()))
    assert testimony.heard == (
        Heard(RECORD, "n2", 100.0, 1_000_100.0),
        Heard(Record(UUID, BOOT, 18, BYE), "n3", 103.0, 1_000_103.0),
    )
    assert testimony.stalls == (Stall(103.0, 1_000_103.0, 2.1),)
    assert testimony.offset == 1_000_000.0


def test_a_line_that_the_witness_did_not_finish_is_left_out():
    line = records.to_json(Heard(RECORD, "n1", 1.0, 2.0))
    assert len(parse_testimony([line, line[:40]]).heard) == 1


def test_nothing_was_heard():
    assert parse_testimony([]).offset == 0.0


def sector(text):
    return text.encode().ljust(records.SECTOR, b"\0")


def test_a_record_counts_only_in_its_own_sector():
    lines = [f"#backstay {UUID} {BOOT} {n} run .\n" for n in (0, 1, 5, 3)]
    on_disk = parse_disk(enumerate([*map(sector, lines), sector(""), sector("rubbish\n")]))
    assert sorted(on_disk) == [0, 1, 3]


def test_the_witness_writes_beside_the_lab(tmp_path):
    from backstay.lab.layout import Layout

    layout = Layout(tmp_path, tmp_path)
    assert witness.read(layout) == records.Testimony()
    witness.path(layout).write_text(records.to_json(Heard(RECORD, "n1", 1.0, 2.0)) + "\n")
    assert [heard.record for heard in witness.read(layout).heard] == [RECORD]
