# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of IPMI over LAN: taken apart and put together, nothing more.

Decides what a datagram is, never what it means: signatures are checked and payloads decrypted by the session
that owns the keys. Layouts: IPMI 2.0, sections 13.6 (session headers) and 13.8 (messages).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

RMCP = b"\x06\x00\xff\x07"  # version 1.0, no acknowledgement, class IPMI
IPMI_15 = 0
RMCP_PLUS = 6
NO_SESSION = bytes(4)

MESSAGE, OPEN, OPEN_REPLY, RAKP1, RAKP2, RAKP3, RAKP4 = 0x00, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15


class Malformed(ValueError):
    """A datagram that is no packet of IPMI over LAN."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One datagram. `payload_type` is None for IPMI 1.5; `signed` is what a signature covers, without it."""

    payload_type: int | None
    session: bytes
    payload: bytes
    encrypted: bool = False
    authenticated: bool = False
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Message:
    """One IPMI request inside a packet. Addresses and sequence go back to the sender as they came."""

    responder: int
    function: int
    requester: int
    sequence: int
    command: int
    data: bytes


def parse(datagram: bytes) -> Packet:
    """What a datagram is; Malformed when it is neither IPMI 1.5 without a session nor RMCP+."""
    if datagram[:4] != RMCP or len(datagram) < 14:
        raise Malformed("not an IPMI packet")
    if datagram[4] == IPMI_15:
        return Packet(None, NO_SESSION, datagram[14 : 14 + datagram[13]])
    if datagram[4] != RMCP_PLUS or len(datagram) < 16:
        raise Malformed(f"authentication type {datagram[4]:#x} is not served")
    kind = datagram[5]
    (length,) = struct.unpack_from("<H", datagram, 14)
    return Packet(
        payload_type=kind & 0x3F,
        session=datagram[6:10],
        payload=datagram[16 : 16 + length],
        encrypted=bool(kind & 0x80),
        authenticated=bool(kind & 0x40),
        raw=datagram,
    )


def plain(payload_type: int | None, payload: bytes) -> bytes:
    """A datagram outside any session: IPMI 1.5 for None, RMCP+ for the payload types of session set-up."""
    if payload_type is None:
        return RMCP + bytes([IPMI_15]) + bytes(8) + bytes([len(payload)]) + payload
    return RMCP + bytes([RMCP_PLUS, payload_type]) + bytes(8) + struct.pack("<H", len(payload)) + payload


def sealed(session: bytes, sequence: int, ciphertext: bytes) -> bytes:
    """The part of a session's datagram that its signature covers, up to the next-header byte."""
    body = bytes([RMCP_PLUS, 0xC0]) + session + struct.pack("<IH", sequence, len(ciphertext)) + ciphertext
    fill = -(len(body) + 2) % 4
    return body + b"\xff" * fill + bytes([fill, 7])


def checksum(data: bytes) -> int:
    """The byte that makes the sum of `data` and itself zero (two's complement)."""
    return -sum(data) & 0xFF


def request(payload: bytes) -> Message:
    """The IPMI request in a payload; Malformed when it is too short or a checksum does not fit."""
    if len(payload) < 7:
        raise Malformed("a message shorter than its header")
    if checksum(payload[:2]) != payload[2] or checksum(payload[3:-1]) != payload[-1]:
        raise Malformed("a message whose checksum does not fit")
    return Message(payload[0], payload[1] >> 2, payload[3], payload[4], payload[5], payload[6:-1])


def response(asked: Message, answer: bytes) -> bytes:
    """The IPMI response to a request; `answer` begins with the completion code."""
    head = bytes([asked.requester, (asked.function + 1) << 2 | asked.sequence & 3])
    body = bytes([asked.responder, asked.sequence & 0xFC, asked.command]) + answer
    return head + bytes([checksum(head)]) + body + bytes([checksum(body)])
