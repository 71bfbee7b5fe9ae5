# SPDX-License-Identifier: GPL-2.0-or-later
"""One BMC on one UDP socket.

Decides who gets a datagram: session set-up, an established session, or the few commands that need none. A packet
that makes no sense is dropped and noted: a simulator that dies of one is worth nothing in a fault test.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from backstay.errors import Refused
from backstay.lab.bmc import packets, users
from backstay.lab.bmc.chassis import Chassis, Switch
from backstay.lab.bmc.commands import Commands
from backstay.lab.bmc.faults import Faults
from backstay.lab.bmc.journal import Journal
from backstay.lab.bmc.packets import Packet
from backstay.lab.bmc.sessions import Sessions
from backstay.lab.bmc.users import Accounts

FAMILY = uuid.UUID("6a3a6f0c-54e4-4b8f-9c0e-6f1f6b1d5a10")  # the name space of the simulated machines' GUIDs


def guid_of(host: str) -> bytes:
    """The 16 bytes that identify a simulated machine: the same in every run, least significant byte first."""
    return uuid.uuid5(FAMILY, host).bytes[::-1]


@dataclass(frozen=True, slots=True)
class Settings:
    """What makes one BMC: whose it is, where it listens (UDP), who may log in, and where its files are."""

    host: str
    address: str
    port: int
    accounts: Accounts
    directory: Path
    firmware: float = 0.0  # seconds from power on to boot
    slots: int = 8
    suites: tuple[int, ...] = (3, 17)
    key: bytes = b""  # Kg; without one the password of the account is in its place
    guid: bytes = b""  # as it is sent; without one it follows from the host's name

    @property
    def faults(self) -> Path:
        """The directory of its faults."""
        return self.directory / "faults"

    @property
    def journal(self) -> Path:
        """The event log."""
        return self.directory / "events.jsonl"


class Bmc(asyncio.DatagramProtocol):
    """The wiring of one BMC; `handle` is the whole of it, bytes in, bytes out."""

    def __init__(self, settings: Settings, chassis: Chassis) -> None:
        self.journal = Journal(settings.journal, settings.host)
        self.faults = Faults(settings.faults)
        switch = Switch(chassis, self._effect, firmware=settings.firmware)
        guid = settings.guid or guid_of(settings.host)
        self.sessions = Sessions(
            guid,
            settings.accounts,
            self._note,
            slots=settings.slots,
            offered=settings.suites,
            key=settings.key,
        )
        self.commands = Commands(guid, switch, self.faults, self.sessions.offered, self.journal.write)
        self._transport: asyncio.DatagramTransport | None = None
        self._received = 0
        self._accounts = settings.accounts

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the socket is ready."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, datagram: bytes, sender: tuple[str | bytes, int]) -> None:
        """Called by asyncio for each datagram; a faulty latency delays the answer, not the work."""
        answer = self.handle(datagram)
        if answer and self._transport:
            later = asyncio.get_running_loop().call_later
            later(self.faults.seconds("latency"), self._transport.sendto, answer, sender)

    def handle(self, datagram: bytes) -> bytes | None:
        """The datagram that answers one, or None for silence."""
        self._received += 1
        nth = self.faults.count("loss")
        if self.faults.dead() or (nth and self._received % nth == 0):
            return None
        try:
            return self._route(packets.parse(datagram))
        except (
            ValueError,
            IndexError,
        ) as problem:  # Malformed is a ValueError, a short payload an IndexError
            self._note(f"a packet that makes no sense: {problem}")
            return None

    def _route(self, packet: Packet) -> bytes | None:
        if packet.session != packets.NO_SESSION:
            return self._in_session(packet)
        if packet.payload_type in (None, packets.MESSAGE):
            asked = packets.request(packet.payload)
            answer = self.commands.answer(asked, None)
            return answer and packets.plain(packet.payload_type, packets.response(asked, answer))
        self.sessions.accounts = users.changed(self._accounts, self.faults.value("password"))
        opens = packet.payload_type == packets.OPEN
        return self.sessions.set_up(packet, full=opens and self.faults.spend("maxsess"))

    def _in_session(self, packet: Packet) -> bytes | None:
        opened = self.sessions.unseal(packet)
        if opened is None or self.faults.has("drop-session"):
            return None
        session, payload = opened
        asked = packets.request(payload)
        answer = self.commands.answer(asked, session)
        return None if answer is None else self.sessions.seal(session, packets.response(asked, answer))

    def _note(self, text: str) -> None:
        self.journal.write("note", text=text)

    def _effect(self, event: str, what: str) -> None:
        self.journal.write(event, command=what)


def bind(host: str, address: str, port: int) -> socket.socket:
    """The UDP socket of a host's BMC (port 0: any free one); Refused in one sentence when it cannot be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_DGRAM)
    try:
        listener.bind((address, port))
    except OSError as problem:
        listener.close()
        reasons = {
            errno.EADDRINUSE: "something else listens there",
            errno.EADDRNOTAVAIL: "this machine does not have that address",
            errno.EACCES: "only root may listen there",
        }
        why = reasons.get(problem.errno or 0, str(problem.strerror))
        raise Refused(
            f"the BMC of {host} cannot listen on UDP {address} port {port}: {why}",
            hint=f"ss -ulnp 'sport = :{port}' shows who has it" if problem.errno == errno.EADDRINUSE else "",
        ) from problem
    return listener


async def serve(
    settings: Settings, listener: socket.socket, chassis: Chassis, ready: Callable[[str, int], None]
) -> None:
    """Answer until cancelled; `ready(address, port)` is called once the BMC listens."""
    bmc = Bmc(settings, chassis)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: bmc, sock=listener)
    address, port = listener.getsockname()[:2]
    bmc.journal.write("listening", address=address, port=port)
    ready(address, port)
    await asyncio.Event().wait()
