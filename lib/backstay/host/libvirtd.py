# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirtd (or virtqemud) on this host: everything that its agent and its healer see and do, in one place.

Decides nothing. Imports lazily, because a healthy monitor needs the question and the memory only.
"""

from __future__ import annotations

import time

from backstay.host.libvirt_ping import ping
from backstay.host.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.host.daemon import Daemon
    from backstay.host.guests import Guest
    from backstay.host.jobs import Job
    from backstay.host.libvirt_ping import Ping
    from backstay.host.process import Completed
    from backstay.host.systemd import Unit

HEALER = "backstay-heal-libvirtd.service"
HEALER_ARGV = ("/usr/bin/python3", "-I", "-m", "backstay.agents.libvirtd_heal")
ATTRIBUTE = "backstay-libvirtd"
NOTE = "backstay-guests"  # private: which guests run here, for the other hosts' comparison
STRAYS = "backstay-strays"
MEMORY = "libvirtd"
INHIBIT = ("/run/backstay/inhibit", "/etc/backstay/inhibit")


class Host:
    """The host that the agent runs on; asking systemd or the cluster raises CannotAsk. Times are in seconds."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = State()

    def now(self) -> float:
        """Give the seconds since boot, as the memory counts them."""
        return time.monotonic()

    def ping(self, timeout: float) -> Ping:
        """Ask libvirtd the question that goes all the way."""
        return ping(timeout)

    def units(self, timeout: float) -> tuple[Unit, tuple[Unit, ...]]:
        """Give the service that serves QEMU's domains here, and those of its sockets that are installed.

        All units that it might be are looked at in one question.
        """
        from backstay.host.libvirt_units import UNITS, serving
        from backstay.host.systemd import Systemd

        systemd = Systemd()
        units = systemd.show(UNITS, timeout)
        family = serving(units)
        service = units[family.service]
        if service.active == "deactivating" and service.job:
            service.stopping = systemd.jobs(timeout).get(service.name) == "stop"
        return service, tuple(units[name] for name in family.sockets if units[name].installed)

    def look(self, pid: int) -> Daemon | None:
        """Look at the daemon's process."""
        from backstay.host import daemon

        return daemon.look(pid)

    def signal(self, daemon: Daemon, names: Sequence[str]) -> bool:
        """Send signals (without SIG) to exactly that process; what it dumps for them is limited first."""
        import signal

        from backstay.host.cores import allowance
        from backstay.host.daemon import signal as send

        core = allowance(self._state, self.now()) if "ABRT" in names else None
        return send(daemon, [signal.Signals[f"SIG{name}"] for name in names], core)

    def start(self, service: str, timeout: float, sockets: Sequence[str] = ()) -> Completed:
        """Start these sockets and the service, which brings its local ones along. Waits for systemd's answer."""
        from backstay.host.systemd import Systemd

        return Systemd().start([*sockets, service], timeout)

    def restart(self, units: Sequence[str], timeout: float) -> Completed:
        """Begin to restart these units, all in their order."""
        from backstay.host.systemd import Systemd

        return Systemd().restart(units, timeout)

    def stop(self, units: Sequence[str], timeout: float) -> Completed:
        """Begin to stop these units."""
        from backstay.host.systemd import Systemd

        return Systemd().stop(units, timeout)

    def reset_failed(self, units: Sequence[str], timeout: float) -> Completed:
        """Make systemd forget that these units failed."""
        from backstay.host.systemd import Systemd

        return Systemd().reset_failed(units, timeout)

    def launch_healer(
        self,
        how: str,
        answer_within: float,
        budget: float,
        looked: tuple[int, int, int, float],
        timeout: float,
    ) -> bool:
        """Start the healer without waiting for it; False when the last one still works.

        `looked` are pid, start, ticks and when of the monitor's last look at a daemon that does not answer.
        """
        from backstay.host.systemd import Systemd

        words = [how, f"{answer_within:g}", f"{budget:g}", *map(str, looked)]
        return Systemd().launch(HEALER, [*HEALER_ARGV, *words], timeout)

    def publish(self, value: str, timeout: float) -> None:
        """Set this host's attribute; empty removes it."""
        from backstay.host.attributes import Attributes

        Attributes().publish(ATTRIBUTE, value, timeout)

    def healthy_elsewhere(self, here: str, timeout: float) -> tuple[str, ...]:
        """Give the other hosts that guests may be moved to and that say that their libvirtd is healthy."""
        from backstay.host.attributes import Attributes

        return Attributes().healthy_elsewhere(ATTRIBUTE, here, timeout)

    def forbidden(self) -> str:
        """Say why nothing may be done to libvirtd now, or give an empty text."""
        import os

        from backstay.host.packages import at_work

        for path in INHIBIT:
            if os.path.exists(path):  # noqa: PTH110
                return f"{path} is there"
        lock = at_work()
        return f"a package manager is at work (it holds {lock})" if lock else ""

    def jobs(self) -> tuple[Job, ...]:
        """Give what guests are in the middle of."""
        from backstay.host.jobs import running

        return running()

    def emulators(self) -> tuple[str, ...]:
        """Give the guests whose emulator lives, as libvirt wrote them down or as their own agents did."""
        from backstay.host.guests import recorded
        from backstay.host.jobs import emulators

        return tuple(dict.fromkeys((*emulators(), *recorded())))

    def guests(self, timeout: float) -> tuple[Guest, ...]:
        """Look at all emulators of this host; raises OSError as well."""
        from backstay.host.guests import guests

        return guests(timeout)

    def notes(self, here: str, timeout: float) -> dict[str, str]:
        """Give what each other host said last of the guests that run on it."""
        from backstay.host.attributes import Attributes

        attributes = Attributes()
        own = here or attributes.local(timeout)
        return {host: text for host, text in attributes.values(NOTE, timeout).items() if host != own}

    def publish_note(self, text: str, timeout: float) -> None:
        """Tell the other hosts which guests run here, past the CIB."""
        from backstay.host.attributes import Attributes

        Attributes().publish(NOTE, text, timeout, private=True)

    def surroundings(self) -> str:
        """Give what this host has for guests that may come, as other hosts are told of it."""
        from backstay.host.elsewhere import lock_manager
        from backstay.host.surroundings import here

        return here(lock_manager("qemu:///system")).text()

    def publish_surroundings(self, text: str, timeout: float) -> None:
        """Tell the other hosts, past the CIB."""
        from backstay.host.attributes import Attributes
        from backstay.host.surroundings import ATTRIBUTE as name

        Attributes().whisper(name, text, timeout)

    def publish_strays(self, text: str, timeout: float) -> None:
        """Set this host's attribute about guests that nobody knows or that run twice; empty removes it."""
        from backstay.host.attributes import Attributes

        Attributes().publish(STRAYS, text, timeout)

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))

    def recall(self) -> str:
        """Give what was remembered, or an empty text."""
        try:
            return self._state.read(MEMORY)
        except OSError:
            return ""

    def remember(self, text: str) -> None:
        """Remember a text; a memory that cannot be written is no reason to fail."""
        try:
            self._state.write(MEMORY, text)
        except OSError:
            return
