# SPDX-License-Identifier: GPL-2.0-or-later
"""Stopping a domain: politely as long as there is time, by force before there is none, done when it is seen gone.

The budget is the time that Pacemaker gave (minus the runtime's margin), split by the table STEPS. A step that cannot
begin is left at once, so that with a dead libvirtd the emulator's own socket is asked, and with a hung one (which
holds that socket) the signals come soon. Success is said only when a scan of all processes finds no emulator of the
domain; what libvirt says about it is not asked for that. Each signal goes to the verified process alone.
"""

from __future__ import annotations

from backstay.agents.domain_state import STOPPED, UNKNOWN, Seen
from backstay.agents.domain_world import insist, scan
from backstay.errors import BackstayError
from backstay.host import libvirt
from backstay.host.emulator import GO_ON, KILL, TERMINATE, is_stopped, uuid_of
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt import Answer
    from backstay.host.proc import Process

NEVER = 1e9  # seconds
ASKING = 5.0  # seconds for one question to libvirt
TALKING = 2.0  # seconds for one conversation with an emulator
EVERY = 0.25  # seconds between two looks at the processes
GLANCE = 1.0  # seconds until a way that was refused is tried again, and between two looks by QMP
BLOCKED_AFTER = 1.0  # seconds after which an emulator in D state is worth a word
POWERED_OFF = "shutdown"  # QEMU's run state after its guest switched itself off


class Step:
    """One step of a stop.

    `ways` are tried in this order until one is accepted. `accepted_by` and `until` are fractions of the whole budget:
    when nothing was accepted by then, and when the next step begins. `again` is after how many seconds it is repeated.
    """

    __slots__ = ("accepted_by", "again", "name", "until", "ways")

    def __init__(
        self, name: str, ways: tuple[str, ...], accepted_by: float, until: float, again: float
    ) -> None:
        self.name = name
        self.ways = ways
        self.accepted_by = accepted_by
        self.until = until
        self.again = again

    def __repr__(self) -> str:
        return f"Step({self.name})"


# With a budget of 115 s (timeout 120 s): asked until 69 s, destroyed until 86 s (libvirt's own destroy takes up to
# 15 s for a stubborn emulator), quit until 92 s, SIGTERM until 103 s, then SIGKILL each second.
ASK = Step("ask the guest to shut down", ("shutdown", "powerdown"), 0.12, 0.60, 10.0)
DESTROY = Step("end it through libvirt", ("destroy",), 0.0, 0.75, NEVER)
QUIT = Step("end it through its own monitor", ("quit",), 0.0, 0.80, NEVER)
END = Step("SIGTERM", ("terminate",), 0.0, 0.90, 3.0)
END_NOW = Step("SIGKILL", ("kill",), 0.0, 1.0, 1.0)
FORCE = (DESTROY, QUIT, END, END_NOW)
DEAF = ("paused", "crashed", "pmsuspended")  # libvirt's states in which a guest cannot hear a request


def steps(seen: Seen, answer: Answer, force: bool) -> tuple[Step, ...]:
    """Decide how a domain is stopped; no step when none of its emulators lives."""
    if not seen.emulators:
        return ()
    if force or (answer.kind == libvirt.KNOWN and answer.state in DEAF):
        return FORCE
    return (ASK, *FORCE)


def stop(world: World, deadline: Deadline, force: bool) -> Outcome:
    """Stop the domain on this host; 0 only when no emulator of it is seen any more."""
    seen = insist(world, deadline)
    if seen.truth == UNKNOWN:
        return failed(f"{seen.where} cannot be stopped: {seen.trouble}")
    if seen.truth == STOPPED:
        world.records.forget(world.instance)
        return done(f"{seen.where} does not run")
    return Stopping(world, seen, deadline).run(force)


