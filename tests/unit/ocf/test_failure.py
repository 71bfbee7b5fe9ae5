# SPDX-License-Identifier: GPL-2.0-or-later
"""What it means that an agent itself failed."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.ocf import failure
from backstay.ocf.codes import DEGRADED, DEGRADED_PROMOTED, GENERIC, SUCCESS
from backstay.ocf.context import Call

RECURRING = {"OCF_RESKEY_CRM_meta_interval": "10000", "OCF_RESOURCE_INSTANCE": "web1"}


class Memory(dict[str, str]):
    def read(self, name: str) -> str:
        return self.get(name, "")

    def write(self, name: str, text: str) -> None:
        self[name] = text

    def forget(self, name: str) -> None:
        self.pop(name, None)


class Broken(Memory):
    def read(self, name: str) -> str:
        raise OSError(28, "No space left on device")

    forget = write = read  # type: ignore[assignment]


def test_a_promoted_instance_stays_promoted_while_its_agent_is_forgiven() -> None:
    """Pacemaker takes 190 from the monitor of a promoted instance for a demotion that nobody asked for."""
    environ = {**RECURRING, "OCF_RESKEY_CRM_meta_op_target_rc": "8"}
    assert failure.judge(Call("drbd", "monitor", environ), "a bug", Memory()).code == DEGRADED_PROMOTED


@pytest.mark.parametrize(
    ("action", "environ"),
    [
        ("start", {}),
        ("stop", {}),
        ("stop", RECURRING),
        ("monitor", {}),
        ("monitor", {"OCF_RESKEY_CRM_meta_interval": "0"}),
        ("", {}),
    ],
)
def test_nothing_but_a_recurring_monitor_is_forgiven(action: str, environ: dict[str, str]) -> None:
    memory = Memory()
    outcome = failure.judge(Call("domain", action, environ), "a bug", memory)
    assert outcome.code == GENERIC
    assert "could not be completed: a bug" in outcome.reason
    assert not memory


def test_a_reload_that_broke_restarts_nothing() -> None:
    outcome = failure.judge(Call("domain", "reload-agent", {}), "a bug", Memory())
    assert outcome.code == SUCCESS
    assert "could not be completed: a bug" in outcome.reason


def test_a_recurring_monitor_is_degraded_for_ten_minutes_from_the_first_failure() -> None:
    memory, call = Memory(), Call("domain", "monitor", RECURRING)
    seen = [
        failure.judge(call, "a bug", memory, lambda at=at: at).code  # type: ignore[misc]
        for at in (1000.0, 1010.0, 1599.0, 1600.0, 1700.0)
    ]
    assert seen == [DEGRADED, DEGRADED, DEGRADED, GENERIC, GENERIC]


def test_an_answer_in_between_starts_the_ten_minutes_again() -> None:
    memory, call = Memory(), Call("domain", "monitor", RECURRING)
    failure.judge(call, "a bug", memory, lambda: 1000.0)
    failure.well_again(call, memory)
    assert failure.judge(call, "a bug", memory, lambda: 1700.0).code == DEGRADED


def test_resources_do_not_share_their_failures() -> None:
    memory = Memory()
    failure.judge(Call("domain", "monitor", RECURRING), "a bug", memory, lambda: 1000.0)
    other = Call("domain", "monitor", {**RECURRING, "OCF_RESOURCE_INSTANCE": "web2"})
    assert failure.judge(other, "a bug", memory, lambda: 1700.0).code == DEGRADED


@pytest.mark.parametrize("kept", ["", "nonsense", "99999.0", "-5"])
def test_a_memory_that_makes_no_sense_counts_from_now(kept: str) -> None:
    memory = Memory({"domain-web1.failing": kept})
    assert (
        failure.judge(Call("domain", "monitor", RECURRING), "a bug", memory, lambda: 700.0).code == DEGRADED
    )
    assert memory == {"domain-web1.failing": "700.0"}


def test_without_a_memory_it_stays_degraded() -> None:
    call = Call("domain", "monitor", RECURRING)
    assert failure.judge(call, "a bug", Broken(), lambda: 9000.0).code == DEGRADED
    failure.well_again(call, Broken())


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CannotAsk("virsh is missing", hint="install it"), "virsh is missing; install it"),
        (CannotAsk("virsh is missing"), "virsh is missing"),
        (failure.OutOfTime(), "it did not end within its timeout"),
        (KeyError("x"), "internal error, KeyError: 'x'"),
    ],
)
def test_sentences(error: BaseException, sentence: str) -> None:
    assert failure.sentence(error) == sentence


def test_only_what_nobody_expected_leaves_a_traceback() -> None:
    assert list(failure.trace(CannotAsk("virsh is missing"))) == []
    assert list(failure.trace(KeyError("x"))) == ["KeyError: 'x'"]
