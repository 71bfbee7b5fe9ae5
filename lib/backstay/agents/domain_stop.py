# SPDX-License-Identifier: GPL-2.0-or-later
"""Stopping a domain: politely as long as there is time, by force before there is none, done when it is seen gone.

The guest is asked by the modes that the admin allows, in their order, until one is accepted. Accepted need not mean
heard, so each repeated request begins with the next mode.

The budget is the time that Pacemaker gave (minus the runtime's margin), split by the table STEPS. A step that cannot
begin is left at once, so that with a dead libvirtd the emulator's own socket is asked, and with a hung one (which
holds that socket) the signals come soon. Success is said only when a scan of all processes finds no emulator of the
domain; what libvirt says about it is not asked for that. Each signal goes to the verified process alone.
"""

from __future__ import annotations

from functools import partial

from backstay.agents.domain_state import STOPPED, UNKNOWN, Seen
from backstay.agents.domain_world import insist, remember, scan
from backstay.errors import BackstayError
from backstay.host import libvirt
from backstay.host.emulator import GO_ON, KILL, TERMINATE, is_stopped, uuid_of
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt import Answer
    from backstay.host.proc import Process

    Save = Callable[[str, str, Deadline], bool]

NEVER = 1e9  # seconds
MODES = ("acpi", "agent", "initctl", "signal", "paravirt")  # of virsh shutdown --mode
USUAL = ("agent", "acpi")
ASKING = 5.0  # seconds for one question to libvirt
ASKING_AGENT = 6.0  # seconds; libvirt itself gives a guest agent that hangs up after five
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
SAVE = Step("save its memory", ("save",), 0.0, 0.45, NEVER)  # before it is asked, when the admin wants that
ASK = Step("ask the guest to shut down", (*USUAL, "powerdown"), 0.12, 0.60, 10.0)
# The guest runs on another host already, and dies there without the rest of its memory.
FOLLOW = Step("let the rest of its memory follow to where it runs", ("wait",), 0.12, 0.60, NEVER)
DESTROY = Step("end it through libvirt", ("destroy",), 0.0, 0.75, NEVER)
QUIT = Step("end it through its own monitor", ("quit",), 0.0, 0.80, NEVER)
END = Step("SIGTERM", ("terminate",), 0.0, 0.90, 3.0)
END_NOW = Step("SIGKILL", ("kill",), 0.0, 1.0, 1.0)
FORCE = (DESTROY, QUIT, END, END_NOW)
# seconds at least, or a quarter of a short budget, for SIGKILL: on a busy machine an emulator that nobody can talk to
# any more needs some to end (seen: more than 1.8 s), and a stop that fails is a fencing
LAST = 5.0
QUESTION = 0.15  # part of the budget that one question may take
DEAF = ("paused", "crashed", "pmsuspended")  # libvirt's states in which a guest cannot hear a request
WELL = ("running", "blocked")  # what is worth saving; a guest that is on its way out is not


def modes_of(given: str) -> tuple[str, ...]:
    """Split shutdown_mode; each mode counts once, where it stands first."""
    return tuple(dict.fromkeys(mode.strip() for mode in given.split(",")))


def asking(modes: Sequence[str], times: int = 0) -> tuple[str, ...]:
    """Give the ways in which the guest is asked after it was asked that many times.

    The emulator's own socket comes last: it is free only while libvirtd is dead.
    """
    first = times % len(modes)
    return (*modes[first:], *modes[:first], "powerdown")


def steps(
    seen: Seen, answer: Answer, force: bool, modes: Sequence[str] = USUAL, save: bool = False
) -> tuple[Step, ...]:
    """Decide how a domain is stopped; no step when none of its emulators lives. Only a guest that is well is saved."""
    if not seen.emulators:
        return ()
    if force:
        return FORCE
    if answer.kind == libvirt.KNOWN and answer.state == "paused" and answer.reason == "postcopy":
        return (FOLLOW, *FORCE)
    if answer.kind == libvirt.KNOWN and answer.state in DEAF:
        return FORCE
    worth_it = answer.kind == libvirt.KNOWN and answer.state in WELL and len(seen.emulators) == 1
    first = (SAVE,) if save and worth_it else ()
    return (*first, Step(ASK.name, asking(modes), ASK.accepted_by, ASK.until, ASK.again), *FORCE)


def stop(
    world: World, deadline: Deadline, force: bool, modes: Sequence[str] = USUAL, save: Save | None = None
) -> Outcome:
    """Stop the domain on this host; 0 only when no emulator of it is seen any more.

    `save` is tried before the guest is asked: with a UUID, words for messages and a deadline, it says whether the
    memory was saved and the guest ended.
    """
    seen = insist(world, deadline)
    if seen.truth == UNKNOWN:
        return failed(f"{seen.where} cannot be stopped: {seen.trouble}")
    if seen.truth == STOPPED:
        forget(world)
        return done(f"{seen.where} does not run")
    # known by its record, it is seen gone even while another emulator ends that shows no more whose it is
    remember(world, seen, uuid_of(seen.emulators[0].arguments) or seen.identity.uuid, seen.identity.name)
    return Stopping(world, seen, deadline, modes, save).run(force)


def forget(world: World) -> None:
    """Forget who ran; not where that alone proves the absence, which the stop after a start that fails asks for too."""
    if not world.unseen:
        world.records.forget(world.instance)


