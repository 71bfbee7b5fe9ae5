# SPDX-License-Identifier: GPL-2.0-or-later
"""The `bmc` of a host in a cloud description.

Decides which keys belong to which protocol, and what each may be. Never reads a password or a certificate.
"""

from __future__ import annotations

import re

from backstay.cloud import model, names
from backstay.cloud.kinds import ADDRESS, PATH, Kind, anchored, choice, integer, many, matching
from backstay.cloud.model import IPMI, REDFISH, Bmc
from backstay.cloud.reader import Fields
from backstay.cloud.sections import Key, Section, Variants

PRIVILEGES = ("operator", "administrator")
SYSTEMS = "/redfish/v1/Systems/"
_INSTEAD = "`password_file: /etc/backstay/bmc.password` (a description holds no secret)"
_SEGMENT = r"[A-Za-z0-9._~:@!$&'()*+,;=-]+"  # a path segment (RFC 3986) that needs no quoting
_SYSTEM = re.compile(_SEGMENT)
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def system(text: str) -> str:
    """The path of a system from its path or its id; ValueError for what is neither."""
    parts = text.removeprefix("/redfish/").strip("/").split("/") if text.startswith("/redfish/") else [text]
    if not all(_SYSTEM.fullmatch(part) and part not in (".", "..") for part in parts):
        raise ValueError(text)
    return text if text.startswith("/") else f"{SYSTEMS}{text}"


def fingerprint(text: str) -> str:
    """A SHA-256 fingerprint in the form that openssl prints; ValueError for what is none."""
    digits = text.lower().removeprefix("sha256:").removeprefix("sha256 fingerprint=").replace(":", "")
    if _FINGERPRINT.fullmatch(digits) is None:
        raise ValueError(text)
    return ":".join(digits[at : at + 2] for at in range(0, 64, 2)).upper()


SYSTEM = Kind(
    "id or path",
    "the id of a system, or its path below /redfish/",
    system,
    {
        "type": ["string", "number", "boolean"],
        "pattern": rf"^(?!\.\.?$)(?:{_SEGMENT}|/redfish/+(?!.*(?:^|/)\.\.?(?:/|$)){_SEGMENT}(?:/{_SEGMENT})*/*)$",
    },
)
FINGERPRINT = Kind(
    "SHA-256",
    "a SHA-256 fingerprint of 64 hexadecimal digits (openssl x509 -noout -fingerprint -sha256)",
    fingerprint,
    {
        "type": ["string", "number"],
        "pattern": anchored(
            "(?:[Ss][Hh][Aa]256(?::| [Ff][Ii][Nn][Gg][Ee][Rr][Pp][Rr][Ii][Nn][Tt]=))?:*(?:[0-9A-Fa-f]:*){64}"
        ),
    },
)
_ADDRESS = Key("address", ADDRESS, "Where the BMC is.", required=True)
_PASSWORD = (
    Key("password_file", PATH, "A file on every host, readable by root alone, with the password."),
    Key("password_script", PATH, "A program on every host that prints the password."),
)
_SOURCES = ("password_file", "password_script")
_PROTOCOL = Key("protocol", choice((IPMI, REDFISH)), "How it is spoken to.", default=IPMI)
_IPMI_USER = matching("user", names.BMC_USER, "a BMC user of 1 to 16 characters without blanks")
_REDFISH_USER = matching("user", names.REDFISH_USER, names.REDFISH_USER_EXPECTED)
_DOC = "The management controller that cuts the host's power."

BY_IPMI = Section(
    "hosts.NAME.bmc",
    f"{_DOC} With `protocol: ipmi`:",
    (
        _PROTOCOL,
        _ADDRESS,
        Key("username", _IPMI_USER, "An account with the IPMI role `operator`, not more.", required=True),
        *_PASSWORD,
        Key("port", integer(1, 65535), "UDP port.", default="623"),
        Key("cipher", integer(1, 17), "Cipher suite; old BMCs need 3.", default="17"),
        Key("privilege", choice(PRIVILEGES), "The role to log in with.", default="operator"),
    ),
    instead=_INSTEAD,
    exactly_one=_SOURCES,
)
BY_REDFISH = Section(
    "hosts.NAME.bmc",
    f"{_DOC} With `protocol: redfish`:",
    (
        _PROTOCOL,
        _ADDRESS,
        Key("username", _REDFISH_USER, "An account that may switch power, not more.", required=True),
        *_PASSWORD,
        Key("port", integer(1, 65535), "TCP port.", default="443"),
        Key("system", SYSTEM, "Which of the systems that the service has.", default="the only one"),
        Key("tls_ca", PATH, "Certificates that may sign the BMC's.", default="the host's own"),
        Key(
            "tls_fingerprint",
            many(FINGERPRINT),
            "The BMC's certificate itself; two while it is being replaced.",
            default="none",
        ),
    ),
    instead=_INSTEAD,
    exactly_one=_SOURCES,
)
BMC = Variants(
    "hosts.NAME.bmc",
    _DOC,
    "protocol",
    "How the BMC is spoken to.",
    IPMI,
    ((IPMI, BY_IPMI), (REDFISH, BY_REDFISH)),
)


def bmc_of(fields: Fields | None) -> Bmc | None:
    """The BMC that a mapping describes; what is wrong with it is in the report."""
    if fields is None:
        return None
    protocol, given = fields.variant(BMC)
    given.pop("protocol", None)
    given["tls_fingerprints"] = given.pop("tls_fingerprint", ())
    secrets = {key: given.pop(key, None) for key in _SOURCES}
    given.setdefault("port", model.BMC_PORTS[protocol])
    return Bmc(protocol=protocol, **secrets, **given)
