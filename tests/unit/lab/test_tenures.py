# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit of "role never on two hosts" finds what it is there for, and does not take missing evidence for proof."""

from __future__ import annotations

import pytest

from backstay.agents.frontend_lease import Tenure, written
from tests.lab.tenures import Told, audit

T = 1_795_996_000.0  # seconds since the epoch


def _at(each: tuple[str, float, float, float]) -> tuple[str, float, float, float]:
    boot, taken, held, left = each
    return boot, T + taken, T + held, T + left if left else 0.0


def of(host: str, *times: tuple[str, float, float, float]) -> str:
    """A host's record: boot, and seconds after T at which the role was taken, held and left (0: not)."""
    return written([Tenure(host, *_at(each)) for each in times])


MOVED = {"n1": Told(of("n1", ("a", 0, 50, 50))), "n2": Told(of("n2", ("b", 51, 90, 0))), "n3": Told("")}
LEASE = of("n1", ("a", 0, 50, 50)) + of("n2", ("b", 51, 90, 0))


def test_a_role_that_moved_in_order_is_no_finding() -> None:
    tenures, findings = audit(MOVED, LEASE)
    assert findings == []
    assert [each.host for each in tenures] == ["n1", "n2"]


@pytest.mark.parametrize("end", [(60.0, 60.0), (60.0, 0.0)])
def test_a_real_overlap_is_found(end: tuple[float, float]) -> None:
    """n1 still held it, by its own word, when n2 had taken it: left in order or not."""
    _, findings = audit({**MOVED, "n1": Told(of("n1", ("a", 0, *end)))})
    assert len(findings) == 1
    assert "overlap" in findings[0]


def test_an_overlap_with_the_tenure_before_the_last_is_found() -> None:
    told = {
        "n1": Told(of("n1", ("a", 0, 100, 100))),
        "n2": Told(of("n2", ("b", 20, 30, 30), ("b", 200, 210, 0))),
    }
    _, findings = audit(told)
    assert [each for each in findings if "overlap" in each] == findings != []


def test_a_clock_that_is_slow_hides_no_overlap() -> None:
    """n1's clock is 20 s behind: it left the role at 70 of n2's seconds, and n2 had taken it at 51."""
    _, findings = audit({**MOVED, "n1": Told(of("n1", ("a", 0, 50, 50)), ahead=-20.0, doubt=0.1)})
    assert len(findings) == 1
    assert "overlap" in findings[0]


def test_a_clock_that_is_fast_makes_no_overlap() -> None:
    """n1's clock is 20 s ahead: what it calls 60 is 40 for the others."""
    tenures, findings = audit({**MOVED, "n1": Told(of("n1", ("a", 0, 60, 60)), ahead=20.0, doubt=0.1)})
    assert findings == []
    assert tenures[0].left == T + 40


@pytest.mark.parametrize(("doubt", "found"), [(0.6, 0), (0.2, 1)])
def test_what_the_clocks_leave_open_is_no_overlap_and_no_more_than_that(doubt: float, found: int) -> None:
    told = {
        "n1": Told(of("n1", ("a", 0, 52, 52)), doubt=doubt),
        "n2": Told(of("n2", ("b", 51, 90, 0)), doubt=doubt),
    }
    assert len(audit(told)[1]) == found


@pytest.mark.parametrize("torn", ["n1 c 17959", "n1 c 1795996060.0 17959961", "\0\0\0\0"])
def test_a_torn_last_line_is_no_proof(torn: str) -> None:
    """A tenure that nobody can read may be the one that overlaps."""
    _, findings = audit({**MOVED, "n1": Told(of("n1", ("a", 0, 50, 50)) + torn)})
    assert len(findings) == 1
    assert "n1 has a line that makes no sense" in findings[0]
    _, findings = audit(MOVED, LEASE + torn)
    assert "the lease has a line that makes no sense" in findings[0]


@pytest.mark.parametrize("left", ["", of("n2", ("b", 1, 9, 9)), of("n2", ("c", 51, 90, 0))])
def test_a_record_that_is_gone_is_no_proof(left: str) -> None:
    """n2 has power and says nothing of the tenure that the lease has of it, but of an earlier one perhaps."""
    _, findings = audit(
        {"n1": Told(of("n1", ("a", 20, 50, 50))), "n2": Told(left)}, of("n2", ("b", 51, 90, 0))
    )
    assert len(findings) == 1
    assert "a tenure of n2 which that host did not write down" in findings[0]


def test_of_a_host_without_power_the_lease_speaks() -> None:
    """n2 was killed while it held the role, and n3 had taken it before: only the lease can say so."""
    told = {"n1": MOVED["n1"], "n3": Told(of("n3", ("c", 80, 120, 0)))}
    lease = LEASE + of("n3", ("c", 80, 120, 0))
    _, findings = audit(told, lease)
    assert len(findings) == 1
    assert "overlap" in findings[0]
    assert audit(told)[1] == []  # nobody who has power contradicts


def test_without_any_record_nothing_is_proven() -> None:
    assert audit({"n1": Told(""), "n2": Told("")})[1] == ["no host wrote down that it held the role"]
    assert audit({})[1] != []


def test_a_record_of_another_host_and_a_clock_that_was_set_back_are_said() -> None:
    _, findings = audit({**MOVED, "n3": Told(of("n2", ("b", 51, 90, 0)))})
    assert any("n3 wrote down a tenure of n2" in each for each in findings)
    _, findings = audit({**MOVED, "n1": Told(of("n1", ("a", 0, 50, 40)))})
    assert any("a clock was set" in each for each in findings)