class Stopping:
    """One stop under way."""

    def __init__(
        self,
        world: World,
        seen: Seen,
        deadline: Deadline,
        modes: Sequence[str] = USUAL,
        save: Save | None = None,
    ) -> None:
        self.saves = save
        self.world = world
        self.modes = modes
        self.asked = 0  # how often the guest was asked with success
        self.silent = False  # libvirt left a question unanswered in this round
        self.seen = seen
        self.deadline = deadline
        self.began = world.monotonic()
        self.budget = deadline.left()
        self.shared = min(self.budget, (self.budget - min(LAST, self.budget / 4)) / END.until)
        self.by_qmp = False  # the guest was asked through its emulator's socket
        self.glance_at = 0.0
        self.tried: list[str] = []
        self.told: set[int] = set()
        self.blocked_since: dict[int, float] = {}
        # asked now: an emulator that is ending has no list of open files any more
        self.files = {process.pid: world.emulators.files(process) for process in seen.emulators}
        self.ways: dict[str, Callable[[Process], bool]] = {
            "save": self._save,
            **{mode: partial(self._request, mode) for mode in modes},
            "wait": lambda _process: True,
            "destroy": self._destroy,
            "powerdown": lambda process: self._talk(process, "system_powerdown"),
            "quit": lambda process: self._talk(process, "quit"),
            "terminate": lambda process: self._signal(process, TERMINATE),
            "kill": lambda process: self._signal(process, KILL),
        }

    def run(self, force: bool) -> Outcome:
        self._let_go_on()
        self._look_for_what_blocks()
        answer = self._describe()
        self.world.note(f"stopping {self.seen.where}; libvirt: {answer.kind} {answer.state or answer.text}")
        for step in steps(self.seen, answer, force, self.modes, self.saves is not None):
            if self._step(step):
                return self._gone()
        what = "; ".join(self._complaint(process) for process in self.seen.emulators) or self.seen.trouble
        tried = ", ".join(self.tried) or "nothing was accepted"
        return failed(f"{self.seen.where} could not be stopped within {self.budget:.0f} s ({tried}): {what}")

    def _step(self, step: Step) -> bool:
        """Do one step until its time is over; true as soon as the domain is seen gone."""
        accepted, limit, again_at = False, self._until(step.accepted_by), 0.0
        while True:
            if self._is_gone():
                return True
            spent = self.world.monotonic() - self.began
            if not again_at or again_at <= spent < limit:
                accepted = self._try(step) or accepted
                # a refusal may have taken long, and counts from its end
                again_at = spent + step.again if accepted else self.world.monotonic() - self.began + GLANCE
            limit = self._until(step.until if accepted else step.accepted_by)
            if self.world.monotonic() - self.began >= limit or self.deadline.expired:
                return self._is_gone()
            self._say_what_blocks()
            self._end_what_powered_off()
            self.world.pause(min(EVERY, self.deadline.left()))

    def _until(self, part: float) -> float:
        """Give the end of a part of the budget, in seconds from the beginning; the last step has all that is left."""
        return part * (self.shared if part < END_NOW.until else self.budget)

    def _try(self, step: Step) -> bool:
        """Try the step's ways on every emulator; true when one of them was accepted for each."""
        self.silent = False
        taken = [self._first_accepted(step, process) for process in self.seen.emulators]
        for way in taken:
            if way and (not self.tried or self.tried[-1] != way):
                self.tried.append(way)
                self.world.note(f"{self.seen.where}: {step.name} ({way})")
        self.by_qmp = self.by_qmp or "powerdown" in taken
        self.asked += step.name == ASK.name and all(taken)
        return all(taken)

    def _first_accepted(self, step: Step, process: Process) -> str:
        ways = asking(self.modes, self.asked) if step.name == ASK.name else step.ways
        for way in ways:
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
        forget(self.world)
        took = self.world.monotonic() - self.began
        how = f" ({', '.join(self.tried)})" if self.tried else ""
        return done(f"{self.seen.where} was stopped in {took:.1f} s{how}")

    # ---- the ways

    def _describe(self) -> Answer:
        return self.world.libvirt.describe(self._uuid(self.seen.emulators[0]), "", self._at_most(ASKING))

    def _uuid(self, process: Process) -> str:
        """Give the UUID under which libvirt knows it; a process that is known by its record alone shows none."""
        return uuid_of(process.arguments) or self.seen.identity.uuid

    def _save(self, process: Process) -> bool:
        left = SAVE.until * self.budget - (self.world.monotonic() - self.began)
        if self.saves is None or left < TALKING:
            return False
        return self.saves(self._uuid(process), self.seen.where, self.deadline.at_most(left))

    def _request(self, mode: str, process: Process) -> bool:
        """Ask the guest through libvirt; one that left a question unanswered is not asked again in this round."""
        if self.silent:
            return False
        seconds = self._at_most(ASKING_AGENT if mode == "agent" else ASKING)
        answer = self.world.libvirt.shut_down(self._uuid(process), mode, seconds)
        self.silent = answer.kind == libvirt.HUNG
        return answer.kind == libvirt.KNOWN

    def _destroy(self, process: Process) -> bool:
        """Ask libvirt to end it, unless libvirt does not even answer a question."""
        uuid = self._uuid(process)
        known = self.world.libvirt.describe(uuid, "", self._at_most(TALKING))
        if known.kind != libvirt.KNOWN or known.state == "shutoff":
            return False
        left = self._until(DESTROY.until) - (self.world.monotonic() - self.began)
        answer = self.world.libvirt.destroy(uuid, self.deadline.at_most(max(ASKING, left)).left())
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

    def _look_for_what_blocks(self) -> None:
        """Before anybody else is asked: who asks a libvirtd that hangs on the same storage says nothing for long."""
        while True:
            self._say_what_blocks()
            if not self.blocked_since or self.told or self.deadline.expired:
                return
            self.world.pause(min(EVERY, self.deadline.left()))

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
        """Give the seconds for one question: of a short budget a part, or silence would use up what signals need."""
        return self.deadline.at_most(min(seconds, max(1.0, QUESTION * self.budget))).left()
