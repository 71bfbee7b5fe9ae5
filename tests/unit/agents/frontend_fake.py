# SPDX-License-Identifier: GPL-2.0-or-later
"""A host of the frontend agent whose units, services and storage are as a test says, and a call of the agent on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backstay.agents import frontend
from backstay.agents.frontend import FrontendParameters
from backstay.agents.frontend_lease import Tenure, written
from backstay.errors import CannotAsk
from backstay.host.clock import Deadline
from backstay.host.probes import Answer
from backstay.host.process import Completed
from backstay.host.recoveries import Seen
from backstay.host.systemd import Unit
from backstay.ocf.context import Call, Context
from backstay.ocf.outcome import Outcome
from tests.unit.agents.libvirtd_fake import Said

RECURRING = {"OCF_RESKEY_CRM_meta_interval": "10000", "OCF_RESKEY_CRM_meta_on_node": "n1"}
PROFILE = """
units = ["database", "manager"]
[check]
commands = [["/usr/bin/check"]]
[take]
commands = [["/usr/bin/take"]]
[leave]
commands = [["/usr/bin/leave"]]
[[probes]]
name = "manager"
http = "http://127.0.0.1/"
[[probes]]
name = "page"
tcp = "127.0.0.1:80"
required = false
"""


class FakeHost:
    """Units that are told to start or stop do so, but for `stubborn` ones; `did` is what was done, in order.

    A unit in `brief` is in that state right after a start that systemd called a success.
    """

    def __init__(self) -> None:
        self.time = 1000.0
        self.states: dict[str, str] = {}
        self.enabled: set[str] = set()
        self.absent: set[str] = set()
        self.masked: set[str] = set()
        self.stubborn: set[str] = set()
        self.brief: dict[str, str] = {}
        self.immortal: set[str] = set()
        self.left: set[str] = set()
        self.silent: dict[str, str] = {}
        self.bad_commands: set[str] = set()
        self.online = frozenset({"n1", "n2"})
        self.text: str | None = PROFILE
        self.lease_text = ""
        self.records = ""
        self.lease_hangs = False
        self.lease_moves = 0.0
        self.memory: dict[str, str] = {}
        self.did: list[str] = []
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.slow: set[str] = set()
        self.seen = Seen((), ())
        self.notes: dict[str, str] = {}
        self.records_: dict[str, str] = {}
        self.blind = False

    def now(self) -> float:
        return self.time

    clock = now

    def pause(self, seconds: float) -> None:
        self.time += seconds
        if self.lease_moves:
            self.lease_text = written([Tenure("n2", "b2", 1.0, self.time)])

    def nodename(self) -> str:
        return "n1"

    def boot(self) -> str:
        return "b1"

    def units(self, names: Sequence[str], timeout: float) -> dict[str, Unit]:
        return {
            name: Unit(
                name,
                loaded="not-found" if name in self.absent else "masked" if name in self.masked else "loaded",
                active=self.states.get(name, "inactive"),
                pid=100 if self.states.get(name) == "active" else 0,
                enabled="enabled" if name in self.enabled else "disabled",
            )
            for name in names
        }

    def leftovers(self, unit: Unit) -> tuple[int, ...]:
        return (7,) if unit.name in self.left else ()

    def _done(self, what: str, code: int = 0) -> Completed:
        self.did.append(what)
        return Completed([what], code, "", "no" if code else "")

    def start(self, unit: str, timeout: float) -> Completed:
        if unit not in self.stubborn:
            self.states[unit] = self.brief.get(unit, "active")
        return self._done(f"start {unit}", int(unit in self.stubborn))

    def stop(self, unit: str, timeout: float) -> Completed:
        if unit not in self.stubborn:
            self.states[unit] = "inactive"
        return self._done(f"stop {unit}")

    def kill(self, unit: str, timeout: float) -> Completed:
        if unit not in self.immortal:
            self.states[unit] = "inactive"
            self.left.discard(unit)
        return self._done(f"kill {unit}")

    def reset_failed(self, unit: str, timeout: float) -> Completed:
        return self._done(f"reset-failed {unit}")

    def run(self, command: Any, timeout: float) -> Completed:
        return self._done(command.argv[0], int(command.argv[0] in self.bad_commands))

    def ask(self, probes: Sequence[Any], at_most: float) -> tuple[Answer, ...]:
        self.asked = [each.name for each in probes]
        answers = [Answer(each.name, each.required, self.silent.get(each.name, "")) for each in probes]
        for answer in answers:
            answer.slow = answer.name in self.slow
        return tuple(answers)

    def configuration(self, path: str) -> str:
        return ""

    def usable(self, directory: str, timeout: float) -> str:
        return ""

    def beginning(self, path: str, length: int, timeout: float) -> bytes:
        return self.files.get(path, b"")[:length]

    def hangs(self, words: Sequence[str]) -> bool:
        return False

    def profile(self, name: str) -> str:
        if self.text is None:
            raise FileNotFoundError(2, "No such file or directory", name)
        return self.text

    def lease(self, path: str, change: Callable[[str], tuple[str, str]], timeout: float) -> str:
        if self.lease_hangs:
            raise CannotAsk("no answer within 5.0 s")
        self.lease_text, said = change(self.lease_text)
        self.did.append("lease")
        return said

    def read_lease(self, path: str, timeout: float) -> str:
        return self.lease_text

    def record(self, change: Callable[[str], tuple[str, str]]) -> None:
        self.records, _ = change(self.records)

    def publish(self, value: str, timeout: float) -> None:
        self.did.append(f"publish {value}")

    def members(self, timeout: float) -> frozenset[str]:
        return self.online

    # ---- recovery

    recovery_unit = "backstay-recover-frontend.service"

    def look(self, timeout: float) -> Seen:
        if self.blind:
            raise CannotAsk("the cluster does not answer")
        for node in self.seen.nodes:
            node.record = self.records_.get(node.name, "")
        return self.seen

    def guest_notes(self, timeout: float) -> dict[str, str]:
        return self.notes

    def keep(self, name: str, text: str, timeout: float) -> None:
        self.records_[name] = text
        self.did.append(f"keep {name}: {text}")

    def say_recovery(self, text: str, timeout: float) -> None:
        self.did.append(f"recovery: {text}")

    def launch_recovery(self, words: Sequence[str], timeout: float) -> bool:
        self.did.append(f"launch {' '.join(words)}")
        return True

    def recall(self, what: str = "") -> str:
        return self.memory.get(what, "")

    def remember(self, text: str, what: str = "") -> None:
        self.memory[what] = text


def act(host: FakeHost, action: str, probe: bool = False, **given: Any) -> Outcome:
    parameters = FrontendParameters(**{"profile": "mine", **given})
    environ = {"OCF_RESKEY_CRM_meta_on_node": "n1"} if probe else RECURRING
    call = Call("frontend", "monitor" if action == "monitor" else action, environ)
    seconds = 27.0 if action == "monitor" else 110.0
    context: Context[Any] = Context(call, parameters, Deadline(seconds, host.now), Said())  # type: ignore[arg-type]
    outcome: Outcome = getattr(frontend, action)(context)
    return outcome
