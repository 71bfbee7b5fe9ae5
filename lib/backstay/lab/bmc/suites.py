# SPDX-License-Identifier: GPL-2.0-or-later
"""The cryptography of an RMCP+ session: what a cipher suite signs and encrypts with.

Decides nothing about sessions or users. Suites 3 and 17 only, the two that real BMCs still agree on: suites
below 3 send in clear or do not authenticate at all (IPMI 2.0, table 22-20; suite 17 from the 2014 addendum).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16


@dataclass(frozen=True, slots=True)
class Suite:
    """One cipher suite: its number, the numbers of its algorithms, its hash and the bytes kept of a signature."""

    number: int
    authentication: int
    integrity: int
    confidentiality: int
    digest: str
    signature_length: int

    @property
    def algorithms(self) -> tuple[int, int, int]:
        """Authentication, integrity and confidentiality, as an open-session request names them."""
        return self.authentication, self.integrity, self.confidentiality

    def mac(self, key: bytes, data: bytes) -> bytes:
        """The whole keyed hash (RAKP messages carry it)."""
        return hmac.new(key, data, self.digest).digest()

    def signature(self, key: bytes, data: bytes) -> bytes:
        """The keyed hash cut to the length that packets carry."""
        return self.mac(key, data)[: self.signature_length]


SUITES: Mapping[int, Suite] = MappingProxyType(
    {
        3: Suite(3, 1, 1, 1, "sha1", 12),
        17: Suite(17, 3, 4, 1, "sha256", 16),
    }
)


def encrypt(key: bytes, clear: bytes) -> bytes:
    """AES-128-CBC with a fresh initialisation vector in front and IPMI's padding (1, 2, 3, ..., then its length)."""
    short = -(len(clear) + 1) % BLOCK
    padded = clear + bytes(range(1, short + 1)) + bytes([short])
    vector = os.urandom(BLOCK)
    worker = Cipher(algorithms.AES(key[:BLOCK]), modes.CBC(vector)).encryptor()
    return vector + worker.update(padded) + worker.finalize()


def decrypt(key: bytes, sealed: bytes) -> bytes:
    """The clear text of what `encrypt` made; ValueError when it cannot be one."""
    if len(sealed) < 2 * BLOCK or len(sealed) % BLOCK:
        raise ValueError(f"{len(sealed)} encrypted bytes cannot be a vector and whole blocks")
    worker = Cipher(algorithms.AES(key[:BLOCK]), modes.CBC(sealed[:BLOCK])).decryptor()
    padded = worker.update(sealed[BLOCK:]) + worker.finalize()
    short = padded[-1]
    if short >= BLOCK:
        raise ValueError(f"padding of {short} bytes in blocks of {BLOCK}")
    return padded[: -1 - short]
