# SPDX-License-Identifier: GPL-2.0-or-later
"""The IPMI commands that a BMC answers, and with which completion code it refuses.

Decides the answer to one request of one session. Never touches a socket. Faults strike here when they concern a
command; `None` is silence. Codes: IPMI 2.0, table 5-2 and section 28 (chassis).
"""

from __future__ import annotations

from collections.abc import Callable

from backstay.lab.bmc import chassis
from backstay.lab.bmc.chassis import Switch
from backstay.lab.bmc.faults import Faults
from backstay.lab.bmc.packets import Message
from backstay.lab.bmc.sessions import Session
from backstay.lab.bmc.suites import Suite
from backstay.lab.bmc.users import OPERATOR, USER

OK = b"\x00"
NODE_BUSY, INVALID, BAD_FIELD, NO_PRIVILEGE, NOT_NOW, OVER_LIMIT = 0xC0, 0xC1, 0xCC, 0xD4, 0xD5, 0x81
CHASSIS, APPLICATION = 0x00, 0x06

Note = Callable[..., None]


class Commands:
    """The command set of one BMC. `note(event, **facts)` hears of every chassis control."""

    def __init__(
        self, guid: bytes, switch: Switch, faults: Faults, offered: tuple[Suite, ...], note: Note
    ) -> None:
        self.guid = guid
        self.switch = switch
        self.faults = faults
        self.offered = offered
        self.note = note

    def answer(self, asked: Message, session: Session | None) -> bytes | None:
        """Completion code and data for a request, or None for silence. `session` is None before log-in."""
        open_to_all = {
            (APPLICATION, 0x37): self._guid,
            (APPLICATION, 0x38): self._capabilities,
            (APPLICATION, 0x54): self._suites,
        }
        anybody = open_to_all.get((asked.function, asked.command))
        if anybody:
            return anybody(asked.data)
        if session is None:
            return bytes([NO_PRIVILEGE])
        members = {
            (APPLICATION, 0x01): self._device,
            (APPLICATION, 0x3B): self._privilege,
            (APPLICATION, 0x3C): self._close,
            (CHASSIS, 0x01): self._status,
            (CHASSIS, 0x02): self._control,
        }
        member = members.get((asked.function, asked.command))
        return member(asked.data, session) if member else bytes([INVALID])

    def _guid(self, _data: bytes) -> bytes:
        return OK + self.guid

    def _capabilities(self, _data: bytes) -> bytes:
        # IPMI 2.0 connections only, users must name themselves, nobody logs in without a name
        return OK + bytes([1, 0x80, 0x04, 0x02, 0, 0, 0, 0])

    def _suites(self, data: bytes) -> bytes:
        records = b"".join(
            bytes(
                [
                    0xC0,
                    suite.number,
                    suite.authentication,
                    0x40 | suite.integrity,
                    0x80 | suite.confidentiality,
                ]
            )
            for suite in self.offered
        )
        start = (data[2] & 0x3F) * 16 if len(data) > 2 else 0
        return OK + bytes([1]) + records[start : start + 16]

    def _device(self, _data: bytes, _session: Session) -> bytes:
        return OK + bytes([0x20, 1, 1, 0, 2, 0x9F, 0x91, 0x12, 0, 2, 0x0F])

    def _privilege(self, data: bytes, session: Session) -> bytes:
        wanted = data[0] & 0xF if data else 0
        if wanted > session.limit:
            return bytes([OVER_LIMIT])
        session.privilege = wanted or session.privilege
        return OK + bytes([session.privilege])

    def _close(self, _data: bytes, session: Session) -> bytes:
        session.closing = True
        return OK

    def _status(self, _data: bytes, session: Session) -> bytes:
        if session.privilege < USER:
            return bytes([NO_PRIVILEGE])
        if self.faults.spend("busy"):
            return bytes([NODE_BUSY])
        refused = self.faults.completion("fail-get")
        if refused is not None:
            return bytes([refused])
        return OK + bytes([int(self.switch.is_on()), 0, 0])

    def _control(self, data: bytes, session: Session) -> bytes | None:
        operation = data[0] & 0xF if data else 0xF
        answer = self._control_answer(operation, session)
        code = answer[0] if answer else None
        word = chassis.WORDS.get(operation, f"{operation:#x}")
        self.note("chassis-control", command=word, user=session.user, code=code)
        return None if self.faults.has("lost-answer") else answer

    def _control_answer(self, operation: int, session: Session) -> bytes | None:
        faults = self.faults
        if session.privilege < OPERATOR:
            return bytes([NO_PRIVILEGE])
        if faults.has("drop-control"):
            return None
        if faults.spend("busy"):
            return bytes([NODE_BUSY])
        refused = faults.next_code("codes")
        if refused is None:
            refused = faults.completion("fail-set")
        if refused is None and operation == chassis.ON:
            refused = faults.completion("fail-on")
        if refused is not None:
            return bytes([refused])
        if operation in (chassis.CYCLE, chassis.RESET) and not self.switch.is_on():
            return bytes([NOT_NOW])
        if (
            faults.die()
            or faults.spend("ignore-set")
            or (operation == chassis.CYCLE and faults.has("quick-cycle"))
        ):
            return OK if operation in chassis.WORDS else bytes([BAD_FIELD])
        delays = {"delay_off": faults.seconds("delay-off"), "delay_on": faults.seconds("delay-on")}
        return OK if self.switch.command(operation, **delays) else bytes([BAD_FIELD])
