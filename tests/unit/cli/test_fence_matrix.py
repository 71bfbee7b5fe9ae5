# SPDX-License-Identifier: GPL-2.0-or-later
"""What a terminal shows of the readiness of fencing."""

from __future__ import annotations

import pytest

from backstay.cli.fence_matrix import age, as_data, matrix, unended, unheard
from backstay.fencing.check import Report
from backstay.fencing.drill_marks import Open, Record
from backstay.fencing.finding import Finding
from backstay.fencing.readiness import Cell, State

HOSTS = ("n1", "n2", "n3")


def cell(asker: str, target: str, state: State = State.READY, at: float = 1000.0, **more: str) -> Cell:
    return Cell(asker, f"fence-{target}", target, state, at, **more)


def report(*cells: Cell, findings: tuple[Finding, ...] = ()) -> Report:
    return Report("n1", 1000.0, cells, findings, {}, {})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-3, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7199, "120m"),
        (7200, "2h"),
        (172800, "2d"),
        (864000, "10d"),
    ],
)
def test_an_age(seconds, text):
    assert age(seconds) == text


def test_the_matrix_has_a_cell_for_each_host_and_asker():
    others = [cell("n2", "n1", at=820.0), cell("n2", "n2", State.SILENT, 820.0)]
    shown = matrix(
        report(cell("n1", "n1"), cell("n1", "n2", State.PASSWORD, reason="why; what")), others, HOSTS
    )
    assert shown.splitlines() == [
        "host  device    from n1          from n2          from n3",
        "n1    fence-n1  ready 0s         ready 3m         ?",
        "n2    fence-n2  password 0s      no answer 3m     ?",
        "",
        "fence-n2 for n2, from n1: why; what",
        "Not ready: 2 of 4 proofs failed.",
    ]


def test_it_fits_eighty_columns_whatever_is_in_it():
    hosts = tuple(f"host{number}" for number in range(9))
    cells = [
        cell(asker, target, State.AGENT, reason="a long reason " * 9) for asker in hosts for target in hosts
    ]
    shown = matrix(
        report(*cells[:9], findings=(Finding("error", "long " * 40, "hint " * 9),)), cells[9:], hosts
    )
    assert max(map(len, shown.splitlines())) <= 80
    assert all(f"from {host}" in shown for host in hosts[1:])


def test_a_good_one_says_so():
    assert matrix(report(cell("n1", "n2")), [], ("n1",)).endswith(
        "Ready: n1 could fence every other host now."
    )
    bad = report(cell("n1", "n2"), findings=(Finding("error", "no device can fence n3"),))
    assert matrix(bad, [], ("n1",)).endswith(
        "error: no device can fence n3\nNot ready: 1 error in the configuration."
    )


def test_a_note_about_a_ready_device_is_shown():
    assert "suite 3 is used" in matrix(report(cell("n1", "n2", note="suite 3 is used")), [], ("n1",))


def test_the_same_as_data():
    found = as_data(report(cell("n1", "n2", State.ROLE, at=990.0, reason="why")), [], ready=False)
    (row,) = found["cells"]
    assert (found["host"], found["ready"], row["from"], row["target"]) == ("n1", False, "n1", "n2")
    assert (row["state"], row["good"], row["age"], row["reason"]) == ("role", False, 10.0, "why")


def test_hosts_that_said_nothing_are_named():
    (finding,) = unheard(HOSTS, report(cell("n1", "n2")), [cell("n2", "n1")])
    assert (finding.severity, finding.text) == ("warning", "whether n3 could fence is not known from here")
    assert unheard(("n1",), report(cell("n1", "n2")), []) == []


@pytest.mark.parametrize(("at", "said"), [(1000.0, 0), (-6200.0, 0), (-6201.0, 1)])
def test_old_news_is_called_old(at, said):
    found = unheard(
        ("n1", "n2"), report(cell("n1", "n2")), [cell("n2", "n1", at=at), cell("n2", "n2", at=at - 9000.0)]
    )
    assert [finding.text for finding in found] == ["what n2 found is more than 2h old"] * said


def test_the_last_real_fencing_of_each_host_stands_below_it():
    drills = [Record("n2", 1000.0 - 3 * 86400, "n1", "fence-n2", 2.44, 41.0), Record("n1", 940.0, "n2", "?")]
    shown = matrix(report(cell("n1", "n2")), [], HOSTS, drills)
    line = "really fenced by a drill: n1 60s ago (?), n2 3d ago in 2.4 s (fence-n2), n3 never"
    assert line in " ".join(shown.split())
    assert "really fenced" not in matrix(report(cell("n1", "n2")), [], HOSTS)
    assert max(map(len, shown.splitlines())) <= 80
    data = as_data(report(cell("n1", "n2")), [], drills, ready=True)
    assert [(each["target"], each["off"]) for each in data["drills"]] == [("n2", 2.44), ("n1", None)]


def test_a_drill_that_was_not_ended_is_a_finding():
    (found,) = unended([Open("n2", 0.0, "n1")])
    assert (found.severity, "--abort" in found.hint) == ("warning", True)
    assert found.text == "a drill of n2 is not over (begun 1970-01-01T00:00:00Z from n1, draining)"
