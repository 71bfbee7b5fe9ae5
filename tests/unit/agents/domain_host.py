# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that exists only as numbers, for the tests of the domain agent: every wait is on a clock that is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstay.agents.domain_birth import Birth
from backstay.agents.domain_world import World
from backstay.errors import CannotAsk
from backstay.host import libvirt
from backstay.host.clock import Deadline
from backstay.host.elsewhere import Sighting
from backstay.host.emulator import FROZEN, GO_ON, KILL, TERMINATE
from backstay.host.libvirt import Answer
from backstay.host.proc import Process
from backstay.host.records import Record
from backstay.host.vcpus import Look

UUID = "11111111-2222-3333-4444-555555555501"
OTHER = "11111111-2222-3333-4444-555555555502"
XML = f"<domain type='kvm'><name>web1</name><uuid>{UUID}</uuid></domain>".encode()
NEVER = 1e9
IMAGE_LOCK = (
    "internal error: process exited while connecting to monitor: qemu-system-x86_64: -device {}: "
    'Failed to get "write" lock\nIs another process using the image [/srv/vm/web1.raw]?'
)
LOCKSPACE = "resource busy: Lockspace resource '/srv/vm/web1.raw' is locked"


class Guest:
    """An emulator of the fake host; `ends` says after how many seconds it ends by which means."""

    def __init__(self, pid: int = 100, uuid: str = UUID, name: str = "web1", **ends: float) -> None:
        self.pid, self.uuid, self.name, self.ends = pid, uuid, name, ends
        self.state = "S"
        self.ending = False  # killed: no memory and so no arguments any more, but still there
        self.end = NEVER
        self.waits_for = ""
        self.files = ""
        self.powered_off_at = NEVER
        self.incoming = False
        self.lacks = ""  # init or controller: what a container has no more
        self.frozen = False
        self.status = "running"  # QEMU's run state
        self.migration = ""  # and that of its migration
        self.idle = False  # its processors wait for an interrupt

    def process(self) -> Process:
        arguments = ("/usr/bin/kvm", "-name", f"guest={self.name}", "-uuid", self.uuid)
        if self.incoming:
            arguments += ("-incoming", "defer")
        arguments += ("-lacks", self.lacks) if self.lacks else ()
        arguments += FROZEN if self.frozen else ()
        return Process(self.pid, self.pid * 10, self.state, () if self.ending else arguments)


