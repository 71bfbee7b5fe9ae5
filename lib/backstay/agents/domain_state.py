# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known about a domain on this host, and what a monitor answers to it. Pure: no effects, only tables.

Truth has three values. RUNNING is proven by an emulator with the domain's UUID among its arguments, STOPPED by the
absence of one among all processes of the host; anything else is UNKNOWN. libvirt never decides between them: a
dead or hung libvirtd says nothing about a guest, and a libvirtd that lost an emulator (or claims one that is gone)
is wrong. What libvirt adds is *how* a guest runs: paused by an I/O error, suspended, crashed.

Monitor at 190: the guest counts as running and an admin should look. A restart would lose the guest's memory, so a
condition becomes a failure only where a restart cures it, and only after the time that the admin set for that. UNKNOWN
is bounded, or a guest that died unseen would never be replaced.
"""

from __future__ import annotations

from backstay.host import libvirt
from backstay.host.emulator import INIT, is_frozen, is_stopped, lacks, name_of, uuid_of
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, degraded, failed, running, stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.agents.domain_definition import Definition
    from backstay.host.libvirt import Answer
    from backstay.host.proc import Process
    from backstay.host.records import Record

RUNNING, STOPPED, UNKNOWN = "running", "stopped", "unknown"
UNKNOWN_BOUND = 600.0  # seconds for which a recurring monitor that sees nothing certain answers 190

# What is answered to how a guest runs. WELL is 0 and LOST is 1. LOOK is 190 for as long as it lasts. AGES is 190, and
# 1 after the parameter degraded_limit. What PASSES is 0 at first and then LOOK; what MUST_PASS is 0 at first and then
# AGES.
WELL, LOOK, AGES, PASSES, MUST_PASS, LOST = "well", "look", "ages", "passes", "must pass", "lost"
PASSING_FOR = {PASSES: 600.0, MUST_PASS: 120.0}  # seconds; saving a big guest takes minutes
STATES = {
    "nostate": WELL,
    "running": WELL,
    "blocked": WELL,
    # powered off or rebooting: libvirt ends the emulator or resets it; one that stays serves nobody
    "shutdown": MUST_PASS,
    "shutoff": LOOK,  # while its emulator runs: libvirt lost it
    "crashed": LOST,
    "pmsuspended": LOOK,  # the guest's own wish, and its memory is what it wants to wake up with
}
PAUSED = {
    # what passes by itself
    "migration": PASSES,
    "save": PASSES,
    "dump": PASSES,
    "snapshot": PASSES,
    "from-snapshot": PASSES,
    "postcopy": PASSES,
    "starting-up": MUST_PASS,
    "shutting-down": MUST_PASS,
    # what does not, and a restart would cure it, at the price of the guest's memory
    "watchdog": AGES,
    "postcopy-failed": AGES,
    "api-error": AGES,
    "unknown": AGES,
    "crashed": LOST,
    # what no restart cures. Storage that fails here mostly fails on every host: the emulator could not be ended (a
    # failed stop: fencing), and a guest that started again would be paused again, host after host, for ever.
    "ioerror": LOOK,
    # what somebody wanted
    "user": LOOK,
}
ADVICE = {
    "ioerror": "look at its storage, then: virsh resume",
    "watchdog": "its watchdog fired; look at the guest, then: virsh resume or virsh reset",
    "postcopy-failed": "its memory is split over two hosts; migrate it again (--postcopy-resume) or stop it",
    "api-error": "libvirt failed in the middle of something; look at its log, then: virsh resume",
    "unknown": "libvirt does not say why; virsh resume lets it go on",
    "user": "somebody paused it; virsh resume lets it go on",
    "from-snapshot": "it was reverted to a snapshot of a paused guest; virsh resume lets it go on",
    "starting-up": "a start or an incoming migration left it; stop it through the cluster",
    "shutting-down": "it ended and its emulator did not; stop it through the cluster",
    "shutdown": "it powered itself off and its emulator did not end; stop it through the cluster",
    "migration": "a migration pauses it; virsh domjobinfo shows whether that advances",
    "postcopy": "a migration pauses it; virsh domjobinfo shows whether that advances",
    "save": "saving pauses it; virsh domjobinfo shows whether that advances",
    "dump": "a dump pauses it; virsh domjobinfo shows whether that advances",
    "snapshot": "a snapshot pauses it; virsh domjobinfo shows whether that advances",
    "crashed": "the guest panicked",
    "pmsuspended": "the guest suspended itself; virsh dompmwakeup wakes it",
}


class Condition:
    """How something about a running guest is: a `verdict` of the words above, its `kind`, and a `sentence`.

    `kind` is a short word without blanks that tells it apart from others when its duration is counted; what is WELL,
    LOOK or LOST needs none. The sentence is empty when there is nothing to say.
    """

    __slots__ = ("kind", "sentence", "verdict")

    def __init__(self, verdict: str, kind: str = "", sentence: str = "") -> None:
        self.verdict = verdict
        self.kind = kind
        self.sentence = sentence

    @property
    def counts(self) -> bool:
        """Whether it matters for how long it has lasted."""
        return self.verdict in (AGES, PASSES, MUST_PASS)

    def __repr__(self) -> str:
        return f"Condition({self.verdict} {self.kind}: {self.sentence})"


class Identity:
    """Who the domain is: `uuid` (preferred) and `name`, either may be empty.

    `definition` is there when the config could be read, or this host's copy of it; `trouble` says why the config could
    not be. `contradiction` is a sentence when the parameter uuid and the config name different domains.
    """

    __slots__ = ("contradiction", "definition", "name", "trouble", "uuid")

    def __init__(
        self,
        uuid: str = "",
        name: str = "",
        definition: Definition | None = None,
        trouble: str = "",
        contradiction: str = "",
    ) -> None:
        self.uuid = uuid
        self.name = name
        self.definition = definition
        self.trouble = trouble
        self.contradiction = contradiction

    @property
    def copied(self) -> bool:
        """Whether the definition is this host's copy, because the config could not be used."""
        return self.definition is not None and bool(self.trouble)

    @property
    def known(self) -> bool:
        """Whether there is anything to recognise the domain by."""
        return bool(self.uuid or self.name)

    def is_of(self, process: Process) -> bool:
        """Whether this emulator is the domain's. Without a UUID the name counts, as it does for libvirt."""
        if self.uuid:
            return uuid_of(process.arguments) == self.uuid
        return bool(self.name) and name_of(process.arguments) == self.name

    def __str__(self) -> str:
        return self.name or self.uuid or "the domain"


