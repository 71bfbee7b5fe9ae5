# SPDX-License-Identifier: GPL-2.0-or-later
"""A network and a session layer that can be broken, in front of a BMC that knows no such faults of its own.

Faults are files, as our own simulator has them: `drop`, `dies`, `loss`, `latency`, `drop-session`, `maxsess`; `role`, which it
has by accounts; and `lose`, which a BMC without faults sets for the rest of a session that is not to be answered. What is changed is the status of an answer that nothing protects yet (IPMI 2.0, tables 13-10 and 13-12).
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from backstay.lab.bmc.faults import Faults

RMCP_PLUS = (
    6  # the authentication type at byte 4; the payload's type is at byte 5, the payload begins at byte 16
)
OPENING, OPENED, RAKP_2, IN_SESSION = 0x10, 0x11, 0x13, 0x00
NO_RESOURCES, NO_ROLE = 0x01, 0x09
REFUSAL = 8  # bytes of a payload that says no


def kind_of(packet: bytes) -> int | None:
    """The payload's type of an RMCP+ packet."""
    return packet[5] & 0x3F if len(packet) > 16 and packet[4] == RMCP_PLUS else None


def refused(packet: bytes, status: int) -> bytes:
    """The same answer as a no."""
    payload = bytearray(packet[16 : 16 + REFUSAL])
    payload[1] = status
    return packet[:14] + REFUSAL.to_bytes(2, "little") + bytes(payload)


class Proxy:
    """Between a client and a BMC on loopback."""

    def __init__(self, bmc: int, directory: Path) -> None:
        self._bmc = ("127.0.0.1", bmc)
        self._directory = directory
        self._faults = Faults(directory)
        self._outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._outside.bind(("127.0.0.1", 0))
        self.port = int(self._outside.getsockname()[1])
        self._ways: dict[tuple[str, int], socket.socket] = {}
        self._late: list[tuple[float, bytes, tuple[str, int]]] = []
        self._received = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        for each in (self._outside, *self._ways.values()):
            each.close()

    def _serve(self) -> None:
        while not self._end.is_set():
            clients = {way: client for client, way in self._ways.items()}
            ready = select.select([self._outside, *clients], [], [], 0.02)[0]
            for each in ready:
                with contextlib.suppress(OSError):
                    if each is self._outside:
                        self._ask(*each.recvfrom(4096))
                    else:
                        self._answer(each.recv(4096), clients[each])
            now = time.monotonic()
            due, self._late = [a for a in self._late if a[0] <= now], [a for a in self._late if a[0] > now]
            for _, packet, client in due:
                self._outside.sendto(packet, client)

    def _ask(self, packet: bytes, client: tuple[str, int]) -> None:
        self._received += 1
        nth = self._faults.count("loss")
        if self._faults.dead() or (nth and self._received % nth == 0):
            return
        if kind_of(packet) == IN_SESSION and self._faults.has("drop-session"):
            return
        if kind_of(packet) == OPENING:
            (self._directory / "lose").unlink(missing_ok=True)
        if client not in self._ways:
            self._ways[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._ways[client].connect(self._bmc)
        self._ways[client].send(packet)

    def _answer(self, packet: bytes, client: tuple[str, int]) -> None:
        if kind_of(packet) == IN_SESSION and (self._directory / "lose").exists():
            return
        if kind_of(packet) == OPENED and self._faults.has("maxsess"):
            packet = refused(packet, NO_RESOURCES)
        if kind_of(packet) == RAKP_2 and (self._directory / "role").exists():
            packet = refused(packet, NO_ROLE)
        self._late.append((time.monotonic() + self._faults.seconds("latency"), packet, client))


@contextlib.contextmanager
def proxied(bmc: int, directory: Path) -> Iterator[int]:
    """The port of a proxy before the BMC at that port; its faults lie in the directory."""
    proxy = Proxy(bmc, directory)
    try:
        yield proxy.port
    finally:
        proxy.close()
