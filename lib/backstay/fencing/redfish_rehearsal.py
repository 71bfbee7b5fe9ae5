# SPDX-License-Identifier: GPL-2.0-or-later
"""The rehearsal of fence_backstay_redfish: its steps, and what it is given in place of address, account and trust.

Decides both; how a step is taken and judged is rehearsal.py's. The certificate is checked as it is configured: by an
authority, by a fingerprint, by both or not at all; the rehearsal's own take the place of the configured ones, and where
it is checked, a step makes sure that somebody else's is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from backstay.fencing.rehearsal import FAILED, ON, Bmc, Script, Step
from backstay.fencing.rehearsal_steps import (
    EVERYDAY,
    HOST,
    IMPATIENT,
    NOWHERE,
    PATIENT,
    REPEATED,
    refused,
    secret_of,
    way_of_password,
)

ELSEWHERE = frozenset(
    {
        "action", "option", "ip", "ipaddr", "ipport", "username", "login", "password", "passwd", "password_file",
        "password_script", "passwd_script", "plug", "port", "port_as_ip", "nodename", "systems_uri", "redfish_uri",
        "ssl_ca", "ssl_name", "ssl_fingerprint", "delay", "power_wait", "verbose", "quiet",
    }
)  # fmt: skip
TRUE = ("1", "yes", "on", "true")
NO_RIGHT = (
    "InsufficientPrivilege: The rehearsal answers"  # the BMC's own words: without them nobody knows why
)
SETTINGS = (
    ("ssl", "0", "is not offered"),
    ("ssl_fingerprint", "12", "must be a SHA-256 fingerprint"),
    ("ssl_fingerprint", "no", "must be a SHA-256 fingerprint"),
    ("systems_uri", "System", "must be a path"),
    ("password", "x" * 1025, "the password has 1025 bytes"),
)
COLON = (("username", "a:b"), ("session", "0"))
STEPS = (
    *EVERYDAY,
    *refused(SETTINGS),
    Step("validate-all", "on", FAILED, "on", settings=COLON, says="a username with a colon"),
    Step("off", "on", ON, "off", "delay-off", "1.5", PATIENT),
    Step("off", "on", ON, "off", "busy", "2", PATIENT),
    Step("off", "on", ON, "off", "codes", "429 502 503 504 409", PATIENT),
    Step("off", "on", ON, "off", "full", "1", PATIENT),  # with Basic nobody logs in
    Step("off", "on", ON, "off", "ignore-set", "1", REPEATED),
    Step("off", "on", ON, "off", "task", "Completed", PATIENT),
    Step("off", "on", ON, "off", "etag", "1"),
    Step("off", "on", ON, "off", "action-info", "1"),
    Step("off", "on", ON, "off", "moved", "1"),
    Step("off", "on", ON, "off", "hang-up", "1", PATIENT),
    Step("off", "on", ON, "off", "forget", "1"),  # with Basic there is nothing to forget
    Step("status", "on", ON, "on", "busy", "1"),
    Step("status", "on", FAILED, "on", "password", "another", says="does not accept the account"),
    Step("off", "on", FAILED, "on", "task", "Exception", PATIENT, says="Exception: The request failed"),
    Step("off", "on", FAILED, "on", "only", "On GracefulShutdown", says="ForceOff"),
    Step("off", "on", FAILED, "on", "only-info", "On GracefulShutdown", says="ForceOff"),
    Step("status", "on", FAILED, "on", settings=NOWHERE, says="has no address"),
    Step("status", "on", FAILED, "on", "fail-get", "403", says=NO_RIGHT),
    Step("off", "on", FAILED, "on", "fail-set", "403", says=NO_RIGHT),
    Step("reboot", "on", FAILED, "on", "fail-set", "403", says=NO_RIGHT),
    Step("reboot", "on", ON, "off", "fail-on", "403"),  # the host was dead: that is a yes
    Step("off", "on", FAILED, "on", "ignore-set", "", IMPATIENT, says="timed out"),
    Step("off", "on", FAILED, "on", "silent", "", IMPATIENT, says="answer"),
    Step("off", "on", FAILED, "on", "dies", "", IMPATIENT, says="is not known"),
)
STRANGER = Step("off", "on", FAILED, "on", "impostor", "", says="certificate")


class RedfishBmc(Bmc, Protocol):
    """The BMC of this rehearsal, with its certificate."""

    ca: str
    fingerprint: str
    name: str
    system: str


def steps(configured: Mapping[str, str]) -> tuple[Step, ...]:
    """What is played; who accepts any certificate is not asked to refuse one."""
    return STEPS if trust_of(configured) == ("nobody",) else (*STEPS, STRANGER)


def trust_of(configured: Mapping[str, str]) -> tuple[str, ...]:
    """How the certificate is checked: `ssl_ca` and `ssl_fingerprint`, or `nobody` does it."""
    kinds = tuple(name for name in ("ssl_ca", "ssl_fingerprint") if configured.get(name, "").strip())
    insecure = _true(configured, "ssl_insecure") and not _true(configured, "ssl_secure")
    if insecure:
        return tuple(name for name in kinds if name == "ssl_fingerprint") or ("nobody",)
    # The system's authorities have not signed the rehearsal's: its own takes their place.
    return kinds or ("ssl_ca",)


def parameters(configured: Mapping[str, str], bmc: RedfishBmc) -> dict[str, str]:
    """What the agent is given: the configured comfort, the simulator's address, account and certificate."""
    kept = {name: value for name, value in configured.items() if name.replace("-", "_") not in ELSEWHERE}
    there = {"ip": bmc.address, "ipport": str(bmc.port), "username": bmc.user, "plug": HOST, "nodename": HOST}
    own = {"ssl_ca": bmc.ca, "ssl_fingerprint": bmc.fingerprint}
    trust = {name: own[name] for name in trust_of(configured) if name in own}
    if configured.get("ssl_name", "").strip():
        trust["ssl_name"] = bmc.name
    system = {"systems_uri": bmc.system} if configured.get("systems_uri", "").strip() else {}
    return {**kept, **there, **secret_of(configured, bmc), **trust, **system}


def signature(configured: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What tells one rehearsal from another."""
    comfort = {name: value for name, value in configured.items() if name not in ELSEWHERE}
    named = {name: str(bool(configured.get(name, "").strip())) for name in ("ssl_name", "systems_uri")}
    ways = {"password": way_of_password(configured), "trust": ",".join(trust_of(configured)), **named}
    return tuple(sorted({**comfort, **ways}.items()))


def _true(configured: Mapping[str, str], name: str) -> bool:
    return configured.get(name, "").strip().lower() in TRUE


REDFISH = Script(steps, parameters, signature)