class Seen:
    """One look at this host: the domain's `emulators`, and `trouble` when absence could not be proven."""

    __slots__ = ("emulators", "host", "identity", "trouble")

    def __init__(
        self,
        identity: Identity,
        emulators: Sequence[Process] = (),
        trouble: str = "",
        host: str = "this host",
    ) -> None:
        self.identity = identity
        self.emulators = tuple(emulators)
        self.trouble = trouble
        self.host = host

    @property
    def truth(self) -> str:
        """RUNNING, STOPPED or UNKNOWN."""
        if self.emulators:
            return RUNNING
        return UNKNOWN if self.trouble else STOPPED

    @property
    def where(self) -> str:
        """The domain and its host, for messages: `web1 on n2 (pid 4711)`."""
        pids = ", ".join(str(process.pid) for process in self.emulators)
        word = "pids" if len(self.emulators) > 1 else "pid"
        return f"{self.identity} on {self.host}" + (f" ({word} {pids})" if pids else "")


def identify(uuid: str, definition: Definition | None, trouble: str, record: Record | None) -> Identity:
    """Decide who the domain is: by its config, else by the parameter uuid, else by what was seen before."""
    if definition is not None:
        contradiction = ""
        if uuid and definition.uuid and uuid != definition.uuid:
            contradiction = (
                f"the parameter uuid is {uuid}, but config names {definition.name} {definition.uuid}"
            )
        return Identity(definition.uuid or uuid, definition.name, definition, trouble, contradiction)
    if uuid:
        name = record.name if record is not None and record.uuid == uuid else ""
        return Identity(uuid, name, None, trouble)
    if record is not None:
        return Identity(record.uuid, record.name, None, trouble)
    return Identity(trouble=trouble)


