# SPDX-License-Identifier: GPL-2.0-or-later
"""What DRBD says of one resource on this host, as one value: role, disks, connections, what each peer has.

Decides only what the words mean; the same value comes out for DRBD 8.4 and 9. A listing that was cut short is an error,
never an absence: "not configured here" is said when the listing came to its end without the resource.
Source: drbdsetup(8) of drbd-utils 9, events2 (8.4 has it since 8.4.7; it calls every connection "peer" with the number
0, knows no quorum, no client and no "open", and says how far a resync is only in numbers of its statistics).
"""

from __future__ import annotations

from dataclasses import dataclass

from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

END = "-"  # the object of the line that ends the listing
UP_TO_DATE, CONSISTENT, INCONSISTENT, OUTDATED = "UpToDate", "Consistent", "Inconsistent", "Outdated"
DISKLESS, FAILED, UNKNOWN = "Diskless", "Failed", "DUnknown"
IN_TRANSIT = ("Attaching", "Detaching", "Negotiating")
CONNECTED, STANDALONE = "Connected", "StandAlone"
# A resync of this volume with that peer, seen from this side: who gives, who takes.
GIVING = ("SyncSource", "PausedSyncS", "StartingSyncS", "WFBitMapS", "Ahead")
TAKING = ("SyncTarget", "PausedSyncT", "StartingSyncT", "WFBitMapT", "WFSyncUUID", "Behind")
PAUSED = ("PausedSyncS", "PausedSyncT")
ANONYMOUS = "peer"  # what 8.4 calls every peer


@dataclass(frozen=True, slots=True)
class Device:
    """One volume here; `client` has no disk on purpose. `size` is in KiB, 0 when it is not known."""

    volume: int
    minor: int
    disk: str
    client: bool = False
    quorum: bool = True
    size: int = 0


@dataclass(frozen=True, slots=True)
class PeerDevice:
    """One volume as a peer has it. `done` is how far its resync is, in percent; None when none runs, or nobody knows.

    `held` says why a resync does not go on: user, peer, dependency (another one comes first), joined by commas.
    """

    volume: int
    disk: str
    replication: str = "Off"
    client: bool = False
    done: float | None = None
    held: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """The way to one peer, and what is known of it; `number` is its node-id, always 0 on 8.4."""

    name: str
    number: int
    state: str
    role: str = "Unknown"
    volumes: tuple[PeerDevice, ...] = ()

    @property
    def connected(self) -> bool:
        """Whether the two talk."""
        return self.state == CONNECTED

    def on(self, volume: int) -> PeerDevice | None:
        """Give what the peer has of a volume."""
        return next((each for each in self.volumes if each.volume == volume), None)


@dataclass(frozen=True, slots=True)
class State:
    """One resource on this host. `suspended` are the reasons for which its I/O waits: user, no-data, fencing, quorum.

    `fails_io`: DRBD 9 gave the role up by force, and answers every access with an error.
    """

    name: str
    role: str
    suspended: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    connections: tuple[Connection, ...] = ()
    fails_io: bool = False

    @property
    def promoted(self) -> bool:
        """Whether this host may write."""
        return self.role == "Primary"

    @property
    def quorum(self) -> bool:
        """Whether every volume has its quorum; where none is asked for, it has."""
        return all(device.quorum for device in self.devices)

    @property
    def client(self) -> bool:
        """Whether this host has no disk of it at all, on purpose."""
        return bool(self.devices) and all(device.client for device in self.devices)

    def local(self, *disks: str) -> bool:
        """Whether there are volumes, and each of them has one of these states on this host's own disk."""
        return bool(self.devices) and all(device.disk in disks for device in self.devices)

    @property
    def good_peers(self) -> tuple[Connection, ...]:
        """Give the peers that are connected and have every volume up to date."""
        return tuple(each for each in self.connections if each.connected and self._has_all(each))

    @property
    def storing(self) -> tuple[Connection, ...]:
        """Give the peers that are not there as mere clients."""
        return tuple(each for each in self.connections if not _is_client(each))

    @property
    def redundant(self) -> bool:
        """Whether everything is up to date here and on every peer that stores, and all of them are connected."""
        peers = self.storing
        return bool(peers) and self.local(UP_TO_DATE) and all(peer in self.good_peers for peer in peers)

    def readable(self, device: Device) -> bool:
        """Whether the data of a volume can be reached: on the own disk, or on a peer's."""
        return device.disk == UP_TO_DATE or bool(self.sources(device.volume))

    def sources(self, volume: int) -> tuple[Connection, ...]:
        """Give the connected peers that have a volume up to date."""
        return tuple(
            each for each in self.connections if each.connected and _disk(each, volume) == UP_TO_DATE
        )

    def fresh(self, device: Device) -> bool:
        """Whether nobody has the volume's data yet: it was added, and its first resync has not begun."""
        there = [_disk(peer, device.volume) for peer in self.storing if peer.connected]
        return device.disk == INCONSISTENT and bool(there) and all(disk == INCONSISTENT for disk in there)

    def _has_all(self, peer: Connection) -> bool:
        return bool(self.devices) and all(_disk(peer, device.volume) == UP_TO_DATE for device in self.devices)


