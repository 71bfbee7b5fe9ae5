# SPDX-License-Identifier: GPL-2.0-or-later
"""What Prometheus reads of the readiness of fencing."""

from __future__ import annotations

from backstay.cli import fence
from backstay.cli.fence_metrics import text
from backstay.fencing.check import Report
from backstay.fencing.drill_marks import Record
from backstay.fencing.finding import Finding
from backstay.fencing.readiness import Cell, State


def test_a_file_for_prometheus():
    cells = (
        Cell("n1", "fence-n2", "n2", State.READY, 1000.0),
        Cell("n1", 'odd"name', "n3", State.SILENT, 1000.0, "why"),
    )
    said = text(Report("n1", 1000.4, cells, (Finding("error", "x"), Finding("error", "y")), {}, {}))
    assert [line for line in said.splitlines() if not line.startswith("#")] == [
        'backstay_fence_ready{host="n2",device="fence-n2",asker="n1",state="ready"} 1',
        'backstay_fence_ready{host="n3",device="odd\\"name",asker="n1",state="no answer"} 0',
        'backstay_fence_proof_timestamp_seconds{host="n2",device="fence-n2",asker="n1"} 1000',
        'backstay_fence_proof_timestamp_seconds{host="n3",device="odd\\"name",asker="n1"} 1000',
        'backstay_fence_findings{severity="error"} 2',
        'backstay_fence_findings{severity="warning"} 0',
        'backstay_fence_findings{severity="note"} 0',
        "backstay_fence_check_timestamp_seconds 1000",
    ]
    assert said.endswith("\n")


def test_what_nobody_tested_is_not_ready():
    said = text(Report("n1", 1000.0, (Cell("n1", "pdu", "n2", State.UNTESTED, 1000.0, "why"),), (), {}, {}))
    assert 'backstay_fence_ready{host="n2",device="pdu",asker="n1",state="untested"} 0' in said.splitlines()


def test_when_a_host_was_really_fenced():
    drills = [Record("n2", 1000.4, "n1", "fence-n2", 2.44, 41.0)]
    said = text(Report("n1", 2000.0, (), (), {}, {}), drills)
    assert said.endswith('\nbackstay_fence_drill_timestamp_seconds{host="n2",device="fence-n2"} 1000\n')
    assert "drill" not in text(Report("n1", 2000.0, (), (), {}, {}))


def test_where_no_exporter_is_nothing_is_written_and_that_is_said(tmp_path, capsys):
    fence._keep(tmp_path / "nowhere/file.prom", "x 1\n")
    assert "is a node exporter installed?" in capsys.readouterr().err
    fence._keep(tmp_path / "file.prom", "x 1\n")
    assert (tmp_path / "file.prom").read_text() == "x 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file.prom"]
