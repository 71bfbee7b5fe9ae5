# SPDX-License-Identifier: GPL-2.0-or-later
"""The host that a frontend role runs on: its units, what answers, the lease, what is remembered.

Decides nothing. The lease may lie on shared storage, so it is read and written where that can be abandoned.
"""

from __future__ import annotations

import os
import time

from backstay.host import child
from backstay.host.state import DIRECTORY as STATE
from backstay.host.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from backstay.host.ganeti import Node
    from backstay.host.probes import Answer, Probe
    from backstay.host.process import Completed
    from backstay.host.recoveries import Seen
    from backstay.host.systemd import Unit

    class Command(Protocol):
        """What is run (agents.frontend_profile.Command)."""

        argv: tuple[str, ...]


ATTRIBUTE = "backstay-frontend-"
PROFILES = "/etc/backstay/profiles"
STARTED = "frontend-units-"  # begins the name of what is remembered of a role that was started
RECORDS = "/var/lib/backstay"
RECOVERY = ("/usr/bin/python3", "-I", "-m", "backstay.agents.recovery_worker")
LARGEST = 1 << 20  # bytes of a profile or a lease
COMM = 15  # letters of a program's name that the kernel keeps, proc(5)


class Host:
    """The host that the agent runs on. `name` is the resource's. Asking systemd or the cluster raises CannotAsk."""

    __slots__ = ("_state", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._state = State()

    def now(self) -> float:
        """Give the seconds since boot, as the memory counts them."""
        return time.monotonic()

    def clock(self) -> float:
        """Give the seconds since the epoch, for records that other hosts read."""
        return time.time()

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))

    def nodename(self) -> str:
        """Give the name that this host gives itself."""
        return os.uname().nodename

    def boot(self) -> str:
        """Give the kernel's name for this boot."""
        from backstay.host.proc import Proc

        return Proc().boot()

    # ---- units

    def units(self, names: Sequence[str], timeout: float) -> dict[str, Unit]:
        """Ask systemd about units."""
        from backstay.host.systemd import Systemd

        return Systemd().show(names, timeout) if names else {}

    def leftovers(self, unit: Unit) -> tuple[int, ...]:
        """Give the processes that a unit has, also one that is down."""
        from backstay.host.cgroup import processes

        return processes(unit.group)

    def start(self, unit: str, timeout: float) -> Completed:
        """Start a unit, and wait until systemd says how it went."""
        from backstay.host.systemd import Systemd

        return Systemd().start([unit], timeout)

    def stop(self, unit: str, timeout: float) -> Completed:
        """Begin to stop a unit."""
        from backstay.host.systemd import Systemd

        return Systemd().stop([unit], timeout)

    def kill(self, unit: str, timeout: float) -> Completed:
        """Kill every process of a unit."""
        from backstay.host.systemd import Systemd

        return Systemd().kill([unit], timeout)

    def reset_failed(self, unit: str, timeout: float) -> Completed:
        """Make systemd forget that a unit failed."""
        from backstay.host.systemd import Systemd

        return Systemd().reset_failed([unit], timeout)

    # ---- what the profile wants

    def run(self, command: Command, timeout: float) -> Completed:
        """Run a command."""
        from backstay.host.process import run

        return run(command.argv, timeout=timeout)

    def ask(self, probes: Sequence[Probe], at_most: float) -> tuple[Answer, ...]:
        """Ask all probes at once."""
        from backstay.host.probes import ask

        return ask(probes, at_most)

    def hangs(self, words: Sequence[str]) -> bool:
        """Whether a process of these words waits in D state: another one would only wait beside it."""
        from backstay.host.proc import Proc

        proc = Proc()
        # The arguments of a process in D state may not be readable, so the name that the kernel keeps is compared.
        name = os.path.basename(words[0])[:COMM]  # noqa: PTH119
        return any(proc.text(pid, "comm").strip() == name for pid in proc.pids() if proc.blocked(pid))

    def profile(self, name: str) -> str:
        """Give the text of the profile that an admin wrote; raises OSError."""
        with open(f"{PROFILES}/{name}.toml", encoding="utf-8") as file:  # noqa: PTH123
            return file.read(LARGEST)

    def configuration(self, path: str) -> str:
        """Give a configuration file of the software on this host, empty when there is none."""
        try:
            return _text(path)
        except OSError:
            return ""

    def beginning(self, path: str, length: int, timeout: float) -> bytes:
        """Give the first bytes of a file that may lie on storage that hangs, empty when there is none."""
        return bytes(child.ask(lambda: _beginning(path, length), timeout))

    def usable(self, directory: str, timeout: float) -> str:
        """Write, flush, read back and remove a small file in a directory; say what is wrong, or nothing."""
        return str(child.ask(lambda: _use(f"{directory}/.backstay-{os.uname().nodename}"), timeout))

    def oned(self, url: str, credentials: str, method: str, words: Sequence[object], timeout: float) -> str:
        """Ask OpenNebula; raises CannotAsk, host.opennebula.Refused when it answered and said no."""
        from backstay.host.opennebula import call

        return call(url, credentials, method, words, timeout)

    def ganeti(self) -> Node:
        """Give the node of a Ganeti cluster that this host is."""
        from backstay.host.ganeti import Node

        return Node()

    # ---- the lease

    def lease(self, path: str, change: Callable[[str], tuple[str, str]], timeout: float) -> str:
        """Read the lease, write what `change` makes of it, and give what `change` says besides. Raises CannotAsk."""
        return str(child.ask(lambda: _changed(path, change), timeout))

    def read_lease(self, path: str, timeout: float) -> str:
        """Give the text of the lease, empty when there is none; raises CannotAsk."""
        return str(child.ask(lambda: _text(path), timeout))

    def record(self, change: Callable[[str], tuple[str, str]]) -> None:
        """Change this host's own record of the role as the lease; raises OSError."""
        os.makedirs(RECORDS, 0o755, exist_ok=True)  # noqa: PTH103
        _changed(f"{RECORDS}/role-{self.name}", change)

    # ---- the cluster

    def publish(self, value: str, timeout: float) -> None:
        """Set this host's attribute for this role; empty removes it."""
        from backstay.host.attributes import Attributes

        Attributes().publish(ATTRIBUTE + self.name, value, timeout)

    def members(self, timeout: float) -> frozenset[str]:
        """Give the hosts that are online in this partition of the cluster, whatever else they are."""
        from backstay.host.attributes import Attributes

        return Attributes().online(timeout)

    # ---- recovery

    def look(self, timeout: float) -> Seen:
        """Look at hosts, fencings and records."""
        from backstay.host.recoveries import look

        return look(timeout)

    def guest_notes(self, timeout: float) -> dict[str, str]:
        """Give what each host's libvirtd agent noted of its guests (agents.libvirtd_strays) since it came up."""
        from backstay.host.attributes import Attributes
        from backstay.host.libvirtd import NOTE

        return Attributes().values(NOTE, timeout)

    def keep(self, host: str, text: str, timeout: float) -> None:
        """Write the record about a host."""
        from backstay.host.recoveries import keep

        keep(host, text, timeout)

    def say_recovery(self, text: str, timeout: float) -> None:
        """Set this host's attribute about recovery; empty removes it."""
        from backstay.host.attributes import Attributes
        from backstay.host.recoveries import SAYS

        Attributes().publish(SAYS, text, timeout)

    def launch_recovery(self, words: Sequence[str], timeout: float) -> bool:
        """Start the service that recovers without waiting for it; False when the last one still works."""
        from backstay.host.systemd import Systemd

        return Systemd().launch(self.recovery_unit, [*RECOVERY, self.name, *words], timeout)

    @property
    def recovery_unit(self) -> str:
        """The name of the service that recovers."""
        return f"backstay-recover-{self.name}.service"

    # ---- memory

    def recall(self, what: str = "") -> str:
        """Give what was remembered (of a kind), or an empty text."""
        try:
            return self._state.read(f"frontend{what}-{self.name}")
        except OSError:
            return ""

    def remember(self, text: str, what: str = "") -> None:
        """Remember a text; an empty one forgets. Raises OSError."""
        if text:
            self._state.write(f"frontend{what}-{self.name}", text)
        else:
            self._state.forget(f"frontend{what}-{self.name}")


