# SPDX-License-Identifier: GPL-2.0-or-later
"""The short way of a recurring monitor: nothing has changed since the long way found all well.

Decides only whether the last answer, 0, still holds; whatever it cannot see at once is left to the long way, which is
the agent itself. It exists because a monitor of every guest runs every few seconds on every host, and reading the
agent's modules costs more than looking. It loads next to nothing and starts nothing, asks nobody and waits for nothing.

What it takes for proof is what the long way takes: the same process (pid and start time) lives and was not stopped by
a signal, libvirt's last written word about it is "running" (libvirt_status says when that word holds), the libvirtd
that writes it lives and was not stopped either, and the parameters are the same text. Under KVM a processor of the
guest is seen running besides (host/vcpus.py), so that a libvirtd that hangs in any other way hides nothing. And
libvirt itself answered no longer than TRUSTED ago, because it only warns in its own log when it cannot write that word.

The long way removes the note before it looks, and writes it anew when its answer was 0: an answer that was anything
else, an agent that failed or was killed in the middle, is always followed by another long way.
"""

from __future__ import annotations

import os
import sys
import time

from backstay.host import libvirt_status
from backstay.host.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DIRECTORY = "/run/backstay/unchanged"
PARAMETER, PACEMAKERS = "OCF_RESKEY_", "OCF_RESKEY_CRM_meta_"
TRUSTED = 300.0  # seconds for which libvirt's written word is taken without a question
RUNS = "RSD"  # proc(5)'s letters of a process that was neither stopped nor ended
NOBODY = (0, 0)
NONE = "-"  # no processor of the guest can be looked at
FORM = "2"  # of the note; another one is another version's


def end_if_unchanged() -> None:
    """End this process with success if it is a recurring monitor and nothing has changed; return otherwise."""
    try:
        if is_recurring_monitor(sys.argv, os.environ) and Unchanged(os.environ).holds():
            os._exit(0)
    except Exception:  # noqa: BLE001  (whatever goes wrong in the short way, the long way answers)
        return


def is_recurring_monitor(argv: list[str], environ: Mapping[str, str]) -> bool:
    """Whether Pacemaker asks for a recurring monitor at the lowest check level."""
    interval = environ.get(f"{PACEMAKERS}interval", "0")
    return (
        argv[1:2] == ["monitor"] and interval.strip("0") != "" and environ.get("OCF_CHECK_LEVEL", "0") == "0"
    )


class Unchanged:
    """What the last long way of one resource instance left: who runs, who writes of it, and when libvirt answered."""

    __slots__ = (
        "_asked",
        "_environ",
        "_instance",
        "_now",
        "_proc",
        "_says_running",
        "_state",
        "_writer",
        "_wrote",
    )

    def __init__(
        self,
        environ: Mapping[str, str],
        state: State | None = None,
        proc: str = "/proc",
        now: Callable[[], float] = time.monotonic,
        says_running: Callable[[str, int], bool] = libvirt_status.says_running,
        writer: Callable[[], tuple[int, int]] = libvirt_status.writer,
    ) -> None:
        self._environ = environ
        self._instance = environ.get("OCF_RESOURCE_INSTANCE", "")
        self._state = State(DIRECTORY) if state is None else state
        self._proc = proc
        self._now = now
        self._says_running = says_running
        self._writer = writer
        self._asked = -TRUSTED
        self._wrote = NOBODY  # whose word was found to be true when libvirt was asked

    def holds(self) -> bool:
        """Whether the last answer still holds; raises OSError or ValueError where that cannot be seen."""
        facts, _, settings = self._state.read(self._instance).partition("\n")
        form, boot, pid, start, asked, writer, since, processor, name = facts.split(" ", 8)
        return (
            form == FORM
            and settings == _settings(self._environ)
            and boot == self._boot()
            and 0.0 <= self._now() - float(asked) < TRUSTED
            and self._lives(pid, start, RUNS)
            and self._lives(writer, since, libvirt_status.ATTENDS)
            and self._says_running(name, int(pid))
            and (processor == NONE or self._runs(pid, processor))
        )

    def take(self) -> None:
        """Begin the long way: remove the note, but know when libvirt was asked, and who it was."""
        try:
            fields = self._state.read(self._instance).partition("\n")[0].split(" ", 8)
            self._state.forget(self._instance)
            if len(fields) > 8 and fields[0] == FORM and 0.0 <= float(fields[4]) <= self._now():
                self._asked, self._wrote = float(fields[4]), (int(fields[5]), int(fields[6]))
        except (OSError, ValueError):
            return

    def says_running(self, name: str, pid: int) -> bool:
        """Whether libvirt's written word is enough; if not, the caller asks libvirt itself.

        A daemon that has just started has read the word of the one before, and not yet asked the emulators.
        """
        known, self._wrote = self._wrote, self._writer()
        if (
            self._now() - self._asked >= TRUSTED
            or self._wrote != known
            or known == NOBODY
            or not self._says_running(name, pid)
        ):
            return False
        from backstay.host import vcpus

        return vcpus.under_kvm(f"{self._proc}/{pid}") is not None

    def answered(self) -> None:
        """Remember that libvirt itself has just answered."""
        self._asked = self._now()

    def keep(self, name: str, pid: int, start: int) -> None:
        """End a long way that found all well."""
        from backstay.host import vcpus

        processor = vcpus.under_kvm(f"{self._proc}/{pid}")
        if processor is None:
            return  # the short way would have nothing to look at
        wrote, since = self._wrote
        asked = f"{self._asked:.1f}"
        facts = (
            FORM,
            self._boot(),
            str(pid),
            str(start),
            asked,
            str(wrote),
            str(since),
            processor or NONE,
            name,
        )
        try:
            self._state.write(self._instance, f"{' '.join(facts)}\n{_settings(self._environ)}")
        except OSError:
            return  # the next monitor goes the long way

    def _boot(self) -> str:
        return libvirt_status.read(f"{self._proc}/sys/kernel/random/boot_id").strip()

    def _lives(self, pid: str, start: str, letters: str) -> bool:
        _, state, since = libvirt_status.process(f"{self._proc}/{pid}")
        return state in letters and since == int(start)

    def _runs(self, pid: str, processor: str) -> bool:
        from backstay.host import vcpus

        return vcpus.runs(f"{self._proc}/{pid}/task/{processor}")


def _settings(environ: Mapping[str, str]) -> str:
    """Give the resource's parameters as one text; Pacemaker's own settings are not among them."""
    given = [
        f"{name}={value}"
        for name, value in environ.items()
        if name.startswith(PARAMETER) and not name.startswith(PACEMAKERS)
    ]
    return "\n".join(sorted(given))