class Host:
    """The fake host: its clock, emulators, libvirt, monitor sockets, records and definitions, in one."""

    def __init__(self, *guests: Guest, libvirtd: str = "well", xml: bytes | None = XML) -> None:
        self.now = 1000.0
        self.guests = list(guests)
        self.libvirtd = libvirtd
        self.known = Answer(libvirt.ABSENT)
        for guest in guests:
            self.known = Answer(libvirt.KNOWN, state="running", uuid=guest.uuid, name=guest.name)
        self.xml = xml
        self.proc_broken = ""
        self.guest_agent = "absent"
        self.peers: dict[str, Sighting] = {}
        self.cluster_broken = ""
        self.asked_peers = 0
        self.socket_is_free = False  # although libvirtd lives: it does not know the emulator
        self.busy = False  # libvirt here has a job about the domain
        self.held = False  # the domain was created and never let run
        self.lock = ""  # libvirt's lock manager
        self.deeds: list[str] = []
        self.kept: dict[str, Record] = {}
        self.elsewhere: tuple[Record, ...] = ()
        self.texts: dict[str, str] = {}
        self.copy: bytes | None = None
        self.copy_error = ""
        self.warnings: list[str] = []
        self.creates: Guest | None = Guest(500)
        self.create_error = ""
        self.create_locked_until = self.resume_locked_until = 0.0
        self.written = ("", 0)
        self.last_words = ("", "")  # state and reason that libvirt wrote of web1's first emulator
        self.other: Host | None = None
        self.guests_at_boot = False
        self.created = ""
        self.locked = False

    # the clock

    def pause(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, lambda: self.now)

    def world(self, *, uuid: str = "", config: str = "/srv/web1.xml") -> World:
        return World(
            instance="web1",
            host="n2",
            config=config,
            uuid=uuid,
            emulators=self,
            libvirt=Daemon(self),
            libvirt_at=lambda _uri: Daemon(self.other or self),
            elsewhere=lambda: Cluster(self),
            monitor=lambda process: Socket(self, process),
            records=self,
            memory=Texts(self.texts),
            copies=lambda: Copies(self),
            read=self.definition,
            says_running=lambda name, pid: (name, pid) == self.written,
            written=lambda name, pid: self.last_words if (name, pid) == ("web1", 100) else ("", ""),
            writer=lambda: (0, 0) if self.libvirtd in ("dead", "woken") else (50, 500),
            watch=self.processors,
            pause=self.pause,
            monotonic=lambda: self.now,
            warn=self.warnings.append,
            note=lambda _text: None,
        )

    def birth(self, world: World | None = None, **given: Any) -> Birth:
        return Birth(world or self.world(), Doors(self), **given)

    def processors(self, pid: int) -> Look:
        """Look at a guest's processors: their work is the clock's while it runs, and they are never caught at it."""
        guest = self.of(pid)
        runs = guest is not None and guest.status == "running" and not guest.idle
        return Look(False, {"CPU 0": f"{self.now if runs else 0.0}"})

    # emulators

    by_pid = True

    def living(self) -> list[Guest]:
        return [guest for guest in self.guests if guest.end > self.now]

    def all(self, timeout: float = 5.0) -> tuple[Process, ...]:
        if self.proc_broken:
            raise CannotAsk(self.proc_broken)
        return tuple(guest.process() for guest in self.living() if not guest.ending)

    def again(self, process: Process) -> Process | None:
        found = [guest.process() for guest in self.living() if guest.process() == process]
        return found[0] if found else None

    def signal(self, process: Process, number: int) -> bool:
        guest = self.of(process.pid)
        if guest is None:
            return False
        word = {TERMINATE: "term", KILL: "kill", GO_ON: "cont"}[number]
        self.deeds.append(word)
        if number == GO_ON:
            guest.state = "S"
        self.ends_by(guest, word)
        return True

    def waits_for(self, process: Process) -> str:
        guest = self.of(process.pid)
        return guest.waits_for if guest else ""

    def files(self, process: Process) -> str:
        guest = self.of(process.pid)
        return guest.files if guest else ""

    def of(self, pid: int) -> Guest | None:
        return next((guest for guest in self.living() if guest.pid == pid), None)

    def ends_by(self, guest: Guest, word: str) -> None:
        guest.end = min(guest.end, self.now + guest.ends.get(word, NEVER))

    # definitions

    def definition(self, path: str, timeout: float) -> bytes:
        if self.xml is None:
            raise CannotAsk(f"{path} cannot be read: No such file or directory")
        return self.xml

    # records

    def read(self, instance: str) -> Record | None:
        return self.kept.get(instance)

    def write(self, instance: str, record: Record) -> None:
        self.kept[instance] = record

    def forget(self, instance: str) -> None:
        self.kept.pop(instance, None)

    def others(self, instance: str) -> tuple[Record, ...]:
        return self.elsewhere


class Texts:
    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def read(self, name: str) -> str:
        return self.texts.get(name, "")

    def write(self, name: str, text: str) -> None:
        self.texts[name] = text

    def forget(self, name: str) -> None:
        self.texts.pop(name, None)


class Cluster:
    """The other hosts of the fake host."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def hosts(self, timeout: float) -> tuple[str, ...]:
        if self.host.cluster_broken:
            raise CannotAsk(self.host.cluster_broken)
        return tuple(self.host.peers)

    def look(self, hosts: Sequence[str], uuid: str, name: str, timeout: float) -> tuple[Sighting, ...]:
        self.host.asked_peers += 1
        if any(self.host.peers[host].kind == libvirt.HUNG for host in hosts):
            self.host.now += timeout
        return tuple(self.host.peers[host] for host in hosts)

    def here(self, uuid: str, name: str, timeout: float) -> Sighting:
        known = self.host.known
        held = self.host.held and known.state == "paused"
        return Sighting("n2", known.kind, known.state, known.reason, self.host.busy, known.text, held)

    def lock_manager(self) -> str:
        return self.host.lock


class Copies:
    """The fake host's copy of the definition."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def keep(self, instance: str, config: str, content: bytes, timeout: float) -> None:
        if self.host.copy_error:
            raise CannotAsk(self.host.copy_error)
        self.host.copy = content

    def read(self, instance: str, config: str, timeout: float) -> tuple[bytes, str]:
        if self.host.copy is None or self.host.copy_error:
            raise CannotAsk(self.host.copy_error or "there is no copy")
        return self.host.copy, "2026-01-02 03:04 UTC"


