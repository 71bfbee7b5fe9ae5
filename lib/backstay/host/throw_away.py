# SPDX-License-Identifier: GPL-2.0-or-later
"""A certificate that exists for one rehearsal on loopback: its own authority, valid for a day.

Decides nothing; nobody else trusts it, and its key is in a directory that root alone can read and that goes away.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import CannotAsk

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key as PEM files. `fingerprint` is its SHA-256 digest, hexadecimal with colons."""

    certificate: Path
    key: Path
    fingerprint: str

    def context(self) -> ssl.SSLContext:
        """What a server that is it needs."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.certificate, self.key)
        return made


def identity(directory: Path, word: str, name: str) -> Identity:
    """Make one for 127.0.0.1 and `name`, in files that begin with `word`; CannotAsk without its library."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError as error:
        raise CannotAsk(
            f"no certificate for the rehearsal can be made: {error}", hint="install python3-cryptography"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, word)])
    names = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(name)]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    )
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - DAY)
    builder = builder.not_valid_after(now + DAY).add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    found = Identity(
        directory / f"{word}.crt", directory / f"{word}.key", made.fingerprint(hashes.SHA256()).hex(":")
    )
    found.key.touch(mode=0o600)
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    found.key.write_bytes(plain)
    found.certificate.write_bytes(made.public_bytes(pem))
    return found
