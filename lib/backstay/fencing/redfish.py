# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_redfish: switches a host's power through its BMC's Redfish, and says off when it has seen off.

Decides what it needs to be told and the way to a BMC; what an action means is actions.py's, what a failure is called
redfish_wording.py's, what can be told to it redfish_parameters.py's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from backstay.errors import BadInput
from backstay.fencing import password, redfish_wording
from backstay.fencing.actions import LOOKING, begin, look, switch
from backstay.fencing.agent import POWER_ACTIONS, Call, FenceAgent
from backstay.fencing.parameters import Values
from backstay.fencing.redfish_parameters import LIKE_REDFISH, LONGDESC, PARAMETERS
from backstay.fencing.redfish_wording import Device
from backstay.host.https import Https, Trust
from backstay.host.process import run as run_process
from backstay.host.redfish import Account, Places, Redfish

LONGEST_PASSWORD = 1024  # bytes: more is a wrong file
DIGEST = 32  # bytes of SHA-256


def act(call: Call) -> int:
    """Carry out one action; the exit code as the Fence Agent API has it."""
    values = call.values
    code = begin(call, lambda: check(values))
    if code is not None:
        return code
    device = device_of(values)
    with contextlib.closing(bmc_of(call, device)) as bmc:
        if call.action in LOOKING:
            return look(call, bmc, device)
        return switch(call, bmc, device)


def check(values: Values) -> None:
    """Raise BadInput for settings that cannot work; looks at nothing outside."""
    values.require_sound()
    if not values.flag("ssl"):
        raise BadInput("ssl=0 (plain HTTP) is not offered: it sends everything in clear", hint="remove ssl")
    if ":" in values.word("username") and not values.flag("session"):
        raise BadInput("HTTP Basic cannot carry a username with a colon", hint="set session=1")
    password.require_given(values)
    password.checked(values.text("password"), LONGEST_PASSWORD)
    trust_of(values)
    places_of(values)


def device_of(values: Values) -> Device:
    """The BMC in question; Pacemaker's nodename is the host when no plug names it."""
    by_plug = values.flag("port_as_ip")
    plug = values.word("plug")
    return Device(
        address=((by_plug and plug) or values.require("ip")).removeprefix("[").removesuffix("]"),
        port=int(values.number("ipport")),
        user=values.require("username"),
        host=(not by_plug and plug) or values.text("nodename").strip(),
    )


def trust_of(values: Values) -> Trust:
    """Which certificate is accepted. Raises BadInput for a fingerprint that is none."""
    return Trust(
        ca=values.word("ssl_ca"),
        name=values.word("ssl_name"),
        pins=fingerprints(values.word("ssl_fingerprint")),
        insecure=values.flag("ssl_insecure") and not values.flag("ssl_secure"),
    )


def fingerprints(text: str) -> tuple[bytes, ...]:
    """SHA-256 digests from their usual forms: with or without colons, several with commas."""
    found = []
    for each in filter(None, (part.strip() for part in text.split(","))):
        digits = each.lower().removeprefix("sha256:").removeprefix("sha256 fingerprint=").replace(":", "")
        try:
            digest = bytes.fromhex(digits)
        except ValueError:
            digest = b""
        if len(digest) != DIGEST:
            raise BadInput(
                "ssl_fingerprint must be a SHA-256 fingerprint of 64 hexadecimal digits",
                hint="openssl x509 -noout -fingerprint -sha256 prints it",
            )
        found.append(digest)
    return tuple(found)


def places_of(values: Values) -> Places:
    """Where to look at the BMC. Raises BadInput for a path that is none."""
    root, system = values.word("redfish_uri"), values.word("systems_uri")
    for name, path in (("redfish_uri", root), ("systems_uri", system)):
        if path and (not path.startswith("/") or path.startswith("//") or not path.isprintable()):
            raise BadInput(f"{name} must be a path that begins with one slash, not {path!r}")
    plug = "" if values.flag("port_as_ip") else values.word("plug")
    return Places(root if root.endswith("/") else f"{root}/", system, plug)


def bmc_of(call: Call, device: Device) -> Redfish:
    """The way to the BMC of an action."""
    bmc = way_to(call.values, device, call.hide, call.trace)
    if trust_of(call.values).insecure:
        call.warn(redfish_wording.unchecked(device))
    return bmc


def way_to(
    values: Values, device: Device, hide: Callable[[str], None], trace: Callable[[str], None]
) -> Redfish:
    """The way to a BMC. `hide` hears of each secret before anything is traced."""
    secret = password.find(values, run_process, LONGEST_PASSWORD)
    hide(secret)
    wire = Https(device.address, device.port, trust_of(values))
    account = Account(device.user, secret, values.flag("session"))
    return Redfish(wire, account, places_of(values), hide, trace)


AGENT = FenceAgent(
    name="fence_backstay_redfish",
    shortdesc="Fence agent for BMCs with Redfish that says off when it has seen off",
    longdesc=LONGDESC,
    parameters=PARAMETERS,
    actions=POWER_ACTIONS,
    run=act,
    like="fence_redfish",
    ignored=LIKE_REDFISH,
)
