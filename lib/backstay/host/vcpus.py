# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a guest's processors run, seen in /proc: nobody is asked, so a libvirtd that hangs cannot keep it back.

Decides what is proof. QEMU gives each processor of the guest a thread and names it ("CPU 0/KVM"; libvirt asks for the
names with debug-threads=on). While the guest is stopped, for whatever reason, those threads wait for a condition of
QEMU (a futex) and are never woken. While it runs under KVM they are in the kernel's part of it, also where the guest
is idle: one look is proof. Under software emulation (TCG) an idle one waits for a futex as well; it is woken by the
guest's timers, so only a change between two looks is proof, and its absence is none.
Seen with QEMU 7.2 on Linux 6.x: stopped, asked for its status, idle and busy, with both accelerators.
"""

from __future__ import annotations

import os

from backstay.host.libvirt_status import process, read

ONE, ALL, KVM = "CPU ", "ALL CPUs/", "/KVM"  # a processor's thread; TCG may have one for all of them
IN_KVM = (
    "kvm_"  # how the kernel's functions begin in which a processor under KVM waits for work (kvm_vcpu_block)
)
LOOKS = 5  # at processors that may just be busy with QEMU's own devices


def runs(thread: str) -> bool:
    """Whether one look at a processor's thread (a place in /proc) proves that it runs. Raises OSError, ValueError."""
    return read(f"{thread}/wchan").startswith(IN_KVM) or process(thread)[1] == "R"


def under_kvm(place: str) -> str | None:
    """Name a processor under KVM that is seen running, of the emulator at that place in /proc.

    Empty when there is none at which one look tells; None when there are such, and none of them was seen running.
    """
    threads = _of_kvm(place)
    running = (thread for _ in range(LOOKS) for thread in threads if _runs(thread))
    found = next(running, None)
    return found.rpartition("/")[2] if found else None if threads else ""


def look(pid: int, proc: str = "/proc") -> Look:
    """Look at all processors of an emulator's guest; one that is gone has none."""
    threads = _threads(f"{proc}/{pid}")
    return Look(any(_runs(thread) for thread in threads), {thread: _work(thread) for thread in threads})


class Look:
    """One look: whether a processor was `running`, and what tells that each has run since an earlier look."""

    __slots__ = ("running", "work")

    def __init__(self, running: bool, work: dict[str, str]) -> None:
        self.running = running
        self.work = work

    def shows_running_since(self, before: Look) -> bool:
        """Whether a processor runs now, or has run since then."""
        return self.running or any(
            work != before.work.get(thread, work) for thread, work in self.work.items()
        )


def _threads(place: str) -> list[str]:
    try:
        tasks = [f"{place}/task/{name}" for name in os.listdir(f"{place}/task")]  # noqa: PTH208
    except OSError:
        return []
    return [task for task in tasks if _name(task).startswith((ONE, ALL))]


def _of_kvm(place: str) -> list[str]:
    return [thread for thread in _threads(place) if _name(thread).endswith(KVM)]


def _name(thread: str) -> str:
    try:
        return read(f"{thread}/comm").strip()
    except OSError:
        return ""


def _runs(thread: str) -> bool:
    try:
        return runs(thread)
    except (OSError, ValueError):
        return False


def _work(thread: str) -> str:
    """Give how often it was taken from a host's processor, by itself or by others: it changes whenever it ran."""
    try:
        lines = read(f"{thread}/status").splitlines()
    except OSError:
        return ""
    return " ".join(line for line in lines if "ctxt_switches" in line)