def _disk(peer: Connection, volume: int) -> str:
    found = peer.on(volume)
    return found.disk if found else UNKNOWN


def _is_client(peer: Connection) -> bool:
    return bool(peer.volumes) and all(each.client for each in peer.volumes)


def read(text: str, resource: str) -> State | None:
    """Give the state of a resource from `drbdsetup events2 --now --statistics`; None when it is not configured here.

    Raises CannotAsk for a listing that did not come to its end or that says something else than it should.
    """
    found: dict[str, list[Mapping[str, str]]] = {}
    ended = False
    for kind, words in _lines(text):
        ended = ended or kind == END
        if kind != END and words.get("name") == resource:
            found.setdefault(kind, []).append(words)
    if not ended:
        raise CannotAsk("DRBD's answer was cut short")
    if "resource" not in found:
        return None
    try:
        return _state(resource, found)
    except (KeyError, ValueError) as odd:
        raise CannotAsk(f"DRBD's answer about {resource} cannot be read ({odd})") from None


def _lines(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Give kind and words of what exists; `name:r0 role:Primary` becomes {"name": "r0", "role": "Primary"}."""
    for line in text.splitlines():
        happened, _, rest = line.strip().partition(" ")
        if happened == "exists":
            kind, *words = rest.split() or [""]
            pairs = (word.partition(":") for word in words)
            yield kind, {name: value for name, _, value in pairs}


def _state(resource: str, found: Mapping[str, list[Mapping[str, str]]]) -> State:
    words = found["resource"][-1]
    devices = tuple(sorted((_device(each) for each in found.get("device", ())), key=lambda one: one.volume))
    sizes = {device.volume: device.size for device in devices}
    there = found.get("peer-device", ())
    return State(
        resource,
        words["role"],
        tuple(word for word in words.get("suspended", "no").split(",") if word != "no"),
        devices,
        tuple(_connection(each, there, sizes) for each in found.get("connection", ())),
        words.get("force-io-failures") == "yes",
    )


def _device(words: Mapping[str, str]) -> Device:
    return Device(
        int(words["volume"]),
        int(words["minor"]),
        words["disk"],
        words.get("client") == "yes",
        words.get("quorum", "yes") == "yes",
        int(words.get("size", "0")),
    )


def _connection(
    words: Mapping[str, str],
    there: tuple[Mapping[str, str], ...] | list[Mapping[str, str]],
    sizes: Mapping[int, int],
) -> Connection:
    number, name = int(words["peer-node-id"]), words.get("conn-name", ANONYMOUS)
    # 8.4 numbers every peer 0; where two have the same number, the name tells them apart.
    own = [
        each for each in there if int(each["peer-node-id"]) == number and each.get("conn-name", name) == name
    ]
    volumes = sorted((_peer_device(each, sizes) for each in own), key=lambda one: one.volume)
    return Connection(name, number, words["connection"], words.get("role", "Unknown"), tuple(volumes))


def _peer_device(words: Mapping[str, str], sizes: Mapping[int, int]) -> PeerDevice:
    volume, replication = int(words["volume"]), words.get("replication", "Off")
    held = words.get("resync-suspended", "no")
    return PeerDevice(
        volume,
        words["peer-disk"],
        replication,
        words.get("peer-client") == "yes",
        _done(words, sizes.get(volume, 0)) if replication in GIVING + TAKING else None,
        "" if held == "no" else held,
    )


def _done(words: Mapping[str, str], size: int) -> float | None:
    if "done" in words:
        return float(words["done"])
    if size and "out-of-sync" in words:
        return round(max(0.0, 100.0 * (1 - int(words["out-of-sync"]) / size)), 2)
    return None
