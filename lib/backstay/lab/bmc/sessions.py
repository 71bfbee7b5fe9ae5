# SPDX-License-Identifier: GPL-2.0-or-later
"""RMCP+ sessions: how one is opened (open session, RAKP 1 to 4), signed, encrypted and closed.

Decides who gets a session at which role, as IPMI 2.0 says in sections 13.17 to 13.24. Never executes a command:
an established session is handed to whoever does. Roles are enforced here, which Debian's ipmi_sim does not do.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from backstay.lab.bmc import packets, suites
from backstay.lab.bmc.packets import Packet
from backstay.lab.bmc.suites import SUITES, Suite
from backstay.lab.bmc.users import USER, Account, Accounts

# RMCP+ status codes (table 13-15)
NO_RESOURCES, BAD_SESSION, BAD_ROLE, BAD_NAME, BAD_CHECK, NO_SUITE = 0x01, 0x02, 0x09, 0x0D, 0x0F, 0x11
IDLE = 60.0  # seconds after which a silent session is forgotten (section 6.12.15)


@dataclass(slots=True)
class Session:
    """One session, from the open request on; it may be used once `established`."""

    suite: Suite
    remote: bytes
    local: bytes
    opened: float
    account: Account | None = None
    role: int = 0
    limit: int = 0
    privilege: int = USER
    remote_random: bytes = b""
    local_random: bytes = b""
    tail: bytes = b""
    signing: bytes = b""
    sealing: bytes = b""
    sequence: int = 0
    established: bool = False
    closing: bool = False

    @property
    def user(self) -> str:
        """The name of the account, for the log."""
        return self.account.name if self.account else "?"

    @property
    def key(self) -> bytes:
        """The secret that both sides know; a zero-padded key signs like an unpadded one (RFC 2104)."""
        return self.account.password if self.account else b""


class Sessions:
    """All sessions of one BMC. `note` gets one line for each refusal."""

    def __init__(
        self,
        guid: bytes,
        accounts: Accounts,
        note: Callable[[str], None],
        *,
        slots: int = 8,
        offered: tuple[int, ...] = (3, 17),
        key: bytes = b"",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.guid = guid
        self.accounts = accounts
        self.note = note
        self.slots = slots
        self.offered = tuple(SUITES[number] for number in offered)
        self._key = key
        self._now = now
        self._open: dict[bytes, Session] = {}

    def set_up(self, packet: Packet, *, full: bool = False) -> bytes | None:
        """The answer to a packet of session set-up, or None for silence; `full` says there is no slot left."""
        steps = {packets.RAKP1: self._rakp1, packets.RAKP3: self._rakp3}
        if packet.payload_type == packets.OPEN:
            return self._open_session(packet.payload, full)
        step = steps.get(packet.payload_type or 0)
        return step(packet.payload) if step else None

    def unseal(self, packet: Packet) -> tuple[Session, bytes] | None:
        """The session and the clear payload of a packet, or None when it is nobody's or its signature is wrong."""
        session = self._open.get(packet.session)
        if session is None or not session.established or not packet.authenticated:
            return None
        length = session.suite.signature_length
        expected = session.suite.signature(session.signing, packet.raw[4:-length])
        if not hmac.compare_digest(expected, packet.raw[-length:]):
            self.note(f"a packet of {session.user} with a wrong signature")
            return None
        session.opened = self._now()
        if not packet.encrypted:
            return session, packet.payload
        return session, suites.decrypt(session.sealing, packet.payload)

    def seal(self, session: Session, payload: bytes) -> bytes:
        """The datagram that carries an answer; forgets a session that is closing."""
        session.sequence += 1
        ciphertext = suites.encrypt(session.sealing, payload)
        body = packets.sealed(session.remote, session.sequence, ciphertext)
        if session.closing:
            self._open.pop(session.local, None)
        return packets.RMCP + body + session.suite.signature(session.signing, body)

    def _open_session(self, asked: bytes, full: bool) -> bytes:
        tag, remote = asked[0], asked[4:8]
        wanted = (asked[12] & 0x3F, asked[20] & 0x3F, asked[28] & 0x3F)
        suite = next((each for each in self.offered if each.algorithms == wanted), None)
        self._forget_idle()
        self._forget_half_open()
        if full or len(self._open) >= self.slots:
            return self._refuse(packets.OPEN_REPLY, tag, NO_RESOURCES, remote, "no session slot is left")
        if suite is None:
            return self._refuse(
                packets.OPEN_REPLY, tag, NO_SUITE, remote, f"no suite with algorithms {wanted}"
            )
        session = Session(suite, remote, os.urandom(4), self._now())
        self._open[session.local] = session
        reply = bytes([tag, 0, 4, 0]) + remote + session.local + asked[8:32]
        return packets.plain(packets.OPEN_REPLY, reply)

    def _rakp1(self, asked: bytes) -> bytes:
        tag, session = asked[0], self._open.get(asked[4:8])
        if session is None:
            return self._refuse(packets.RAKP2, tag, BAD_SESSION, bytes(4), "RAKP 1 without a session")
        name = asked[28 : 28 + asked[27]]
        account = self.accounts.get(name.decode("utf-8", "replace"))
        role = asked[24]
        if account is None:
            return self._drop(session, packets.RAKP2, tag, BAD_NAME, "an unknown user name")
        if (role & 0xF) > account.role:
            return self._drop(
                session, packets.RAKP2, tag, BAD_ROLE, f"{account.name} asked for a higher role"
            )
        session.account, session.role = account, role
        session.limit = min(account.role, role & 0xF or account.role)
        session.remote_random = asked[8:24]
        # One random number per session: a client that asks again because we were slow must get the same one.
        session.local_random = session.local_random or os.urandom(16)
        session.tail = bytes([role, len(name)]) + name
        proof = session.suite.mac(
            session.key,
            session.remote
            + session.local
            + session.remote_random
            + session.local_random
            + self.guid
            + session.tail,
        )
        reply = bytes([tag, 0, 0, 0]) + session.remote + session.local_random + self.guid + proof
        return packets.plain(packets.RAKP2, reply)

    def _rakp3(self, asked: bytes) -> bytes | None:
        tag, session = asked[0], self._open.get(asked[4:8])
        if session is None or session.account is None:
            return None
        if asked[1]:  # the client did not like RAKP 2: its user or password is not ours
            self.note(f"{session.user} gave up with status {asked[1]:#x}: probably a wrong password")
            self._open.pop(session.local, None)
            return None
        suite = session.suite
        expected = suite.mac(session.key, session.local_random + session.remote + session.tail)
        if not hmac.compare_digest(expected, asked[8:]):
            return self._drop(session, packets.RAKP4, tag, BAD_CHECK, f"a wrong password for {session.user}")
        shared = suite.mac(
            self._key or session.key, session.remote_random + session.local_random + session.tail
        )
        session.signing, session.sealing = (suite.mac(shared, bytes([index]) * 20) for index in (1, 2))
        session.established = True
        proof = suite.signature(shared, session.remote_random + session.local + self.guid)
        return packets.plain(packets.RAKP4, bytes([tag, 0, 0, 0]) + session.remote + proof)

    def _drop(self, session: Session, payload_type: int, tag: int, status: int, why: str) -> bytes:
        self._open.pop(session.local, None)
        return self._refuse(payload_type, tag, status, session.remote, why)

    def _refuse(self, payload_type: int, tag: int, status: int, remote: bytes, why: str) -> bytes:
        self.note(f"session refused (status {status:#04x}): {why}")
        return packets.plain(payload_type, bytes([tag, status, 0, 0]) + remote)

    def _forget_half_open(self) -> None:
        """Make room: the oldest request whose client never came back (its packet was lost) is given up first."""
        waiting = [local for local, session in self._open.items() if not session.established]
        if len(self._open) >= self.slots and waiting:
            del self._open[waiting[0]]

    def _forget_idle(self) -> None:
        limit = self._now() - IDLE
        for local in [local for local, session in self._open.items() if session.opened < limit]:
            del self._open[local]
