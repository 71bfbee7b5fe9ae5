# SPDX-License-Identifier: GPL-2.0-or-later
"""A code never goes without a reason, and a reason is one line."""

from __future__ import annotations

import pytest

from backstay.ocf import codes, outcome


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (outcome.running, codes.SUCCESS),
        (outcome.done, codes.SUCCESS),
        (outcome.stopped, codes.NOT_RUNNING),
        (outcome.degraded, codes.DEGRADED),
        (outcome.failed, codes.GENERIC),
    ],
)
def test_codes(made: object, code: int) -> None:
    assert made("why") == outcome.Outcome(code, "why")  # type: ignore[operator]


def test_failed_can_be_more_precise() -> None:
    assert outcome.failed("no such program", codes.NOT_INSTALLED).code == 5


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("one\ntwo\r\n three\t", "one two three"),
        ("zero\0 and \x1b[31mred", "zero? and ?[31mred"),
        ("not utf-8: \udcff", "not utf-8: ?"),
        ("f\u00fcr", "f\u00fcr"),
    ],
)
def test_a_reason_is_one_printable_line(said: str, shown: str) -> None:
    assert outcome.degraded(said).reason == shown


def test_a_long_reason_is_cut() -> None:
    reason = outcome.failed("x" * 5000).reason
    assert len(reason) == outcome.LONGEST
    assert reason.endswith("x...")


def test_every_code_has_a_name() -> None:
    values = {value for name, value in vars(codes).items() if name.isupper() and isinstance(value, int)}
    assert values == set(codes.NAMES) == {*range(10), 190, 191}
