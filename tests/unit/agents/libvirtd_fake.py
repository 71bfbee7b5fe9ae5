# SPDX-License-Identifier: GPL-2.0-or-later
"""A host whose libvirtd is as the test says; time passes only where something takes time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline
from backstay.host.daemon import Daemon
from backstay.host.guests import Guest
from backstay.host.jobs import Job
from backstay.host.libvirt_ping import Ping
from backstay.host.process import Completed
from backstay.host.systemd import Unit
from backstay.ocf.context import Call, Context
from backstay.ocf.parameters import Parameters

SERVICE = "libvirtd.service"
GOOD = Ping("answered", domains=("web1",))
SILENT = Ping("silent", "no answer within 5.0 s", 5.0)
REFUSED = Ping("refused", "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Connection refused")
RUNS = Unit(SERVICE, active="active", sub="running", pid=100)
OFF = Unit(SERVICE)
CRASHED = Unit(SERVICE, active="failed", sub="failed", result="signal", exit_status="11", exit_code="2")
ABSENT = Unit(SERVICE, loaded="not-found")
LISTENS = Unit("libvirtd.socket", active="active", sub="listening")
NO_SOCKET = Unit("libvirtd.socket")
LIMITED = Unit("libvirtd.socket", active="failed", sub="failed", result="service-start-limit-hit")
RECURRING = {"OCF_RESKEY_CRM_meta_interval": "10000", "OCF_RESKEY_CRM_meta_on_node": "n1"}


def daemon(ticks: int = 50, when: float = 1000.0, **more: Any) -> Daemon:
    return Daemon(100, 4711, ticks, when, **more)


class FakeHost:
    """`pings` are used up one by one, the last one stays; so are `daemons`. `did` is what was done to the host."""

    def __init__(
        self,
        *pings: Ping,
        service: Unit = RUNS,
        sockets: Sequence[Unit] = (LISTENS,),
        daemons: Sequence[Daemon | None] = (),
        jobs: Sequence[Sequence[Job]] = ((),),
        emulators: Sequence[str] = ("web1",),
        healthy: Sequence[str] = ("n2",),
        forbidden: str = "",
        memory: str = "",
    ) -> None:
        self.time = 1000.0
        self.pings = list(pings)
        self.service = service
        self.sockets = tuple(sockets)
        self.daemons = list(daemons)
        self.job_looks = list(jobs)
        self.running = tuple(emulators)
        self.healthy = tuple(healthy)
        self.forbidding = forbidden
        self.memory = memory
        self.did: list[str] = []
        self.told: list[str] = []
        self.around = "lock=;"
        self.deaf_systemd = False
        self.deaf_cluster = False
        self.healer_works = False
        self.blind = False
        self.seen_guests: Sequence[Guest] = ()
        self.others_notes: dict[str, str] = {}
        self.on_signal: dict[str, Any] = {}
        self.on_start: Any = None

    def _next(self, things: list[Any]) -> Any:
        return things.pop(0) if len(things) > 1 else (things[0] if things else None)

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds

    def ping(self, timeout: float) -> Ping:
        answer: Ping = self._next(self.pings)
        self.time += min(answer.seconds, timeout)
        return answer

    def units(self, timeout: float) -> tuple[Unit, tuple[Unit, ...]]:
        if self.deaf_systemd:
            raise CannotAsk("systemctl did not answer within 4.0 s")
        return self.service, self.sockets

    def look(self, pid: int) -> Daemon | None:
        return self._next(self.daemons) if pid else None

    def signal(self, target: Daemon, names: Sequence[str]) -> bool:
        self.did.append(f"signal {' '.join(names)} to {target.pid}")
        for name in names:
            self.on_signal.get(name, lambda: None)()
        return True

    def start(self, service: str, timeout: float, sockets: Sequence[str] = ()) -> Completed:
        self.did.append(" ".join(["start", *sockets, *([] if service == self.service.name else [service])]))
        if self.on_start:
            self.on_start()
        return Completed(["systemctl"], 0, "", "")

    def restart(self, units: Sequence[str], timeout: float) -> Completed:
        self.did.append(f"restart {' '.join(units)}")
        if self.on_start:
            self.on_start()
        return Completed(["systemctl"], 0, "", "")

    def guests(self, timeout: float) -> Sequence[Guest]:
        if self.blind:
            raise CannotAsk("no answer within 5.0 s")
        return self.seen_guests

    def notes(self, here: str, timeout: float) -> dict[str, str]:
        if self.deaf_cluster:
            raise CannotAsk("attrd_updater: Connection refused")
        return self.others_notes

    def publish_note(self, text: str, timeout: float) -> None:
        self.did.append(f"note {text}")

    def surroundings(self) -> str:
        return self.around

    def publish_surroundings(self, text: str, timeout: float) -> None:
        if self.deaf_cluster:
            raise CannotAsk("attrd_updater: Connection refused")
        self.told.append(text)

    def publish_strays(self, text: str, timeout: float) -> None:
        if self.deaf_cluster:
            raise CannotAsk("attrd_updater: Connection refused")
        self.did.append(f"strays {text}")

    def stop(self, units: Sequence[str], timeout: float) -> Completed:
        self.did.append(f"stop {' '.join(units)}")
        return Completed(["systemctl"], 0, "", "")

    def reset_failed(self, units: Sequence[str], timeout: float) -> Completed:
        self.did.append(f"reset-failed {' '.join(units)}")
        return Completed(["systemctl"], 0, "", "")

    def launch_healer(
        self,
        how: str,
        answer_within: float,
        budget: float,
        looked: tuple[int, int, int, float],
        timeout: float,
    ) -> bool:
        self.did.append(f"heal {how} within {budget:.0f}")
        return not self.healer_works

    def publish(self, value: str, timeout: float) -> None:
        if self.deaf_cluster:
            raise CannotAsk("attrd_updater: Connection refused")
        self.did.append(f"publish {value}")

    def healthy_elsewhere(self, here: str, timeout: float) -> tuple[str, ...]:
        if self.deaf_cluster:
            raise CannotAsk("crm_mon: Could not connect")
        assert here == "n1"
        return self.healthy

    def forbidden(self) -> str:
        return self.forbidding

    def jobs(self) -> Sequence[Job]:
        return self._next(self.job_looks)  # type: ignore[no-any-return]

    def emulators(self) -> Sequence[str]:
        return self.running

    def recall(self) -> str:
        return self.memory

    def remember(self, text: str) -> None:
        self.memory = text


class Said:
    """The log, as a list."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(f"warn: {text}")

    def note(self, text: str) -> None:
        self.lines.append(f"note: {text}")

    def alert(self, text: str) -> None:
        self.lines.append(f"ALERT: {text}")


def context(
    host: FakeHost, parameters: Parameters, action: str = "monitor", seconds: float = 27.0, **environ: str
) -> Context[Any]:
    call = Call("libvirtd", action, environ or RECURRING)
    return Context(call, parameters, Deadline(seconds, host.now), Said())  # type: ignore[arg-type]
