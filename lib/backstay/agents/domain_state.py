# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known about a domain on this host, and what a monitor answers to it. Pure: no effects, only tables.

Truth has three values. RUNNING is proven by an emulator with the domain's UUID among its arguments, STOPPED by the
absence of one among all processes of the host; anything else is UNKNOWN. libvirt never decides between them: a
dead or hung libvirtd says nothing about a guest, and a libvirtd that lost an emulator (or claims one that is gone)
is wrong. What libvirt adds is *how* a guest runs: paused by an I/O error, suspended, crashed.

Monitor at 190: the guest counts as running and an admin should look. Reasons of that kind need no cure by restart,
and a restart would lose the guest's memory. UNKNOWN is bounded, or a guest that died unseen would never be replaced.
"""

from __future__ import annotations

from backstay.host import libvirt
from backstay.host.emulator import is_stopped, name_of, uuid_of
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

WELL, LOOK, LOST = "well", "look", "lost"  # 0, 190, 1
STATES = {
    "nostate": WELL,
    "running": WELL,
    "blocked": WELL,
    "shutdown": WELL,  # it is on its way out; the next monitor sees no process
    "shutoff": LOOK,  # while its emulator runs: libvirt lost it
    "crashed": LOST,
    "pmsuspended": LOOK,
}
PAUSED = {
    # what passes by itself
    "migration": WELL,
    "save": WELL,
    "dump": WELL,
    "snapshot": WELL,
    "from-snapshot": WELL,
    "starting-up": WELL,
    "shutting-down": WELL,
    "postcopy": WELL,
    # what does not
    "crashed": LOST,
    "ioerror": LOOK,
    "watchdog": LOOK,
    "postcopy-failed": LOOK,
    "user": LOOK,
    "api-error": LOOK,
    "unknown": LOOK,
}
ADVICE = {
    "ioerror": "look at its storage, then: virsh resume",
    "watchdog": "its watchdog fired; look at the guest, then: virsh resume or virsh reset",
    "postcopy-failed": "its memory is split over two hosts; migrate it again or stop it",
    "user": "somebody paused it; virsh resume lets it go on",
    "pmsuspended": "the guest suspended itself; virsh dompmwakeup wakes it",
}


class Identity:
    """Who the domain is: `uuid` (preferred) and `name`, either may be empty.

    `definition` is there when the config could be read; `trouble` says why not. `contradiction` is a sentence when
    the parameter uuid and the config name different domains.
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
        return Identity(definition.uuid or uuid, definition.name, definition, "", contradiction)
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
    domain is, it is absent only if every emulator here is known to be somebody else's.
    """
    recorded = (own.pid, own.start) if own is not None else None
    ours = [
        process for process in everyone if identity.is_of(process) or (process.pid, process.start) == recorded
    ]
    if ours or identity.known:
        return Seen(identity, ours, host=host)
    elsewhere = {(record.pid, record.start) for record in others}
    strangers = [process for process in everyone if (process.pid, process.start) not in elsewhere]
    if not strangers:
        return Seen(identity, host=host)
    names = ", ".join(f"{name_of(process.arguments) or '?'} (pid {process.pid})" for process in strangers)
    trouble = (
        f"{identity.trouble}; whether {names} is this domain cannot be told: set uuid= or mount the share"
    )
    return Seen(identity, trouble=trouble, host=host)


def probe(seen: Seen) -> Outcome:
    """Answer a probe: the processes decide alone, trouble with libvirtd cannot change the answer."""
    if seen.truth == UNKNOWN:
        return failed(f"whether {seen.where} runs is unknown: {seen.trouble}")
    if seen.truth == STOPPED:
        return stopped(f"{seen.where} does not run: no emulator has its UUID")
    return running(f"{seen.where} runs")


def monitor(seen: Seen, answer: Answer, unknown_for: float = 0.0) -> Outcome:
    """Answer a recurring monitor. `unknown_for` is for how many seconds nothing certain has been seen."""
    if seen.truth == STOPPED:
        return stopped(f"{seen.where} does not run any more: {_last_word(answer)}")
    if seen.truth == UNKNOWN:
        return _unknown(seen, unknown_for)
    if len(seen.emulators) > 1:
        return degraded(f"{seen.where} runs more than once on this host; stop it through the cluster at once")
    if any(is_stopped(process) for process in seen.emulators):
        return degraded(f"the emulator of {seen.where} was stopped by a signal; kill -CONT lets it go on")
    if not answer.answered:
        return running(f"{seen.where} runs; libvirt was not asked with success ({answer.kind})")
    return _as_libvirt_says(seen, answer)


def _as_libvirt_says(seen: Seen, answer: Answer) -> Outcome:
    if answer.kind == libvirt.ABSENT:
        return degraded(f"{seen.where} runs, but libvirt does not know it; it can be stopped, not migrated")
    verdict = STATES.get(answer.state, LOOK)
    if answer.state == "paused":
        verdict = PAUSED.get(answer.reason, LOOK)
    if verdict == WELL:
        return running(f"{seen.where} runs")
    said = f"{answer.state} ({answer.reason})" if answer.reason else answer.state
    advice = ADVICE.get(answer.reason) or ADVICE.get(answer.state)
    sentence = f"{seen.where} is {said} for libvirt" + (f"; {advice}" if advice else "")
    return failed(sentence) if verdict == LOST else degraded(sentence)


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