def sort(
    identity: Identity, everyone: Sequence[Process], own: Record | None, others: Sequence[Record], host: str
) -> Seen:
    """Decide what a scan of all emulators of the host says about the domain.

    The emulator of the `own` record counts even when the definition was changed since. When nobody knows who the
    domain is, it is absent only if every emulator here is known to be somebody else's. One that is ending may not show
    its UUID any more (host.dying): its name counts then, and one without even that leaves a doubt, unless an emulator
    of the domain was known in this boot, and so is known to be gone.
    """
    recorded = (own.pid, own.start) if own is not None else None
    ours = [
        process for process in everyone if identity.is_of(process) or (process.pid, process.start) == recorded
    ]
    elsewhere = {(record.pid, record.start) for record in others}
    ending = [
        process
        for process in everyone
        if not uuid_of(process.arguments) and (process.pid, process.start) not in elsewhere
    ]
    ours += [process for process in ending if _is_named(process, identity) and process not in ours]
    if ours:
        return Seen(identity, ours, host=host)
    if identity.known:
        doubtful = [process for process in ending if own is None and _may_be(process, identity)]
        return Seen(identity, trouble=_ending(doubtful), host=host)
    strangers = [process for process in everyone if (process.pid, process.start) not in elsewhere]
    if not strangers:
        return Seen(identity, host=host)
    names = ", ".join(f"{name_of(process.arguments) or '?'} (pid {process.pid})" for process in strangers)
    trouble = (
        f"{identity.trouble}; whether {names} is this domain cannot be told: set uuid= or mount the share"
    )
    return Seen(identity, trouble=trouble, host=host)


def _is_named(process: Process, identity: Identity) -> bool:
    return bool(identity.name) and name_of(process.arguments) == identity.name


def _may_be(process: Process, identity: Identity) -> bool:
    """Whether an emulator that is ending may be the domain's; a control group leaves signs out of a name."""
    name = name_of(process.arguments)
    return not (name and identity.name) or _bare(name) == _bare(identity.name)


