# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that nobody knows, and guests that run twice: what the libvirtd agent reports at check level 10.

Decides what is one. A stray is an emulator that neither libvirt nor a resource of the cluster accounts for. A guest
runs twice when its UUID runs in two emulators of this host, or here and on another host at the same time.

The latter is proven, not inferred from two notes of different age. Each host publishes what runs on it, and only
when that changed. A host that finds one of its guests in another's note asks about it, naming its own emulator; the
other repeats that name as long as the guest runs there too. Whoever finds his own emulator's name repeated, while
that very process still runs the guest, knows that both ran in between. A migration is never taken for that: the
source's emulator does not run any more when the target's begins to. No clock is compared, and nothing is ended.

The notes are private attributes: the attribute daemons hold them, they never reach the CIB or wake the scheduler.
"""

from __future__ import annotations

from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backstay.agents.libvirtd import LibvirtdParameters
    from backstay.agents.libvirtd_memory import Memory
    from backstay.host.guests import Guest
    from backstay.host.libvirtd import Host
    from backstay.ocf.context import Context

TOOL_TIME = 4.0  # seconds that the attribute daemon gets
SCAN_TIME = 5.0  # seconds for a look at all processes
DIGITS = 12  # for a UUID in a note
ASKS, REPEATS, OF = "?", "!", ":"
LAST = "~"  # begins the word of a stop: how many emulators of any kind were left then


class Note:
    """What one host says of its guests: which run, which it asks about and which questions it repeats.

    Guests go by DIGITS digits of their UUID's hash (`short`); a question is (guest, the asking host's emulator).
    """

    __slots__ = ("asks", "repeats", "runs")

    def __init__(
        self,
        runs: Iterable[str] = (),
        asks: Iterable[tuple[str, str]] = (),
        repeats: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.runs = frozenset(runs)
        self.asks = frozenset(asks)
        self.repeats = frozenset(repeats)

    def text(self) -> str:
        """Write it; the same note is always the same text. One without guests is a dash, since an empty one is none."""
        words = sorted(self.runs)
        words += sorted(f"{ASKS}{guest}{OF}{emulator}" for guest, emulator in self.asks)
        words += sorted(f"{REPEATS}{guest}{OF}{emulator}" for guest, emulator in self.repeats)
        return " ".join(words) or "-"


def read(text: str) -> Note:
    """Read a note; words that make no sense are left out."""
    words = text.split()
    runs = [word for word in words if word.isalnum()]
    return Note(runs, _questions(words, ASKS), _questions(words, REPEATS))


def _questions(words: Sequence[str], mark: str) -> list[tuple[str, str]]:
    pairs = (word[1:].partition(OF) for word in words if word.startswith(mark))
    return [(guest, emulator) for guest, _, emulator in pairs if guest and emulator]


def compare(own: Mapping[str, str], others: Mapping[str, Note]) -> tuple[Note, dict[str, tuple[str, ...]]]:
    """Give what this host has to say now, and the guests that are proven to run on other hosts as well.

    `own` are the guests that run here and their emulators, `others` the notes of the other hosts.
    """
    elsewhere = {guest for note in others.values() for guest in note.runs}
    asks = [(guest, emulator) for guest, emulator in own.items() if guest in elsewhere]
    repeats = [question for note in others.values() for question in note.asks if question[0] in own]
    twice = {
        guest: tuple(sorted(host for host, note in others.items() if (guest, emulator) in note.repeats))
        for guest, emulator in asks
    }
    return Note(own, asks, repeats), {guest: hosts for guest, hosts in twice.items() if hosts}


def findings(guests: Sequence[Guest], twice: Mapping[str, Sequence[str]]) -> list[str]:
    """Say what is wrong, one sentence for each guest."""
    said = [
        f"{_called(guest)} runs outside of libvirt and of the cluster (pid {guest.key.partition('.')[0]})"
        for guest in guests
        if not guest.accounted
    ]
    running = [guest for guest in guests if guest.runs]
    for guest in running:
        same = [other.key.partition(".")[0] for other in running if other.uuid == guest.uuid]
        if len(same) > 1:
            said.append(
                f"{_called(guest)} runs {len(same)} times on this host (pids {', '.join(sorted(same))})"
            )
        hosts = twice.get(short(guest.uuid), ())
        if hosts:
            said.append(
                f"{_called(guest)} runs here and on {', '.join(hosts)} at the same time; stop one of them"
            )
    return sorted(set(said))


def short(uuid: str) -> str:
    """Give what stands for a UUID in a note: of its hash, as UUIDs that were counted up begin or end alike."""
    from hashlib import blake2s

    return blake2s(uuid.replace("-", "").lower().encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]


def _called(guest: Guest) -> str:
    return f"{guest.name or 'a guest'} ({guest.uuid})"


def report(context: Context[LibvirtdParameters], host: Host, memory: Memory) -> str:
    """Look, tell the other hosts, and give what was found in one sentence; empty when there is nothing to say."""
    try:
        guests = host.guests(min(SCAN_TIME, context.deadline.left() / 2))
    except (CannotAsk, OSError) as error:
        context.warn(f"strays are not looked for: the host's processes cannot be seen ({error})")
        return ""
    own = {short(guest.uuid): guest.key for guest in guests if guest.runs}
    twice: dict[str, tuple[str, ...]] = {}
    note = None
    try:
        others = host.notes(context.node, min(TOOL_TIME, context.deadline.left() / 2))
        note, twice = compare(own, {name: read(text) for name, text in others.items()})
    except CannotAsk as error:
        context.warn(f"whether guests of this host run elsewhere as well is not known: {error}")
    found = "; ".join(findings(guests, twice))
    _tell(context, host, memory, found)
    # Last: the note also says that somebody has looked, and a host whose strays nobody was told of is not given back.
    if note is not None and memory.strays == found and note.text() != memory.guests:
        try:
            host.publish_note(note.text(), min(TOOL_TIME, context.deadline.left() / 2))
            memory.guests = note.text()
        except CannotAsk as error:
            context.warn(f"other hosts are not told which guests run here: {error}")
    return found


def farewell(context: Context[LibvirtdParameters], host: Host, memory: Memory) -> None:
    """Tell the other hosts what is left here at a stop: nobody looks any more until the next start."""
    try:
        guests = host.guests(min(SCAN_TIME, context.deadline.left() / 4))
        # Its own word comes first: a value that begins with "- " is an option to attrd_updater.
        text = f"{LAST}{len(guests)} {Note(short(guest.uuid) for guest in guests if guest.runs).text()}"
        host.publish_note(text, min(TOOL_TIME, context.deadline.left() / 4))
        memory.guests = text
    except (CannotAsk, OSError) as error:
        context.warn(f"other hosts are not told which guests are left: {error}")


def left_at_stop(text: str) -> int | None:
    """Give how many emulators a note says to have been left when libvirtd was stopped; None when it is no such note."""
    words = [word[len(LAST) :] for word in text.split() if word.startswith(LAST)]
    return int(words[0]) if words and words[0].isdecimal() else None


def _tell(context: Context[LibvirtdParameters], host: Host, memory: Memory, found: str) -> None:
    if memory.strays == found:
        return
    if found:
        context.journal.alert(found)
    try:
        host.publish_strays(found, min(TOOL_TIME, context.deadline.left() / 2))
        memory.strays = found
    except CannotAsk as error:
        context.warn(f"other hosts are not told of strays: {error}")
