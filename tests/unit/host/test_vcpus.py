# SPDX-License-Identifier: GPL-2.0-or-later
"""What /proc shows of a guest's processors, as it was seen with QEMU 7.2: running, idle and stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.host import vcpus

PID = 4711


def thread(
    proc: Path, tid: int, name: str, *, state: str = "S", waits_in: str = "", switches: int = 5
) -> None:
    place = proc / str(PID) / "task" / str(tid)
    place.mkdir(parents=True, exist_ok=True)
    (place / "comm").write_text(f"{name}\n")
    (place / "stat").write_text(f"{tid} ({name}) {state} {'0 ' * 18}99 0\n")
    (place / "wchan").write_text(waits_in or "0")
    said = f"Name:\t{name}\nvoluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t64\n"
    (place / "status").write_text(said)


@pytest.mark.parametrize(
    ("name", "state", "waits_in", "running"),
    [
        ("CPU 0/KVM", "S", "kvm_vcpu_block", True),
        ("CPU 0/KVM", "R", "", True),
        ("CPU 0/KVM", "S", "futex_do_wait", False),
        ("CPU 0/KVM", "D", "folio_wait_bit_common", False),
        ("CPU 0/TCG", "R", "", True),
        ("CPU 0/TCG", "S", "futex_wait_queue", False),
        ("ALL CPUs/TCG", "R", "", True),
        ("IO iothread1", "R", "", False),
        ("qemu-system-x86", "R", "", False),
    ],
)
def test_one_look(tmp_path: Path, name: str, state: str, waits_in: str, running: bool) -> None:
    thread(tmp_path, 4711, "qemu-system-x86", state="S", waits_in="poll_schedule_timeout")
    thread(tmp_path, 4713, name, state=state, waits_in=waits_in)
    assert vcpus.look(PID, str(tmp_path)).running == running


def test_a_change_between_two_looks_is_proof_whichever_processor_it_is(tmp_path: Path) -> None:
    for tid in (4713, 4714):
        thread(tmp_path, tid, f"CPU {tid - 4713}/TCG", waits_in="futex_do_wait")
    first = vcpus.look(PID, str(tmp_path))
    assert not vcpus.look(PID, str(tmp_path)).shows_running_since(first)
    thread(tmp_path, 4714, "CPU 1/TCG", waits_in="futex_do_wait", switches=6)
    assert vcpus.look(PID, str(tmp_path)).shows_running_since(first)


def test_a_processor_that_was_added_or_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    thread(tmp_path, 4713, "CPU 0/TCG", waits_in="futex_do_wait")
    first = vcpus.look(PID, str(tmp_path))
    thread(tmp_path, 4714, "CPU 1/TCG", waits_in="futex_do_wait")
    assert not vcpus.look(PID, str(tmp_path)).shows_running_since(first)
    assert not vcpus.look(PID + 1, str(tmp_path)).running


@pytest.mark.parametrize(
    ("threads", "found"),
    [
        ([], ""),
        ([("CPU 0/TCG", "futex_do_wait")], ""),
        ([("CPU 0/KVM", "futex_do_wait"), ("CPU 1/KVM", "kvm_vcpu_block")], "4714"),
        ([("CPU 0/KVM", "futex_do_wait"), ("CPU 1/KVM", "futex_do_wait")], None),
    ],
)
def test_under_kvm_one_look_tells(tmp_path: Path, threads: list[tuple[str, str]], found: str | None) -> None:
    for tid, (name, waits_in) in enumerate(threads, 4713):
        thread(tmp_path, tid, name, waits_in=waits_in)
    assert vcpus.under_kvm(str(tmp_path / str(PID))) == found


def test_a_processor_that_runs_at_the_second_look_is_proof_without_a_change(tmp_path: Path) -> None:
    thread(tmp_path, 4713, "CPU 0/KVM", waits_in="futex_do_wait")
    first = vcpus.look(PID, str(tmp_path))
    thread(tmp_path, 4713, "CPU 0/KVM", waits_in="kvm_vcpu_block")
    assert vcpus.look(PID, str(tmp_path)).shows_running_since(first)
