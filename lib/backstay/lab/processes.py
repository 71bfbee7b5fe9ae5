# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's own processes: started detached, recorded with pid and start time, ended by nothing else.

A pid alone proves nothing (it may have been given to somebody else since), so every signal goes through a file
descriptor of the process whose start time was compared. Never ends a process by its name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from backstay.host.clock import Deadline, TimedOut, pause
from backstay.host.process import ENVIRONMENT
from backstay.lab import cgroups, mounts, network
from backstay.lab.layout import Layout

MARK = "BACKSTAY_LAB_MEMBER"  # in the environment of everything that a lab starts on the machine
START_FIELD = 19  # of /proc/PID/stat behind the command's closing bracket (proc(5), field 22)


@dataclass(frozen=True, slots=True)
class Process:
    """One process and no later one with the same pid. `start` is in clock ticks since boot."""

    pid: int
    start: int


def look(pid: int) -> Process | None:
    """The living process with this pid; None when there is none, or only a zombie of it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else Process(pid, int(fields[START_FIELD]))


def alive(process: Process) -> bool:
    """Whether this very process lives."""
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)  # a child of ours would stay a zombie for ever
    return look(process.pid) == process


def spawn(
    layout: Layout, name: str, argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Process:
    """Start a process that outlives us, in a session and a group of its own, and record it as `name`.

    Its output is appended to `log`.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            [*cgroups.apart(name), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=ENVIRONMENT | dict(environment or {}) | {MARK: str(layout.directory)},
        )
    process = look(child.pid) or Process(child.pid, 0)
    child.returncode = 0  # it is nobody's child from here on: `alive` reaps it, no destructor waits for it
    record(layout, name, process)
    return process


def record(layout: Layout, name: str, process: Process) -> None:
    """Write down that a process belongs to the lab."""
    layout.processes.mkdir(parents=True, exist_ok=True)
    temporary = layout.processes / f".{name}"
    temporary.write_text(json.dumps(asdict(process)))
    temporary.rename(layout.processes / name)


def recorded(layout: Layout, name: str) -> Process | None:
    """The living process recorded under a name."""
    try:
        process = Process(**json.loads((layout.processes / name).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if alive(process) else None


def forget(layout: Layout, name: str) -> None:
    """Drop a record."""
    (layout.processes / name).unlink(missing_ok=True)


def send(process: Process, number: signal.Signals) -> bool:
    """Signal this very process; False when it is gone."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if look(process.pid) != process:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def end(processes: Iterable[Process], deadline: Deadline, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal processes and wait until they are gone; TimedOut names those that are not."""
    waiting = [process for process in processes if send(process, number)]
    while waiting := [process for process in waiting if alive(process)]:
        if deadline.expired:
            raise TimedOut(
                "the end of the lab's processes", ", ".join(describe(process) for process in waiting)
            )
        pause(0.02)


def stop(layout: Layout, name: str, seconds: float = 3.0) -> None:
    """End a recorded process, politely at first, and drop its record. Not running is as good."""
    process = recorded(layout, name)
    if process:
        with suppress(TimedOut):
            end([process], Deadline(seconds), signal.SIGTERM)
        end([process], Deadline(seconds))
    forget(layout, name)


def describe(process: Process) -> str:
    """A process in the admin's words: pid, state and command."""
    with suppress(OSError):
        name, _, rest = Path(f"/proc/{process.pid}/stat").read_text().partition(")")
        return f"{name.partition('(')[2]} (pid {process.pid}, state {rest.split()[0]})"
    return f"pid {process.pid}"


def members(layout: Layout) -> tuple[Process, ...]:
    """Every process of this lab, recorded or not: by its environment, its root, or its network namespace.

    Never the caller or its ancestors, which may stand inside the lab themselves (an admin's shell).
    """
    networks = _networks(layout)
    seen: dict[str, bool] = {}
    spared = _ancestors(os.getpid())
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = {pid for pid in pids if pid not in spared and _belongs(layout, pid, networks, seen)}
    names = [path.name for path in layout.processes.glob("[!.]*")] if layout.processes.is_dir() else []
    written = (recorded(layout, name) for name in names)
    mine = {process for process in written if process and process.pid not in spared}
    return tuple(mine | {process for process in map(look, found) if process})


def _belongs(layout: Layout, pid: int, networks: set[int], seen: dict[str, bool]) -> bool:
    with suppress(OSError):
        if f"{MARK}={layout.directory}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return True
    with suppress(OSError):
        if Path(f"/proc/{pid}/ns/net").stat().st_ino in networks:
            return True
    with suppress(OSError):
        namespace = str(Path(f"/proc/{pid}/ns/mnt").readlink())
        if namespace not in seen:
            seen[namespace] = _rooted_in(layout, mounts.of(pid))
        return seen[namespace]
    return False


def _rooted_in(layout: Layout, table: Iterable[mounts.Mount]) -> bool:
    """Whether a mount namespace's root is a node's: its overlay names the upper directory, whatever became of it."""
    return any(
        mount.point == Path("/")
        and mount.type == "overlay"
        and f"upperdir={layout.directory}/" in mount.options
        for mount in table
    )


def _networks(layout: Layout) -> set[int]:
    found = set()
    for name in layout.names() if network.is_free_for(layout) else ():
        with suppress(OSError):
            found.add(Path("/run/netns", layout.node(name).namespace).stat().st_ino)
    return found


def _ancestors(pid: int) -> set[int]:
    found = set()
    while pid > 0:
        found.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            break
    return found
