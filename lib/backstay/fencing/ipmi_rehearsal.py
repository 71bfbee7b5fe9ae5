# SPDX-License-Identifier: GPL-2.0-or-later
"""The rehearsal of fence_backstay_ipmi: its steps, and what it is given in place of address, account and key.

Decides both; how a step is taken and judged is rehearsal.py's.
"""

from __future__ import annotations

from collections.abc import Mapping

from backstay.fencing.rehearsal import FAILED, ON, Bmc, Script, Step
from backstay.fencing.rehearsal_steps import (
    EVERYDAY,
    HOST,
    HURRIED,
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
        "password_script", "passwd_script", "hexadecimal_kg", "plug", "port", "port_as_ip", "nodename", "target",
        "delay", "power_wait", "verbose", "quiet",
    }
)  # fmt: skip
SIMULATED_SUITES = ("3", "17")
KEY = "72656865617273616c"  # the Kg key of the simulated BMC, where the configured one has a key
STRANGER = (("username", "stranger"),)
OBSERVER = (("username", "observer"),)  # an account whose role may only look
ANOTHER_KEY = (("hexadecimal_kg", "616e6f74686572"),)
NO_SUITE = (("cipher", "16"), ("cipher_fallback", "none"))
NO_TOOL = (("ipmitool_path", "/nonexistent/ipmitool"),)
SETTINGS = (
    ("lanplus", "0", "is not offered"),
    ("cipher_fallback", "1", "cipher_fallback must be 3 or none"),
    ("ipport", "65536", "ipport must be a number from 1 to 65535"),
    ("privlvl", "user", "may not switch power"),
    ("username", "x" * 17, "the username has 17 bytes"),
    ("password", "x" * 21, "the password has 21 bytes"),
    ("password", "a\0b", "password must be without a NUL byte"),
    ("hexadecimal_kg", "what", "is not hexadecimal"),
    ("hexadecimal_kg", "61" * 21, "has 21 bytes"),
    ("hexadecimal_kg", "610061", "has a zero byte inside"),
)
ONOFF = (("method", "onoff"),)  # a cycle needs no on
ANOTHER_SUITE = (("cipher", "16"), ("cipher_fallback", "3"))  # 16 is none of SIMULATED_SUITES
NO_RIGHT = "insufficient privilege"  # what a refusal with d4 is called
STEPS = (
    *EVERYDAY,
    *refused(SETTINGS),
    Step("off", "on", ON, "off", "delay-off", "1", PATIENT),
    Step("off", "on", ON, "off", "busy", "1", PATIENT),
    Step("off", "on", ON, "off", "maxsess", "1", PATIENT),
    Step("off", "on", ON, "off", settings=ANOTHER_SUITE),
    Step("off", "on", ON, "off", "codes", "c3 ce d1 d2", PATIENT),  # what passes, as power.py has it
    Step("off", "on", ON, "off", "ignore-set", "1", REPEATED),
    Step("off", "on", ON, "off", "lost-answer", "", PATIENT),
    Step("status", "on", ON, "on", "busy", "1"),
    Step("status", "on", FAILED, "on", "password", "another", says="does not accept the password"),
    Step("status", "on", FAILED, "on", settings=STRANGER, says="has no account stranger"),
    Step("status", "on", FAILED, "on", settings=OBSERVER, says="does not grant the role"),
    Step("status", "on", FAILED, "on", settings=NO_SUITE, says="does not offer cipher suite 16"),
    Step("status", "on", FAILED, "on", settings=NO_TOOL, says="cannot be run"),
    Step("status", "on", FAILED, "on", settings=NOWHERE, says="has no address"),
    Step("status", "on", FAILED, "on", "maxsess", "", HURRIED, says="no session slot free"),
    Step("status", "on", FAILED, "on", "fail-get", "d4", says=NO_RIGHT),
    Step("off", "on", FAILED, "on", "fail-set", "d4", says=NO_RIGHT),
    Step("off", "on", FAILED, "on", "fail-set", "d5", says="not supported in present state"),
    Step("off", "on", FAILED, "on", "fail-set", "81", says="0x81: defined by its maker"),
    Step("reboot", "on", FAILED, "on", "fail-set", "d4", says=NO_RIGHT),
    Step("reboot", "on", ON, "off", "fail-on", "d4", ONOFF),  # the host was dead: that is a yes
    Step("off", "on", FAILED, "on", "ignore-set", "", IMPATIENT, says="timed out"),
    Step("off", "on", FAILED, "on", "drop-control", "", IMPATIENT, says="answer"),
    Step("off", "on", FAILED, "on", "drop", "", IMPATIENT, says="answer"),
    Step("off", "on", FAILED, "on", "dies", "", IMPATIENT, says="is not known"),
)
# Its dark moment is too short to be seen: a plain off has to follow.
CYCLE = Step("reboot", "on", ON, "on", "quick-cycle", "", (("power_timeout", "6"), ("login_timeout", "10")))
KEYED = Step("status", "on", FAILED, "on", settings=ANOTHER_KEY, says="has another Kg key")


def parameters(configured: Mapping[str, str], bmc: Bmc) -> dict[str, str]:
    """What the agent is given: the configured comfort, the simulator's address and account."""
    kept = {name: value for name, value in configured.items() if name.replace("-", "_") not in ELSEWHERE}
    if kept.get("cipher", "17") not in SIMULATED_SUITES:
        del kept["cipher"]
    there = {"ip": bmc.address, "ipport": str(bmc.port), "username": bmc.user}
    key = {"hexadecimal_kg": KEY} if key_of(configured) else {}
    return {**kept, **there, **secret_of(configured, bmc), **key, "plug": HOST, "nodename": HOST}


def key_of(configured: Mapping[str, str]) -> str:
    """The Kg key that the simulated BMC needs, hexadecimal; "" for none."""
    return KEY if configured.get("hexadecimal_kg", "").strip() else ""


def signature(configured: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What tells one rehearsal from another: devices that differ in address and account alone share one."""
    comfort = {name: value for name, value in configured.items() if name not in ELSEWHERE}
    ways = {"password": way_of_password(configured), "hexadecimal_kg": key_of(configured)}
    return tuple(sorted({**comfort, **ways}.items()))


def steps(configured: Mapping[str, str]) -> tuple[Step, ...]:
    """What is played; an unseen cycle only where hosts are rebooted by cycles, a wrong key where one is set."""
    cycled = configured.get("method", "").strip().lower() == "cycle"
    return (*STEPS, *((CYCLE,) if cycled else ()), *((KEYED,) if key_of(configured) else ()))


IPMI = Script(steps, parameters, signature)
