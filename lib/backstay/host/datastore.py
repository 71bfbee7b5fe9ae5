# SPDX-License-Identifier: GPL-2.0-or-later
"""One datastore as this host sees it: what the kernel says of the mount, and what a write to it comes to.

Decides nothing. Whatever touches the storage runs in a child that is abandoned at its deadline. One that cannot die
(D state) is remembered, and none is started beside it: a storage that hangs for a day has one process waiting, not
thousands.
"""

from __future__ import annotations

import errno
import os
import time

from backstay.host import child
from backstay.host.filesystems import MOUNTS, Mount, at
from backstay.host.proc import Proc
from backstay.host.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from backstay.host.gluster import Volume

ATTRIBUTE = "backstay-datastore-"
SIZE = 4096  # bytes that are written: one block of most file systems
SHOWN = 64 * 1024  # bytes that are read of a block device at most
MISMATCH = -1  # in the place of an errno: what was read is not what was written


class Answer:
    """What the storage answered: `failure` is an errno (0: none) at the step `step`; sizes are in bytes.

    `seconds` is how long all of it took. A size or a number of inodes of 0 in all is one that is not counted.
    """

    __slots__ = ("failure", "files", "files_free", "free", "seconds", "size", "step")

    def __init__(
        self,
        step: str = "",
        failure: int = 0,
        seconds: float = 0.0,
        size: int = 0,
        free: int = 0,
        files: int = 0,
        files_free: int = 0,
    ) -> None:
        self.step = step
        self.failure = failure
        self.seconds = seconds
        self.size = size
        self.free = free
        self.files = files
        self.files_free = files_free

    def __repr__(self) -> str:
        return f"Answer({self.step!r}, {self.failure}, {self.seconds:.3f} s, free {self.free} of {self.size})"


class Stuck:
    """A child that was abandoned and still waits: its pid, start time (clock ticks) and since when."""

    __slots__ = ("pid", "since", "start")

    def __init__(self, pid: int, start: int, since: float) -> None:
        self.pid = pid
        self.start = start
        self.since = since


class Host:
    """The host that the agent runs on. `name` is the resource's; asking the cluster raises CannotAsk."""

    __slots__ = ("_state", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._state = State()

    def now(self) -> float:
        """Give the seconds since boot, as the memory counts them."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))

    def mount(self, directory: str) -> Mount | None:
        """Give what is mounted exactly there, by the kernel's list; the storage is not touched. Raises OSError."""
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            return at(directory, file.read())

    def same_device(self, path: str, other: str) -> bool:
        """Whether two names of /dev mean the same device."""
        return os.path.realpath(path) == os.path.realpath(other)

    def waits(self, stuck: Stuck) -> str:
        """Say in what an abandoned child still waits; empty when it is gone."""
        found = Proc().look(stuck.pid, with_arguments=False)
        if found is None or found.start != stuck.start:
            return ""
        return ", ".join(Proc().blocked(stuck.pid)) or "the storage"

    def ask(self, path: str, write: bool, timeout: float, begun: Callable[[Stuck], None]) -> Answer | Stuck:
        """Use the storage in a child; when it does not answer in time, give the child that was abandoned.

        `path` is a directory, or a block device, which is only read. `begun` is told of the child at once, so that
        it is known also when this process is killed while it waits.
        """
        mark = f".backstay-{os.uname().nodename}-{self.name.replace('/', '_')}"
        content = f"{mark} {time.time():.3f} {os.getpid()}\n".encode().ljust(SIZE, b".")
        began = time.monotonic()
        pending = child.Pending(lambda: _use(path, mark if write else "", content))
        process = Proc().look(pending.pid, with_arguments=False)
        stuck = Stuck(pending.pid, process.start if process else 0, began)
        try:
            begun(stuck)
            if pending.wait(timeout):
                return Answer(*pending.answer())
        except child.Broke:
            return Answer("look", errno.EIO, time.monotonic() - began)
        finally:
            pending.abandon()
        return stuck

    def kill(self, stuck: Stuck) -> None:
        """Tell an abandoned child once more to end, if it is still that process."""
        from signal import SIGKILL

        from backstay.host.daemon import Daemon, signal

        signal(Daemon(stuck.pid, stuck.start, 0, 0.0), [SIGKILL])

    def volume(self, name: str, timeout: float) -> Volume:
        """Ask GlusterFS about a volume; raises CannotAsk."""
        from backstay.host.gluster import ask

        return ask(name, timeout)

    def publish(self, value: str, timeout: float) -> None:
        """Set this host's attribute for this datastore; empty removes it."""
        from backstay.host.attributes import Attributes

        Attributes().publish(ATTRIBUTE + self.name, value, timeout)

    def healthy_elsewhere(self, here: str, timeout: float) -> tuple[str, ...]:
        """Give the other hosts that resources may be moved to and on which this datastore is healthy."""
        from backstay.host.attributes import Attributes

        return Attributes().healthy_elsewhere(ATTRIBUTE + self.name, here, timeout)

    def recall(self) -> str:
        """Give what was remembered, or an empty text."""
        try:
            return self._state.read(f"datastore-{self.name}")
        except OSError:
            return ""

    def hidden(self) -> str:
        """Say why what was remembered may not be read; nothing when it may, or when there is none."""
        try:
            self._state.read(f"datastore-{self.name}")
        except OSError as error:
            return f"{self._state.directory}: {error.strerror}"
        return ""

    def remember(self, text: str) -> None:
        """Remember a text; an empty one forgets. Raises OSError."""
        if text:
            self._state.write(f"datastore-{self.name}", text)
        else:
            self._state.forget(f"datastore-{self.name}")


def _use(path: str, mark: str, content: bytes) -> tuple[str, int, float, int, int, int, int]:
    """Be the child: look, write, read back; give the fields of an Answer."""
    began, step = time.monotonic(), "look"
    size = free = files = files_free = 0
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if not os.path.isdir(path):  # noqa: PTH112
            step = "read"
            os.posix_fadvise(handle, 0, SHOWN, os.POSIX_FADV_DONTNEED)
            os.read(handle, SIZE)
        else:
            found = os.fstatvfs(handle)
            free = found.f_bavail * found.f_frsize
            size = (found.f_blocks - found.f_bfree) * found.f_frsize + free
            files, files_free = found.f_files, found.f_ffree
            if mark:
                step = "write"
                _write(handle, mark, content)
                step = "read back"
                if _read(handle, mark) != content:
                    return step, MISMATCH, time.monotonic() - began, size, free, files, files_free
                step = "remove"
                os.unlink(mark, dir_fd=handle)
            else:
                step = "list"
                with os.scandir(path) as entries:
                    next(entries, None)
    except OSError as error:
        return step, error.errno or errno.EIO, time.monotonic() - began, size, free, files, files_free
    return "", 0, time.monotonic() - began, size, free, files, files_free


def _write(directory: int, name: str, content: bytes) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(name, flags, 0o600, dir_fd=directory)
    try:
        left = content
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
        # or the page cache would answer for the storage
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        from contextlib import suppress

        with suppress(OSError):
            os.unlink(name, dir_fd=directory)  # what is left would take the last place
        raise
    finally:
        os.close(handle)


def _read(directory: int, name: str) -> bytes:
    handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
    try:
        return os.read(handle, 2 * SIZE)
    finally:
        os.close(handle)
