# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator's own control socket (QMP), for the time when libvirtd cannot be asked.

Decides whether the socket is free: QEMU serves one client at a time, so while libvirtd lives (even hung) a
second one is connected but gets no greeting. A conversation is short, so that a libvirtd that comes back finds the
socket free again. Source: QEMU's docs/interop/qmp-spec.
"""

from __future__ import annotations

import socket
import time

from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

CONNECTED = "03"
LONGEST = 1 << 20  # bytes of one message


class QmpTrouble(CannotAsk):
    """The socket is not there, not free or did not answer in time."""


class Qmp:
    """One conversation, for use in a `with`; `timeout` bounds all of it, in seconds. Raises QmpTrouble."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._end = time.monotonic() + timeout
        self._buffer = b""
        self._socket = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        try:
            self._socket.settimeout(self._left())
            self._socket.connect(self._path)
            self._message()
            self.execute("qmp_capabilities")
        except QmpTrouble:
            self._socket.close()
            raise
        except OSError as error:
            self._socket.close()
            raise QmpTrouble(f"the monitor socket {self._path} cannot be used: {error}") from error
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Run a command and give what it returns; events in between are passed over."""
        import json

        said: dict[str, Any] = {"execute": command}
        if arguments:
            said["arguments"] = arguments

        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(json.dumps(said).encode() + b"\r\n")
        except OSError as error:
            raise QmpTrouble(f"{command} could not be sent to {self._path}: {error}") from error
        while True:
            said = self._message()
            if "return" in said:
                return said["return"]
            if "error" in said:
                raise QmpTrouble(f"{command} was refused: {said['error']}")

    def _message(self) -> dict[str, Any]:
        import json

        while b"\n" not in self._buffer:
            try:
                self._socket.settimeout(self._left())
                part = self._socket.recv(65536)
            except OSError as error:
                raise QmpTrouble(f"no answer from {self._path}, libvirtd may hold it: {error}") from error
            if not part or len(self._buffer) > LONGEST:
                raise QmpTrouble(f"{self._path} ended the conversation")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            said = json.loads(line)
        except ValueError as error:
            raise QmpTrouble(f"{self._path} does not speak QMP: {error}") from error
        if not isinstance(said, dict):
            raise QmpTrouble(f"{self._path} does not speak QMP")
        return said

    def _left(self) -> float:
        return max(0.001, self._end - time.monotonic())


class Monitor:
    """What is asked of one emulator through its socket; `uuid` must be the emulator's own. Raises QmpTrouble."""

    __slots__ = ("_path", "_uuid")

    def __init__(self, path: str, uuid: str) -> None:
        self._path = path
        self._uuid = uuid.lower()

    def status(self, timeout: float) -> str:
        """Give QEMU's run state: running, paused, shutdown, io-error, watchdog, ..."""
        with self._ours(timeout) as qmp:
            return _word(qmp.execute("query-status"))

    def run_state(self, timeout: float) -> tuple[str, str]:
        """Give QEMU's run state and the state of its last migration, which may be none (an empty text).

        Who holds the socket is not disturbed: each client that comes in vain would wait in its queue for ever.
        """
        if _is_held(self._path):
            raise QmpTrouble(f"{self._path} is held by somebody else, as by a libvirtd that lives")
        with self._ours(timeout) as qmp:
            status, migration = qmp.execute("query-status"), qmp.execute("query-migrate")
        return _word(status), _word(migration)

    def power_down(self, timeout: float) -> None:
        """Press the guest's power button (ACPI)."""
        with self._ours(timeout) as qmp:
            qmp.execute("system_powerdown")

    def quit(self, timeout: float) -> None:
        """End the emulator; it writes out what it holds, the guest is not asked."""
        with self._ours(timeout) as qmp:
            qmp.execute("quit")

    def _ours(self, timeout: float) -> Qmp:
        return _Verified(self._path, timeout, self._uuid)


class _Verified(Qmp):
    """A conversation that goes on only with the emulator of that UUID."""

    def __init__(self, path: str, timeout: float, uuid: str) -> None:
        super().__init__(path, timeout)
        self._uuid = uuid

    def __enter__(self) -> Self:
        super().__enter__()
        answer = self.execute("query-uuid")
        if not isinstance(answer, dict) or str(answer.get("UUID", "")).lower() != self._uuid:
            self._socket.close()
            raise QmpTrouble(f"behind {self._path} is not the emulator {self._uuid}")
        return self


def _word(answer: object) -> str:
    return str(answer.get("status", "")) if isinstance(answer, dict) else ""


def _is_held(path: str) -> bool:
    """Whether QEMU has a client at that socket: what it accepted bears the path (unix(7)'s table in proc(5))."""
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as table:  # noqa: PTH123
            lines = [line.rstrip("\n").split(None, 7) for line in table]
    except OSError:
        return False
    return any(fields[7:] == [path] and fields[5] == CONNECTED for fields in lines)
