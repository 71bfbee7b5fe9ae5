# SPDX-License-Identifier: GPL-2.0-or-later
"""systemd on this host: what it says about units, and the few things that it is asked to do.

Decides nothing. Every call is bounded: a systemd that does not answer raises, it never hangs an agent.
Source of the words: systemctl(1), org.freedesktop.systemd1(5).
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host.process import Completed, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "MainPID", "Job", "ExecMainStatus", "ExecMainCode",
    "UnitFileState", "Restart", "ControlGroup",
)  # fmt: skip
SIGNALLED = ("2", "3")  # ExecMainCode: CLD_KILLED, CLD_DUMPED
AFTER_TIMEOUT = (
    "always",
    "on-failure",
    "on-abnormal",
)  # Restart= of a service that is restarted when it was too slow


class Unit:
    """What systemd says about one unit; `pid` is the main process of a service, 0 when there is none.

    `stopping` says that a job waits for its end and not for its return; show() leaves that open (see Systemd.jobs).
    `group` is its control group, below the root of the hierarchy.
    """

    __slots__ = (
        "active", "enabled", "exit_code", "exit_status", "group", "job", "loaded", "name", "pid", "restart", "result",
        "stopping", "sub",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        *,
        loaded: str = "loaded",
        active: str = "inactive",
        sub: str = "dead",
        result: str = "success",
        pid: int = 0,
        job: bool = False,
        exit_status: str = "0",
        exit_code: str = "",
        enabled: str = "",
        restart: str = "",
        stopping: bool = False,
        group: str = "",
    ) -> None:
        self.name = name
        self.loaded = loaded
        self.active = active
        self.sub = sub
        self.result = result
        self.pid = pid
        self.job = job
        self.exit_status = exit_status
        self.exit_code = exit_code
        self.enabled = enabled
        self.restart = restart
        self.stopping = stopping
        self.group = group

    @property
    def installed(self) -> bool:
        """Whether there is such a unit at all (a masked one counts as there)."""
        return self.loaded != "not-found"

    @property
    def masked(self) -> bool:
        """Whether somebody forbade it to start."""
        return self.loaded == "masked"

    @property
    def ended_by_force(self) -> bool:
        """Whether it was told to stop and had to be killed.

        systemd calls that a failure of the service. So it calls a start that takes too long, but after that it
        starts a service anew that has one of these Restart= (systemd.service(5)).
        """
        return self.active == "failed" and self.result == "timeout" and self.restart in AFTER_TIMEOUT

    @property
    def listening(self) -> bool:
        """Whether a socket unit waits for somebody to connect, or serves already."""
        return self.active == "active"

    @property
    def moving(self) -> bool:
        """Whether systemd is about to change it: a job waits, it starts, stops or waits for its restart."""
        return self.job or self.active in ("activating", "deactivating", "reloading")

    @property
    def down(self) -> bool:
        """Whether it does not run and systemd will not change that by itself."""
        return self.active in ("inactive", "failed") and not self.job

    def story(self) -> str:
        """Say why it does not run, as systemd tells it."""
        how = "signal" if self.exit_code in SIGNALLED else "exit status"
        if self.result in ("exit-code", "signal", "core-dump"):
            return f"{self.result}, {how} {self.exit_status}"
        return self.result

    def __repr__(self) -> str:
        return f"Unit({self.name}: {self.loaded} {self.active}/{self.sub} {self.result} pid={self.pid} job={self.job})"


class Systemd:
    """The system manager. Methods raise CannotAsk when it cannot be asked."""

    __slots__ = ()

    def show(self, names: Sequence[str], timeout: float) -> dict[str, Unit]:
        """Give the units by the names that were asked for."""
        asked = run(
            ["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *names], timeout=timeout
        )
        if not asked.ok:
            raise CannotAsk(f"systemd does not say how {names[0]} is: {asked.complaint()}")
        blocks = [_properties(block) for block in asked.stdout.split("\n\n") if block.strip()]
        if len(blocks) != len(names):
            raise CannotAsk(f"systemd said something about {len(blocks)} units, asked about {len(names)}")
        return {name: _unit(name, block) for name, block in zip(names, blocks, strict=True)}

    def jobs(self, timeout: float) -> dict[str, str]:
        """Give what is to be done to which unit: start, stop, restart and so on, by the unit's name."""
        asked = run(["systemctl", "list-jobs", "--plain", "--no-legend"], timeout=timeout)
        if not asked.ok:
            raise CannotAsk(f"systemd does not list its jobs: {asked.complaint()}")
        rows = (line.split() for line in asked.stdout.splitlines())
        return {row[1]: row[2] for row in rows if len(row) >= 3}

    def start(self, names: Sequence[str], timeout: float) -> Completed:
        """Start units, and wait until systemd says how it went."""
        return self._do(["start"], names, timeout)

    def restart(self, names: Sequence[str], timeout: float) -> Completed:
        """Begin to restart units without waiting.

        systemd ends a service before its sockets and starts it after them, in whatever order they are named.
        """
        return self._do(["restart", "--no-block"], names, timeout)

    def stop(self, names: Sequence[str], timeout: float) -> Completed:
        """Begin to stop units, all in one transaction, without waiting for the end."""
        return self._do(["stop", "--no-block"], names, timeout)

    def kill(self, names: Sequence[str], timeout: float) -> Completed:
        """Kill every process of units, whatever their KillMode."""
        return self._do(["kill", "--kill-who=all", "--signal=KILL"], names, timeout)

    def reset_failed(self, names: Sequence[str], timeout: float) -> Completed:
        """Make systemd forget that units failed, and how often they were restarted."""
        return self._do(["reset-failed"], names, timeout)

    def launch(self, unit: str, argv: Sequence[str], timeout: float) -> bool:
        """Start a program as a transient service of that name (with .service); False while the last one still runs.

        A unit that failed can stay loaded in spite of --collect; it is forgotten first. Raises CannotAsk when the
        service can be started in neither way.
        """
        command = ["systemd-run", "--quiet", "--collect", "--no-ask-password", f"--unit={unit}", "--", *argv]
        begun = run(command, timeout=timeout)
        if begun.ok:
            return True
        if not self.show([unit], timeout)[unit].down:
            return False
        self.reset_failed([unit], timeout)
        again = run(command, timeout=timeout)
        if not again.ok:
            raise CannotAsk(f"{unit} cannot be started: {again.complaint()}")
        return True

    def _do(self, verb: Sequence[str], names: Sequence[str], timeout: float) -> Completed:
        return run(["systemctl", "--no-ask-password", *verb, "--", *names], timeout=timeout)


def _properties(block: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in block.splitlines())
    return {name: value for name, _, value in pairs}


def _unit(name: str, said: dict[str, str]) -> Unit:
    pid = said.get("MainPID", "0")
    return Unit(
        name,
        loaded=said.get("LoadState", ""),
        active=said.get("ActiveState", ""),
        sub=said.get("SubState", ""),
        result=said.get("Result", "success"),
        pid=int(pid) if pid.isdecimal() else 0,
        job=said.get("Job", "0") not in ("", "0"),
        exit_status=said.get("ExecMainStatus", "0"),
        exit_code=said.get("ExecMainCode", ""),
        enabled=said.get("UnitFileState", ""),
        restart=said.get("Restart", ""),
        group=said.get("ControlGroup", ""),
    )
