# SPDX-License-Identifier: GPL-2.0-or-later
"""Authorities and certificates for BMCs on loopback, good and bad ones."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key as PEM files. `fingerprint` is its SHA-256 digest, hexadecimal with colons."""

    path: Path
    key: Path
    fingerprint: str


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Somebody who signs certificates; `path` is its own."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory, self._name = directory, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.path = directory / f"{name}.pem"
        self.path.write_bytes(
            self._sign(name, self._key, x509.BasicConstraints(True, None), DAY).public_bytes(PEM)
        )

    def certificate(
        self, name: str, address: str = "127.0.0.1", ends: datetime.timedelta = DAY
    ) -> Certificate:
        """A certificate for a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName(f"{name}.example")]
        )
        signed = self._sign(name, key, names, ends)
        made = Certificate(
            self._directory / f"{name}.crt",
            self._directory / f"{name}.key",
            signed.fingerprint(hashes.SHA256()).hex(":"),
        )
        made.path.write_bytes(signed.public_bytes(PEM))
        made.key.write_bytes(
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return made

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        ends: datetime.timedelta,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        public = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * DAY)
            .not_valid_after(now + ends)
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256())


PEM = serialization.Encoding.PEM