class Stopping:
    """One stop under way."""

    def __init__(self, world: World, seen: Seen, deadline: Deadline) -> None:
        self.world = world
        self.seen = seen
        self.deadline = deadline
        self.began = world.monotonic()
        self.budget = deadline.left()
        self.by_qmp = False  # the guest was asked through its emulator's socket
        self.glance_at = 0.0
        self.tried: list[str] = []
        self.told: set[int] = set()
        self.blocked_since: dict[int, float] = {}
        # asked now: an emulator that is ending has no list of open files any more
        self.files = {process.pid: world.emulators.files(process) for process in seen.emulators}
        self.ways: dict[str, Callable[[Process], bool]] = {
            "shutdown": lambda process: self._libvirt(world.libvirt.shut_down, process),
            "destroy": self._destroy,
            "powerdown": lambda process: self._talk(process, "system_powerdown"),
            "quit": lambda process: self._talk(process, "quit"),
            "terminate": lambda process: self._signal(process, TERMINATE),
            "kill": lambda process: self._signal(process, KILL),
        }

    def run(self, force: bool) -> Outcome:
        self._let_go_on()
        answer = self._describe()
        self.world.note(f"stopping {self.seen.where}; libvirt: {answer.kind} {answer.state or answer.text}")
        for step in steps(self.seen, answer, force):
            if self._step(step):
                return self._gone()
        what = "; ".join(self._complaint(process) for process in self.seen.emulators) or self.seen.trouble
        tried = ", ".join(self.tried) or "nothing was accepted"
        return failed(f"{self.seen.where} could not be stopped within {self.budget:.0f} s ({tried}): {what}")

    def _step(self, step: Step) -> bool:
        """Do one step until its time is over; true as soon as the domain is seen gone."""
        accepted = False
        again_at = 0.0
        while True:
            if self._is_gone():
                return True
            spent = self.world.monotonic() - self.began
            if spent >= again_at:
                accepted = self._try(step) or accepted
                again_at = spent + step.again if accepted else spent + GLANCE
            limit = step.until if accepted else step.accepted_by
            if self.world.monotonic() - self.began >= limit * self.budget or self.deadline.expired:
                return self._is_gone()
            self._say_what_blocks()
            self._end_what_powered_off()
            self.world.pause(min(EVERY, self.deadline.left()))

    def _try(self, step: Step) -> bool:
        """Try the step's ways on every emulator; true when one of them was accepted for each."""
        taken = [self._first_accepted(step, process) for process in self.seen.emulators]
        for way in taken:
            if way and (not self.tried or self.tried[-1] != way):
                self.tried.append(way)
                self.world.note(f"{self.seen.where}: {step.name} ({way})")
        self.by_qmp = self.by_qmp or "powerdown" in taken
        return all(taken)

    def _first_accepted(self, step: Step, process: Process) -> str:
        for way in step.ways:
            if self.ways[way](process):
                return way
        return ""

    def _is_gone(self) -> bool:
        """Look at the known emulators; when all are gone, look at every process before believing it."""
        try:
            now = [self.world.emulators.again(process) for process in self.seen.emulators]
        except OSError:
            return False
        self.seen = self._with([process for process in now if process is not None])
        if self.seen.emulators:
            return False
        fresh = scan(self.world, self.seen.identity, self.deadline)
        if fresh.truth == UNKNOWN:
            self.world.warn(f"{fresh.where}: {fresh.trouble}")
            return False
        self.seen = fresh
        return fresh.truth == STOPPED

    def _with(self, emulators: list[Process]) -> Seen:
        return Seen(self.seen.identity, emulators, host=self.seen.host)

    def _gone(self) -> Outcome:
        self.world.records.forget(self.world.instance)
        took = self.world.monotonic() - self.began
        how = f" ({', '.join(self.tried)})" if self.tried else ""
        return done(f"{self.seen.where} was stopped in {took:.1f} s{how}")

    # ---- the ways

    def _describe(self) -> Answer:
        return self.world.libvirt.describe(self._uuid(self.seen.emulators[0]), "", self._at_most(ASKING))

    def _uuid(self, process: Process) -> str:
        """Give the UUID under which libvirt knows it; a process that is known by its record alone shows none."""
        return uuid_of(process.arguments) or self.seen.identity.uuid

    def _libvirt(self, question: Callable[[str, float], Answer], process: Process) -> bool:
        return question(self._uuid(process), self._at_most(ASKING)).kind == libvirt.KNOWN

    def _destroy(self, process: Process) -> bool:
        """Ask libvirt to end it, unless libvirt does not even answer a question."""
        uuid = self._uuid(process)
        known = self.world.libvirt.describe(uuid, "", self._at_most(TALKING))
        if known.kind != libvirt.KNOWN or known.state == "shutoff":
            return False
        left = DESTROY.until * self.budget - (self.world.monotonic() - self.began)
        answer = self.world.libvirt.destroy(uuid, self._at_most(max(ASKING, left)))
        return answer.answered

    def _talk(self, process: Process, command: str) -> bool:
        """Give the emulator a command through its own socket; false when the socket is not free."""
        monitor = self.world.monitor(process)
        if monitor is None:
            return False
        try:
            (monitor.quit if command == "quit" else monitor.power_down)(self._at_most(TALKING))
        except BackstayError:
            return False
        return True

    def _signal(self, process: Process, number: int) -> bool:
        """Send a signal; a process that was stopped acts on it only when it is let go on."""
        sent = self.world.emulators.signal(process, number)
        if sent and is_stopped(process):
            self.world.emulators.signal(process, GO_ON)
        return sent

    def _let_go_on(self) -> None:
        """Let an emulator that was stopped by a signal go on: stopped, it could not even be asked."""
        for process in self.seen.emulators:
            if is_stopped(process):
                self.world.emulators.signal(process, GO_ON)

    def _end_what_powered_off(self) -> None:
        """End an emulator whose guest has switched itself off.

        libvirt starts QEMU with -no-shutdown and ends it itself then; without libvirtd nobody would.
        """
        now = self.world.monotonic()
        if not self.by_qmp or now < self.glance_at:
            return
        self.glance_at = now + GLANCE
        # When the socket is not free any more, libvirtd is back, and ends the emulator itself.
        still = [self._end_if_off(process) for process in self.seen.emulators]
        self.by_qmp = all(still)

    def _end_if_off(self, process: Process) -> bool:
        monitor = self.world.monitor(process)
        if monitor is None:
            return False
        try:
            if monitor.status(self._at_most(TALKING)) == POWERED_OFF:
                monitor.quit(self._at_most(TALKING))
        except BackstayError:
            return False
        return True

    # ---- what is said

    def _say_what_blocks(self) -> None:
        """Say at once what an emulator waits for that is blocked in the kernel: no step can end it before that ends."""
        now = self.world.monotonic()
        for process in self.seen.emulators:
            waits_for = self._waits_for(process)
            if not waits_for:
                self.blocked_since.pop(process.pid, None)
                continue
            since = self.blocked_since.setdefault(process.pid, now)
            if now - since >= BLOCKED_AFTER and process.pid not in self.told:
                self.told.add(process.pid)
                self.world.warn(f"{self.seen.where} cannot end now: {waits_for}; the stop goes on trying")

    def _complaint(self, process: Process) -> str:
        state = self._waits_for(process) or f"in state {process.state}"
        return f"pid {process.pid} is {state}"

    def _waits_for(self, process: Process) -> str:
        where = self.world.emulators.waits_for(process)
        files = self.files.get(process.pid)
        return f"{where}, with {files} open" if where and files else where

    def _at_most(self, seconds: float) -> float:
        return self.deadline.at_most(seconds).left()