def _bare(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _ending(doubtful: Sequence[Process]) -> str:
    """Say that emulators are ending of which nobody can tell whose they are; empty when there is none."""
    if not doubtful:
        return ""
    pids = ", ".join(str(process.pid) for process in doubtful)
    return f"an emulator is ending here (pid {pids}), may hold its disks, and shows no more whose it is"


def probe(seen: Seen, unseen: str = "") -> Outcome:
    """Answer a probe: the processes decide alone, trouble with libvirtd cannot change the answer.

    `unseen` is World's: what cannot be seen is left alone (domain_hypervisor).
    """
    if seen.truth == UNKNOWN:
        code = codes.ARGUMENTS if unseen else codes.GENERIC
        return failed(f"whether {seen.where} runs is unknown: {seen.trouble}", code)
    if seen.truth == STOPPED:
        return stopped(f"{seen.where} does not run: no emulator has its UUID")
    return running(f"{seen.where} runs")


def monitor(
    seen: Seen, answer: Answer, unknown_for: float = 0.0, lasted: float = 0.0, limit: float = 0.0
) -> Outcome:
    """Answer a recurring monitor.

    `unknown_for` is for how many seconds nothing certain has been seen, `lasted` for how many the condition has
    lasted; after `limit` seconds one that ages is a failure, with 0 never.
    """
    if seen.truth == STOPPED:
        return stopped(f"{seen.where} does not run any more: {_last_word(answer)}")
    if seen.truth == UNKNOWN:
        return _unknown(seen, unknown_for)
    return judged(seen, condition(seen, answer), lasted, limit)


def judged(seen: Seen, found: Condition, lasted: float, limit: float) -> Outcome:
    """Answer to one condition of a guest that runs; see `monitor`."""
    if found.verdict == WELL or (found.counts and lasted < PASSING_FOR.get(found.verdict, 0.0)):
        return running(found.sentence or f"{seen.where} runs")
    if found.verdict == LOST:
        return failed(found.sentence)
    if found.verdict in (AGES, MUST_PASS) and 0.0 < limit <= lasted:
        return failed(f"{found.sentence}; this has lasted {lasted:.0f} s (degraded_limit is {limit:.0f} s)")
    return degraded(f"{found.sentence}; this has lasted {lasted:.0f} s" if lasted >= 1 else found.sentence)


def condition(seen: Seen, answer: Answer) -> Condition:
    """Decide how a guest that runs is."""
    if len(seen.emulators) > 1:
        return Condition(
            LOOK, "", f"{seen.where} runs more than once on this host; stop it through the cluster at once"
        )
    lacking = lacks(seen.emulators[0])
    if lacking == INIT:
        return Condition(
            LOST, "", f"the init of {seen.where} has ended, and something of the container has not"
        )
    if any(is_stopped(process) for process in seen.emulators):
        return Condition(
            LOOK, "", f"the emulator of {seen.where} was stopped by a signal; kill -CONT lets it go on"
        )
    if lacking:
        said = f"{seen.where} runs without libvirt's process for it (libvirt_lxc): libvirt cannot manage it any more"
        return Condition(LOOK, "", f"{said}; a stop through the cluster ends it")
    if is_frozen(seen.emulators[0]) and answer.state != "paused":  # who says paused may say why
        return Condition(LOOK, "", f"{seen.where} is frozen by its control group; virsh resume lets it go on")
    if not answer.answered:
        return _as_libvirt_wrote(seen, answer)
    if answer.kind == libvirt.ABSENT:
        return Condition(
            LOOK, "", f"{seen.where} runs, but libvirt does not know it; it can be stopped, not migrated"
        )
    return _as_libvirt_says(seen, answer)


def _as_libvirt_wrote(seen: Seen, answer: Answer) -> Condition:
    """Take libvirt's last written word for how the guest is, while libvirt says nothing new; that fails nothing.

    That it runs is an old word; it counts only where the guest's processors were seen to run.
    """
    silence = f"libvirt was not asked with success ({answer.kind})"
    if STATES.get(answer.state, WELL) == WELL and answer.state != "paused":
        if answer.still:
            seconds = f"for {answer.still:.0f} s none of its processors has run"
            return Condition(
                LOOK, "", f"whether {seen.where} is paused is not known: {seconds}, and {silence}"
            )
        return Condition(WELL, "", f"{seen.where} runs; {silence}")
    how = f"{answer.state} ({answer.reason})" if answer.reason else answer.state
    return Condition(LOOK, "", f"{seen.where} was {how} when libvirt last wrote of it; {silence}")


def _as_libvirt_says(seen: Seen, answer: Answer) -> Condition:
    verdict = STATES.get(answer.state, LOOK)
    if answer.state == "paused":
        verdict = PAUSED.get(answer.reason, LOOK)
    if verdict == WELL:
        return Condition(
            WELL, "", "" if answer.by == libvirt.LIBVIRT else f"{seen.where} runs for {answer.by}"
        )
    said = f"{answer.state} ({answer.reason})" if answer.reason else answer.state
    advice = ADVICE.get(answer.reason) if answer.state == "paused" else ADVICE.get(answer.state)
    sentence = f"{seen.where} is {said} for {answer.by}" + (f"; {advice}" if advice else "")
    return Condition(verdict, f"{answer.state}-{answer.reason}".replace(" ", "-"), sentence)


def _unknown(seen: Seen, unknown_for: float) -> Outcome:
    if unknown_for < UNKNOWN_BOUND:
        left = f"for {UNKNOWN_BOUND - unknown_for:.0f} s more it counts as running"
        return degraded(f"whether {seen.where} runs is unknown, {left}: {seen.trouble}")
    return failed(f"whether {seen.where} runs has been unknown for {unknown_for:.0f} s: {seen.trouble}")


def _last_word(answer: Answer) -> str:
    """Say what libvirt knows about the end of an emulator that is gone."""
    if answer.active:
        return f"its emulator is gone, though libvirt still says {answer.state}"
    if answer.kind == libvirt.KNOWN and answer.reason not in ("", "unknown"):
        return f"libvirt says {answer.state} ({answer.reason})"
    return "its emulator is gone"
