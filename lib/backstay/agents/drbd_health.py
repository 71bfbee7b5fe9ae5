# SPDX-License-Identifier: GPL-2.0-or-later
"""How a DRBD resource of this host is: what is wrong with which volume and which peer, and what Pacemaker is told.

Decides by tables alone. A promoted side fails (9) only for what another host could do better, or when nothing can be
read or written any more; whatever is merely less than whole is degraded (190, 191). What comes and goes with every
reboot of a peer (it is away, it is being resynchronised) is well, and stands in the node attribute only: a failed
action that stays shown until somebody cleans it up would be read by nobody.
"""

from __future__ import annotations

from backstay.host import drbd_state as drbd
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstay.host.drbd_state import Connection, Device, PeerDevice, State

WELL, NOTED, DEGRADED, WAITING, LOST = range(5)
# What a resource without a disk has instead: nothing here will come back by itself.
WITHOUT = (drbd.DISKLESS, drbd.FAILED)
RESOLVE = (
    "decide whose changes are given up; there: drbdadm disconnect, drbdadm secondary, drbdadm connect "
    "--discard-my-data; on the other side: drbdadm connect"
)


class Finding:
    """One thing that is not as it should be: how grave, a word for the attribute, a sentence for the admin."""

    __slots__ = ("grave", "sentence", "word")

    def __init__(self, grave: int, word: str, sentence: str) -> None:
        self.grave = grave
        self.word = word
        self.sentence = sentence

    def __repr__(self) -> str:
        return f"Finding({self.grave}, {self.word!r}, {self.sentence!r})"


class Around:
    """What a monitor knows besides DRBD's own words.

    `name` gives a peer's host; `split` are the peers of a split brain; `elsewhere` says that another host has a
    promotion score, None when that is not known.
    """

    __slots__ = ("elsewhere", "name", "split")

    def __init__(
        self,
        name: Callable[[Connection], str],
        split: bool = False,
        elsewhere: bool | None = None,
    ) -> None:
        self.name = name
        self.split = split
        self.elsewhere = elsewhere


def findings(state: State, around: Around) -> list[Finding]:
    """Give what is not as it should be, the gravest first."""
    found = [*_io(state, around)]
    for device in state.devices:
        found += _volume(state, device, around)
    for peer in state.connections:
        found += _peer(state, peer, around)
    return sorted(found, key=lambda one: -one.grave)


def _io(state: State, around: Around) -> Iterator[Finding]:
    """What concerns the I/O of the whole resource."""
    if state.fails_io:
        yield Finding(
            DEGRADED, "fails-io", "its role was taken away by force: it answers every access with an error"
        )
    if "fencing" in state.suspended:
        peers = ", ".join(around.name(peer) for peer in state.connections if not peer.connected) or "its peer"
        yield Finding(
            DEGRADED, "waits-for-fencing", f"I/O waits until {peers} is fenced (handler fence-peer)"
        )
    if "user" in state.suspended:
        yield Finding(DEGRADED, "suspended", "an admin has suspended I/O (drbdadm resume-io)")


def _volume(state: State, device: Device, around: Around) -> Iterator[Finding]:
    """What is wrong with the data of one volume here."""
    what = f"volume {device.volume}"
    if not device.quorum:
        yield _no_quorum(state, what)
    if device.client or device.disk in drbd.IN_TRANSIT or device.disk == drbd.UP_TO_DATE:
        if device.client and state.promoted and not state.readable(device):
            yield _unreachable(state, device)
        return
    taking = [(peer, on) for peer in state.connections if (on := _resync(peer, device, drbd.TAKING))]
    if taking:
        yield _being_mended(state, what, *taking[0], around)
    elif state.fresh(device):
        yield Finding(
            DEGRADED, "not-synchronised", f"{what} was never synchronised; no side has its data yet"
        )
    elif not state.promoted:
        yield _unusable(state, device)
    elif state.readable(device):
        sources = ", ".join(around.name(peer) for peer in state.sources(device.volume))
        yield Finding(
            DEGRADED,
            _disk_word(device),
            f"{what} is {device.disk} here; it is read and written on {sources} only",
        )
    else:
        yield _unreachable(state, device)


def _no_quorum(state: State, what: str) -> Finding:
    if not state.promoted:
        return Finding(DEGRADED, "no-quorum", f"{what} has no quorum")
    if "quorum" in state.suspended:
        return Finding(WAITING, "no-quorum", f"{what} has no quorum: I/O waits until enough peers are back")
    return Finding(LOST, "no-quorum", f"{what} has no quorum: I/O fails")


