# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt's guests are in the middle of, as libvirt itself wrote it down, readable while libvirtd is hung.

Decides what counts as a job: a migration, save or dump (an asynchronous job), or a block job. Never asks libvirtd.
Source: the run-time status that libvirt keeps for each running domain in /run/libvirt/qemu/NAME.xml and replaces at
each change; its <job async=...> and <blockjobs active='yes'>.
"""

from __future__ import annotations

import os

from backstay.host.daemon import ticks

RUN = "/run/libvirt/qemu"
READING = 2.0  # seconds for the arguments of all emulators
QUIET_JOBS = ("", "none")


class Job:
    """A job of one guest; `work` is what its emulator has done so far: a number that grows while it does anything."""

    __slots__ = ("guest", "kind", "work")

    def __init__(self, guest: str, kind: str, work: int) -> None:
        self.guest = guest
        self.kind = kind
        self.work = work

    def __repr__(self) -> str:
        return f"Job({self.guest}: {self.kind}, work={self.work})"


def running(directory: str = RUN) -> tuple[Job, ...]:
    """Give the jobs of all guests; a status that cannot be read holds none that could be waited for."""
    from xml.etree import ElementTree as ET

    found = []
    for name in _names(directory, ".xml"):
        try:
            status = ET.parse(f"{directory}/{name}.xml").getroot()
        except (OSError, ET.ParseError):
            continue
        kind = _kind(status.find("job"), status.find("blockjobs"))
        pid = status.get("pid", "0")
        if kind and pid.isdecimal():
            found.append(Job(name, kind, _work(int(pid))))
    return tuple(found)


def emulators(directory: str = RUN, proc: str = "/proc") -> tuple[str, ...]:
    """Give the names of the guests whose emulator lives, by the pid files that libvirt wrote.

    Arguments are read from a process's memory, which blocks while it is stuck in the kernel with its memory map locked:
    so that is done where it can be abandoned, and then each process that is there counts.
    """
    from backstay.errors import CannotAsk
    from backstay.host.child import ask

    pids = []
    for name in _names(directory, ".pid"):
        try:
            with open(f"{directory}/{name}.pid") as text:  # noqa: PTH123
                pids.append((name, int(text.read())))
        except (OSError, ValueError):
            continue
    try:
        return tuple(ask(lambda: [name for name, pid in pids if _is_of(name, f"{proc}/{pid}")], READING))
    except (OSError, CannotAsk):
        return tuple(name for name, pid in pids if os.path.isdir(f"{proc}/{pid}"))  # noqa: PTH112


def _is_of(name: str, process: str) -> bool:
    try:
        with open(f"{process}/cmdline", "rb") as command:  # noqa: PTH123
            return f"guest={name},".encode() in command.read()
    except OSError:
        return False


def _work(pid: int) -> int:
    """Add up CPU (clock ticks) and I/O (bytes): a copy that crawls uses next to no CPU."""
    done = ticks(pid)
    try:
        with open(f"/proc/{pid}/io") as text:  # noqa: PTH123
            done += sum(int(line.split()[1]) for line in text if line.startswith(("rchar", "wchar")))
    except (OSError, ValueError, IndexError):
        return done
    return done


def _names(directory: str, ending: str) -> list[str]:
    try:
        entries = sorted(os.listdir(directory))  # noqa: PTH208
    except OSError:
        return []
    return [entry.removesuffix(ending) for entry in entries if entry.endswith(ending)]


def _kind(job: object, blockjobs: object) -> str:
    asynchronous = getattr(job, "attrib", {}).get("async", "")
    if asynchronous not in QUIET_JOBS:
        return asynchronous.replace("_", " ")  # type: ignore[no-any-return]
    return "block job" if getattr(blockjobs, "attrib", {}).get("active") == "yes" else ""
