# SPDX-License-Identifier: GPL-2.0-or-later
"""The rehearsal of a resource agent: the processes that Pacemaker would start, on a throw-away host and guest.

Decides the steps, what each must come to, and what a failure means. The host is given to it: nothing here can reach a
real one. What a step proves is what it says about a truth that is looked at from outside: after a start there is an
emulator, after a stop there is none, a refused migration left the guest where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

SUCCESS, FAILED, NOT_RUNNING, DEGRADED = 0, 1, 7, 190
INTERNAL = "internal error"  # how an agent's own failure begins (ocf.failure)
COMPLETED = "could not be completed"
INSTANCE = "rehearsal"
NOBODYS = "backstay-rehearsal"  # a DRBD resource that no configuration has
ELSEWHERE = "backstay-rehearsal.invalid"  # a host that no name service knows (RFC 2606)
TRUE = "/usr/bin/true"
STORE = "/var/lib/backstay"  # a file system of its own in a private host
QUICK = 20.0  # seconds: Pacemaker's default timeout


class Spoken(Protocol):
    """What a run of an agent came to; `code` is None when it did not end in time or could not be run."""

    @property
    def code(self) -> int | None: ...

    @property
    def out(self) -> str: ...

    @property
    def err(self) -> str: ...

    @property
    def reason(self) -> str: ...


class Host(Protocol):
    """The host of the rehearsal (host.private_host); `unit` is its one systemd unit."""

    config: Path
    unit: str

    def run(self, program: Path, action: str, environment: Mapping[str, str], timeout: float) -> Spoken: ...
    def guests(self) -> int: ...
    def daemon_runs(self) -> bool: ...
    def kill_daemon(self) -> None: ...
    def revive(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One action: its exit codes that are right, and how many guests (and whether libvirtd) must run afterwards.

    `interval` and `timeout` are in seconds; an interval of 0 makes a monitor a probe.
    """

    action: str
    codes: tuple[int, ...]
    guests: int = 0
    daemon: bool = True
    interval: int = 0
    level: int = 0
    timeout: float = QUICK
    crash: bool = False  # libvirtd is killed before

    @property
    def name(self) -> str:
        """`monitor`, `probe`, `monitor at level 10`, `stop (libvirtd crashed)`."""
        name = "probe" if self.action == "monitor" and not self.interval else self.action
        level = f" at level {self.level}" if self.level else ""
        return f"{name}{level}{'' if self.daemon else ' (libvirtd is down)'}"


DOMAIN = (
    Step("validate-all", (SUCCESS,)),
    Step("validate-all", (SUCCESS,), level=10),
    Step("monitor", (NOT_RUNNING,)),
    # The first waits while libvirtd asks every emulator what it can do: a busy host was seen to take a minute.
    Step("start", (SUCCESS,), 1, timeout=120.0),
    Step("start", (SUCCESS,), 1),
    Step("monitor", (SUCCESS,), 1),
    Step("monitor", (SUCCESS,), 1, interval=10),
    Step("monitor", (SUCCESS,), 1, interval=10),
    Step("monitor", (SUCCESS,), 1, interval=60, level=10),
    Step("reload-agent", (SUCCESS,), 1),
    Step("migrate_from", (SUCCESS,), 1),
    Step("migrate_to", (FAILED,), 1),
    # The guest has no system, so it does not shut down when it is asked to: the time is short, and all means are used.
    Step("stop", (SUCCESS,), 0, timeout=4.0),
    Step("stop", (SUCCESS,), 0),
    Step("monitor", (NOT_RUNNING,)),
    Step("start", (SUCCESS,), 1),
    Step("monitor", (SUCCESS, DEGRADED), 1, daemon=False, interval=10, crash=True),
    Step("stop", (SUCCESS,), 0, daemon=False, timeout=4.0),
    Step("monitor", (NOT_RUNNING,), 0, daemon=False),
)
LIBVIRTD = (
    Step("validate-all", (SUCCESS,)),
    Step("validate-all", (SUCCESS,), level=10),
    Step("monitor", (SUCCESS,)),
    Step("monitor", (SUCCESS,), interval=10),
    Step("monitor", (SUCCESS,), interval=60, level=10),
    Step("reload-agent", (SUCCESS,)),
    Step("stop", (SUCCESS,), daemon=False),
    Step("stop", (SUCCESS,), daemon=False),
    Step("monitor", (NOT_RUNNING,), daemon=False),
    Step("start", (SUCCESS,), timeout=60.0),
    Step("start", (SUCCESS,), timeout=60.0),
    Step("monitor", (SUCCESS,), interval=10),
)
DATASTORE = (
    Step("validate-all", (SUCCESS,)),
    Step("validate-all", (SUCCESS,), level=10),
    Step("monitor", (NOT_RUNNING,)),
    Step("start", (SUCCESS,)),
    Step("start", (SUCCESS,)),
    Step("monitor", (SUCCESS,)),
    Step("monitor", (SUCCESS,), interval=20),
    Step("monitor", (SUCCESS,), interval=300, level=10),
    Step("reload-agent", (SUCCESS,)),
    Step("stop", (SUCCESS,)),
    Step("stop", (SUCCESS,)),
    Step("monitor", (NOT_RUNNING,)),
)
FRONTEND = (
    # The one service of a private host stands in for the units of a role.
    Step("validate-all", (SUCCESS,)),
    Step("validate-all", (SUCCESS,), level=10),
    Step("monitor", (SUCCESS,)),
    Step("stop", (SUCCESS,), daemon=False, timeout=60.0),
    Step("stop", (SUCCESS,), daemon=False, timeout=60.0),
    Step("monitor", (NOT_RUNNING,), daemon=False),
    Step("start", (SUCCESS,), timeout=60.0),
    Step("start", (SUCCESS,), timeout=60.0),
    Step("monitor", (SUCCESS,), interval=10),
    Step("reload-agent", (SUCCESS,)),
    Step("stop", (SUCCESS,), daemon=False, timeout=60.0),
    Step("monitor", (NOT_RUNNING,), daemon=False),
)
DRBD = (
    # A private host shares DRBD with the real one, so only what changes nothing is tried, on a resource of nobody.
    Step("validate-all", (SUCCESS,)),
    Step("monitor", (NOT_RUNNING,)),
    Step("monitor", (NOT_RUNNING,), interval=10),
    Step("notify", (SUCCESS,)),
    Step("reload-agent", (SUCCESS,)),
    Step("demote", (NOT_RUNNING,)),
    Step("stop", (SUCCESS,)),
    Step("stop", (SUCCESS,)),
    Step("monitor", (NOT_RUNNING,)),
)
STEPS: Mapping[str, tuple[Step, ...]] = {
    "datastore": DATASTORE,
    "domain": DOMAIN,
    "drbd": DRBD,
    "frontend": FRONTEND,
    "libvirtd": LIBVIRTD,
}