def roles_here(timeout: float = 10.0) -> tuple[tuple[str, str], ...]:
    """Give the roles that were started on this host, with their profiles; raises CannotAsk."""
    from backstay.errors import CannotAsk
    from backstay.host.process import run

    try:
        entries = os.listdir(STATE)  # noqa: PTH208
    except OSError:
        return ()
    names = [entry.removeprefix(STARTED) for entry in entries if entry.startswith(STARTED)]
    found = []
    for name in sorted(names):
        asked = run(["crm_resource", "--resource", name, "--get-parameter", "profile"], timeout=timeout)
        if not asked.ok:
            raise CannotAsk(f"which profile {name} has is not known: {asked.complaint()}")
        found.append((name, asked.stdout.strip()))
    return tuple(found)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read(LARGEST)
    except FileNotFoundError:
        return ""


def _beginning(path: str, length: int) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(length)
    except FileNotFoundError:
        return b""


def _use(path: str) -> str:
    from backstay.host.durable import replace

    content = os.urandom(512)
    try:
        replace(path, content)
        found = _beginning(path, len(content))
        os.unlink(path)  # noqa: PTH108
    except OSError as error:
        return error.strerror or str(error)
    return "" if found == content else "what was written is not what is read"


def _changed(path: str, change: Callable[[str], tuple[str, str]]) -> str:
    from backstay.host.durable import replace

    before = _text(path)
    after, said = change(before)
    if after != before:
        replace(path, after.encode())
    return said