class Doors:
    """What the fake host would start by itself; `locked`: nothing of it can be changed."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def disable_autostart(self, uuid: str, timeout: float) -> Answer:
        self.host.deeds.append("autostart off")
        self.host.known.autostart = self.host.locked
        return self.host.known

    def remove_managed_save(self, uuid: str, timeout: float) -> Answer:
        self.host.deeds.append("managed save removed")
        self.host.known.saved = self.host.locked
        return self.host.known

    def guests_at_boot(self) -> bool:
        return self.host.guests_at_boot


class Daemon:
    """libvirt of the fake host."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def answer(self, timeout: float) -> Answer:
        host = self.host
        if host.libvirtd == "hung":
            host.now += timeout
            return Answer(libvirt.HUNG, text="no answer")
        if host.libvirtd == "woken":  # by its socket
            host.deeds.append("woken")
            return host.known
        if host.libvirtd == "dead":
            return Answer(libvirt.REFUSED, text="Connection refused")
        return host.known

    def describe(self, uuid: str, name: str, timeout: float) -> Answer:
        return self.answer(timeout)

    def create(self, definition: str, timeout: float) -> Answer:
        host = self.host
        host.deeds.append("create")
        host.created = definition
        if host.create_locked_until > host.now:
            return Answer(libvirt.ERROR, text=IMAGE_LOCK)
        if host.create_error:
            return Answer(libvirt.ERROR, text=host.create_error)
        if host.creates:
            host.guests.append(host.creates)
            host.creates = Guest(host.creates.pid + 1, host.creates.uuid, **host.creates.ends)
            host.known = Answer(libvirt.KNOWN, state="paused", reason="user", uuid=UUID, name="web1")
        return self.answer(timeout)

    def resume(self, uuid: str, timeout: float) -> Answer:
        answer = self.answer(timeout)
        if self.host.resume_locked_until > self.host.now:
            return Answer(libvirt.ERROR, text=LOCKSPACE)
        if answer.kind == libvirt.KNOWN:
            self.host.deeds.append("resume")
            self.host.known = Answer(libvirt.KNOWN, state="running", uuid=UUID, name="web1")
        return self.host.known if answer.kind == libvirt.KNOWN else answer

    def shut_down(self, uuid: str, mode: str, timeout: float) -> Answer:
        host = self.host
        answer = self.answer(timeout)
        if answer.kind != libvirt.KNOWN:
            return answer
        if mode == "agent" and host.guest_agent == "hung":
            host.now += min(timeout, 5.0)
        if mode not in ("agent", "acpi") or (mode == "agent" and host.guest_agent != "well"):
            return Answer(libvirt.ERROR, text=f"{mode}: Guest agent is not responding")
        self.act(mode, uuid)
        return answer

    def destroy(self, uuid: str, timeout: float) -> Answer:
        answer = self.answer(timeout)
        if answer.kind == libvirt.KNOWN:
            self.act("destroy", uuid)
            if not any(guest.uuid == uuid and guest.end > self.host.now + 1 for guest in self.host.living()):
                self.host.known = Answer(libvirt.ABSENT)
        return answer

    def cancel(self, uuid: str, timeout: float) -> Answer:
        self.host.deeds.append("cancel")
        return self.answer(timeout)

    def act(self, word: str, uuid: str) -> None:
        self.host.deeds.append(word)
        for guest in self.host.living():
            if guest.uuid == uuid:
                self.host.ends_by(guest, word)


class Socket:
    """The monitor socket of a fake emulator: free only while libvirtd is dead."""

    def __init__(self, host: Host, process: Process) -> None:
        self.host = host
        self.guest = host.of(process.pid)

    def talk(self, timeout: float) -> Guest:
        free = self.host.socket_is_free or self.host.libvirtd in ("dead", "woken")
        if not free or self.guest is None:
            self.host.now += timeout
            raise CannotAsk("the socket is not free")
        return self.guest

    def status(self, timeout: float) -> str:
        guest = self.talk(timeout)
        return "shutdown" if guest.powered_off_at <= self.host.now else guest.status

    def run_state(self, timeout: float) -> tuple[str, str]:
        if not self.host.socket_is_free and self.host.libvirtd not in ("dead", "woken"):
            raise CannotAsk("the socket is held by somebody else")
        return self.status(timeout), self.guest.migration if self.guest else ""

    def power_down(self, timeout: float) -> None:
        guest = self.talk(timeout)
        self.host.deeds.append("powerdown")
        guest.powered_off_at = min(guest.powered_off_at, self.host.now + guest.ends.get("powerdown", NEVER))

    def quit(self, timeout: float) -> None:
        guest = self.talk(timeout)
        self.host.deeds.append("quit")
        self.host.ends_by(guest, "quit")


def obedient(**more: float) -> Guest:
    """A guest that shuts down 5 s after it was asked, and an emulator that ends when it is told to."""
    ends = {
        "acpi": 5.0,
        "agent": 3.0,
        "powerdown": 5.0,
        "destroy": 0.1,
        "quit": 0.1,
        "term": 0.2,
        "kill": 0.0,
        "migrate": 0.0,
    }
    return Guest(**{**ends, **more})  # type: ignore[arg-type]
