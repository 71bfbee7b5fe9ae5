# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes of this host as /proc shows them: start time, state, arguments.

Decides when a process is gone: when no thread of it can run any more. The leader of a process with a thread in
D state is shown as a zombie while that thread still holds the disks; such a process is not gone. psutil would take it
for gone, and shows neither the state of a thread nor what it waits for. Never sends anything anywhere. Source: proc(5).
"""

from __future__ import annotations

import os

DEAD = "ZXx"
STOPPED = "Tt"  # by a signal, by a tracer
BLOCKED = "D"
RUNNABLE = "R"
FIRST = 1  # a pid that always exists
# counted after the closing bracket of the command
STATE_FIELD, FLAGS_FIELD, THREADS_FIELD, START_FIELD = 0, 6, 17, 19
KERNEL_THREAD = 0x00200000  # PF_KTHREAD, a flag of include/linux/sched.h


class Process:
    """One process; `start` is in clock ticks since boot and makes the pid unmistakable. `state` is proc(5)'s letter."""

    __slots__ = ("arguments", "pid", "start", "state")

    def __init__(self, pid: int, start: int, state: str, arguments: tuple[str, ...] = ()) -> None:
        self.pid = pid
        self.start = start
        self.state = state
        self.arguments = arguments

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Process):
            return NotImplemented
        return (self.pid, self.start) == (other.pid, other.start)

    def __hash__(self) -> int:
        return hash((self.pid, self.start))

    def __repr__(self) -> str:
        return f"Process({self.pid}, {self.start}, {self.state!r})"


class Proc:
    """A mounted proc file system. Methods raise OSError when it cannot be read, never for a process that ended."""

    __slots__ = ("root",)

    def __init__(self, root: str = "/proc") -> None:
        self.root = root

    def boot(self) -> str:
        """Give the kernel's name for this boot."""
        return _read(f"{self.root}/sys/kernel/random/boot_id").decode().strip()

    def look(self, pid: int, with_arguments: bool = True) -> Process | None:
        """Give the process of that pid, or None when it is gone."""
        try:
            return self._look(pid, with_arguments)
        except (FileNotFoundError, ProcessLookupError):
            return None

    def all(self, past_blocked: bool = False) -> list[Process]:
        """Give every process that is not gone, with its arguments; threads of the kernel are none.

        `past_blocked`: without the arguments of those that wait in D state. Raises OSError where some may be hidden.
        """
        seen = (self._look_outside(pid, not (past_blocked and self.blocked(pid))) for pid in self.pids())
        return [process for process in seen if process is not None]

    def pids(self) -> list[int]:
        """Give the pids of all processes; raises OSError where some may be hidden."""
        pids = [int(name) for name in os.listdir(self.root) if name.isdecimal()]  # noqa: PTH208
        if FIRST not in pids:  # the mount option hidepid, and no right to see through it
            raise PermissionError(f"{self.root} hides the processes of others")
        return pids

    def text(self, pid: int, name: str) -> str:
        """Give a small file of the process (cgroup, status); empty when the process is gone."""
        try:
            return _read(f"{self.root}/{pid}/{name}").decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def blocked(self, pid: int) -> tuple[str, ...]:
        """Give the kernel functions in which threads of the process wait uninterruptibly (D state)."""
        found = []
        for task in self._tasks(pid):
            try:
                if _fields(_read(f"{task}/stat"))[STATE_FIELD] == BLOCKED:
                    found.append(_read(f"{task}/wchan").decode() or "?")
            except OSError:
                continue
        return tuple(dict.fromkeys(found))

    def runnable(self, pid: int) -> bool:
        """Whether a thread of the process runs, or would if it were given a processor."""
        for task in self._tasks(pid):
            try:
                if _fields(_read(f"{task}/stat"))[STATE_FIELD] == RUNNABLE:
                    return True
            except OSError:
                continue
        return False

    def open_files(self, pid: int) -> tuple[str, ...]:
        """Give the paths of the regular files and block devices that the process holds open, without touching them."""
        found = []
        for task in self._tasks(pid):
            try:
                names = os.listdir(f"{task}/fd")  # noqa: PTH208
                found += [os.readlink(f"{task}/fd/{name}") for name in names]  # noqa: PTH115
            except OSError:
                continue
            if found:
                break
        return tuple(sorted({path for path in found if path.startswith("/") and not _is_special(path)}))

    def _look_outside(self, pid: int, with_arguments: bool) -> Process | None:
        """Give the process of that pid; None for a thread of the kernel and for one that is gone."""
        try:
            return self._look(pid, with_arguments, KERNEL_THREAD)
        except (FileNotFoundError, ProcessLookupError):
            return None

    def _look(self, pid: int, with_arguments: bool, not_with: int = 0) -> Process | None:
        base = f"{self.root}/{pid}"
        fields = _fields(_read(f"{base}/stat"))
        if not_with and int(fields[FLAGS_FIELD]) & not_with:
            return None
        state, start = fields[STATE_FIELD], int(fields[START_FIELD])
        if state in DEAD:
            living = self._living_thread(pid, base)
            if living is None:
                return None
            base, state = living
        return Process(pid, start, state, _arguments(base) if with_arguments else ())

    def _living_thread(self, pid: int, leader: str) -> tuple[str, str] | None:
        for task in self._tasks(pid):
            try:
                state = _fields(_read(f"{task}/stat"))[STATE_FIELD]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state not in DEAD and task != leader:
                return task, state
        return None

    def _tasks(self, pid: int) -> list[str]:
        try:
            return [f"{self.root}/{pid}/task/{name}" for name in os.listdir(f"{self.root}/{pid}/task")]  # noqa: PTH208
        except (FileNotFoundError, ProcessLookupError):
            return []


def _is_special(path: str) -> bool:
    return path.startswith(
        ("/dev/null", "/dev/pts/", "/dev/kvm", "/dev/net/", "/dev/vhost", "/proc/", "/memfd:")
    )


def _arguments(base: str) -> tuple[str, ...]:
    """Give the arguments; empty for a kernel thread and for a process that is about to end."""
    text = _read(f"{base}/cmdline").decode("utf-8", "surrogateescape")
    return tuple(text.rstrip("\0").split("\0")) if text else ()


def _fields(stat: bytes) -> list[str]:
    """Split a stat line after the command, which may hold spaces and brackets; raises OSError when it is none."""
    fields = stat.rpartition(b")")[2].decode("utf-8", "replace").split()
    if len(fields) <= START_FIELD or not fields[START_FIELD].isdecimal():
        raise OSError(f"this is not the state of a process: {stat[:80]!r}")
    return fields


def _read(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(handle, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(handle)