def rehearse(agent: str, program: Path, host: Host) -> Iterator[tuple[str, str]]:
    """Take the steps of an agent; give each action's name with what is wrong, or with nothing.

    After a step that went wrong the others are not taken: what they would say follows from it. One that was given
    little time is taken again with more: on a busy host it proves nothing that it did not end.
    """
    host.revive()
    for step in STEPS[agent]:
        if step.crash:
            host.kill_daemon()
        trouble = _taken(step, program, host)
        if trouble and step.timeout < QUICK:
            trouble = _taken(replace(step, timeout=QUICK), program, host)
        yield step.action, f"{agent} {step.name} {trouble}" if trouble else ""
        if trouble:
            return


def _taken(step: Step, program: Path, host: Host) -> str:
    """Take a step and say what went wrong."""
    said = host.run(program, step.action, environment(step, host), step.timeout + 5.0)
    return wrong(step, said, host.guests(), host.daemon_runs())


def environment(step: Step, host: Host) -> dict[str, str]:
    """Give what Pacemaker puts into the environment of this action."""
    given = {
        "OCF_ROOT": "/usr/lib/ocf",
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1",
        "OCF_RESOURCE_INSTANCE": INSTANCE,
        "OCF_RESKEY_config": str(host.config),
        "OCF_RESKEY_migration_transport": "tcp",
        "OCF_RESKEY_directory": STORE,
        "OCF_RESKEY_units": host.unit,
        "OCF_RESKEY_probes": f"command:{TRUE}",
        "OCF_RESKEY_least_free": "0",  # how full this machine is does not matter here
        "OCF_RESKEY_drbd_resource": NOBODYS,
        "OCF_RESKEY_CRM_meta_timeout": f"{step.timeout * 1000:.0f}",
        "OCF_RESKEY_CRM_meta_on_node": INSTANCE,
    }
    if step.action.startswith("migrate"):
        here, there = (INSTANCE, ELSEWHERE) if step.action == "migrate_to" else (ELSEWHERE, INSTANCE)
        given |= {"OCF_RESKEY_CRM_meta_migrate_source": here, "OCF_RESKEY_CRM_meta_migrate_target": there}
    if step.interval:
        given["OCF_RESKEY_CRM_meta_interval"] = f"{step.interval * 1000}"
    if step.level:
        given["OCF_CHECK_LEVEL"] = str(step.level)
    return given


def wrong(step: Step, said: Spoken, guests: int, daemon: bool) -> str:
    """Compare what happened with what must: the exit code, the reason, and what runs afterwards."""
    if said.code is None:
        return f"did not end: {said.reason}"
    if said.code not in step.codes:
        right = " or ".join(map(str, step.codes))
        return f"ended with exit code {said.code} instead of {right}: {said.reason}"
    if INTERNAL in said.err or COMPLETED in said.err or "Traceback" in said.err:
        return f"broke: {said.reason}"
    if said.code == FAILED and not said.err.strip():
        return "fails without a word on standard error"
    if guests != step.guests:
        return f"ended with exit code {said.code}, but {guests} guests run instead of {step.guests}"
    if daemon != step.daemon:
        return f"ended with exit code {said.code}, but libvirtd {'runs' if daemon else 'does not run'}"
    return ""