def _unreachable(state: State, device: Device) -> Finding:
    """A promoted volume whose data nobody here can reach.

    Data that may be old are as good as none: DRBD neither reads nor writes them (may_do_writes, drbd_may_do_local_read
    of drbd_req.c, 8.4 and 9). Whatever I/O waits for, it does not fail meanwhile.
    """
    how = f"volume {device.volume} is {device.disk} here, and no connected peer has it up to date"
    if state.suspended:
        return Finding(WAITING, "no-data", f"{how}: I/O waits for it")
    return Finding(LOST, "no-data", f"{how}: I/O fails")


def _unusable(state: State, device: Device) -> Finding:
    """A volume of an unpromoted side that is not up to date and not being resynchronised."""
    what = f"volume {device.volume} is {device.disk} here"
    if device.disk in WITHOUT:
        return Finding(DEGRADED, _disk_word(device), f"{what}: its disk failed or was detached")
    alone = not any(peer.connected for peer in state.connections)
    if alone or device.disk != drbd.INCONSISTENT:
        # It mends itself with the first resync after the peer has come back.
        return Finding(NOTED, _disk_word(device), f"{what}, until it is connected")
    return Finding(DEGRADED, _disk_word(device), f"{what}, and no resync runs")


def _being_mended(state: State, what: str, peer: Connection, on: PeerDevice, around: Around) -> Finding:
    how = f"{what} is being resynchronised from {around.name(peer)}{_progress(on)}"
    if not state.promoted:
        return _held(on, how) or Finding(NOTED, "resyncing", how)
    return Finding(DEGRADED, "resyncing", f"{how}; until then {around.name(peer)} alone has all of its data")


def _peer(state: State, peer: Connection, around: Around) -> Iterator[Finding]:
    """What is wrong with one peer and the way to it."""
    name = around.name(peer)
    if peer.state == drbd.STANDALONE:
        if around.split:
            yield Finding(DEGRADED, "split-brain", f"split brain with {name}, both were written: {RESOLVE}")
        else:
            yield Finding(
                DEGRADED,
                "standalone",
                f"it does not connect to {name} any more (StandAlone): drbdadm connect, or see the log",
            )
    elif not peer.connected:
        yield Finding(NOTED, "alone", f"it is not connected to {name} ({peer.state})")
    for device in state.devices if peer.connected else ():
        on = peer.on(device.volume)
        giving = _resync(peer, device, drbd.GIVING)
        if giving:
            how = f"volume {device.volume} of {name} is being resynchronised{_progress(giving)}"
            yield _held(giving, how) or Finding(NOTED, "resyncing", how)
        elif on and not on.client and on.disk in WITHOUT:
            yield Finding(NOTED, "peer-no-disk", f"volume {device.volume} is {on.disk} on {name}")


def _resync(peer: Connection, device: Device, kinds: tuple[str, ...]) -> PeerDevice | None:
    on = peer.on(device.volume)
    return on if on and peer.connected and on.replication in kinds else None


def _held(on: PeerDevice, how: str) -> Finding | None:
    """A resync that waits for a person; one that waits for another resync goes on by itself."""
    if on.replication in drbd.PAUSED and ("user" in on.held or "peer" in on.held):
        return Finding(DEGRADED, "resync-paused", f"{how}, but that was paused (drbdadm resume-sync)")
    return None


def _progress(on: PeerDevice) -> str:
    return "" if on.done is None else f" ({on.done:.1f} % done)"


def _disk_word(device: Device) -> str:
    return "no-disk" if device.disk in WITHOUT else device.disk.lower()


def attribute(found: list[Finding]) -> str:
    """Give the value of the node attribute; empty when all is well."""
    if not found:
        return ""
    return {NOTED: "", DEGRADED: "degraded:", WAITING: "broken:", LOST: "broken:"}[found[0].grave] + found[
        0
    ].word


def judge(state: State, found: list[Finding], around: Around, may_fail: bool) -> Outcome:
    """Give what Pacemaker is told. `may_fail` is false for a probe, and where an admin chose on_no_data=degraded."""
    grave = found[0].grave if found else WELL
    role = "promoted" if state.promoted else "unpromoted"
    shown = [one.sentence for one in found if one.grave >= min(grave, DEGRADED)]
    reason = f"{state.name} is {role}" + (f", but {'; '.join(shown)}" if shown else "")
    if not state.promoted:
        return Outcome(codes.DEGRADED if grave >= DEGRADED else codes.SUCCESS, reason)
    if grave < DEGRADED:
        return Outcome(codes.PROMOTED, reason)
    if may_fail and (grave == LOST or (grave == WAITING and around.elsewhere)):
        return Outcome(codes.FAILED_PROMOTED, reason)
    return Outcome(codes.DEGRADED_PROMOTED, reason)
