# SPDX-License-Identifier: GPL-2.0-or-later
"""What the rehearsals of all agents have in common: the everyday steps, and the way on which the password comes.

Decides both. An agent is rehearsed with the parameters that it is configured with, except for address, credentials and
waits. Some steps make sure that it says no, for the right reason, to a BMC that refuses, to one that accepts and does
nothing and to a dead one, so that the next level of the topology gets its turn; others that it does not give up too
early: with a BMC that is slow to switch, is busy, or lacks the cipher suite.

Which steps are needed was found by breaking the agents in hundreds of ways (bench/mutation-records.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from backstay.fencing.rehearsal import FAILED, OFF, ON, Bmc, Step

HOST = "rehearsal"
PATIENT = (("power_timeout", "20"), ("login_timeout", "10"))
IMPATIENT = (("power_timeout", "2"), ("login_timeout", "5"))
HURRIED = (("login_timeout", "1"),)
REPEATED = (("power_timeout", "4"), ("login_timeout", "10"))  # after half of it, a command is given again
# No name server has to be asked, that is no name: the time is ipmitool's own, to begin on a busy host.
NOWHERE = (("ip", "rehearsal..invalid"), ("login_timeout", "4"))
VERBOSE = (("verbose", "1"),)
WRONG = (("stonith_status_sleep", "often"),)
NO_PASSWORD = (("password", ""), ("password_file", ""), ("password_script", ""))
# What no host is fenced with is found while it is configured; each with what has to be said about it.
SETTINGS: tuple[tuple[str, str, str], ...] = (
    ("stonith_status_sleep", "often", "stonith_status_sleep must be a number"),
    ("quiet", "perhaps", "quiet must be 1 or 0"),
    ("plug", "a\0b", "plug must be without a NUL byte"),
    ("username", "", "username is not given"),
)
NO_FILE = (("password_script", ""), ("password_file", "/nonexistent/password"))


def refused(settings: tuple[tuple[str, str, str], ...]) -> tuple[Step, ...]:
    """A step for each setting that cannot work, and what has to be said about it."""
    return tuple(
        Step("validate-all", "on", FAILED, "on", settings=((name, value),), says=says)
        for name, value, says in settings
    )


# What every agent has to do with a BMC that is well, by whatever way.
EVERYDAY = (
    Step("metadata", "on", ON, "on", says='<action name="off"'),
    Step("validate-all", "on", ON, "on"),
    Step("validate-all", "on", FAILED, "on", settings=NO_PASSWORD, says="no password is given"),
    *refused(SETTINGS),
    Step("no-action", "on", FAILED, "on", says="unsupported action"),
    Step("list", "on", ON, "on", says=f"{HOST},"),
    Step("list-status", "on", ON, "on", says=f"{HOST},,ON"),
    Step("monitor", "on", ON, "on"),
    Step("status", "on", ON, "on", settings=VERBOSE, says="Status: ON"),
    Step(
        "status",
        "on",
        FAILED,
        "on",
        settings=(("password_script", "/bin/false"),),
        says="failed with exit code 1",
    ),
    Step("status", "on", FAILED, "on", settings=(("password_script", "'"),), says="is no command"),
    Step("status", "on", FAILED, "on", settings=NO_FILE, says="cannot be read"),
    Step("off", "on", ON, "off"),
    Step("off", "on", ON, "off", settings=WRONG),  # a typing error keeps no host alive
    Step("status", "off", OFF, "off"),
    Step("off", "off", ON, "off"),
    Step("on", "off", ON, "on"),
    Step("reboot", "on", ON, "on"),
)


def secret_of(configured: Mapping[str, str], bmc: Bmc) -> dict[str, str]:
    """The simulator's password, on the way on which the configured one comes."""
    way = way_of_password(configured)
    files = {"password_script": f"/bin/cat {bmc.password_file}", "password_file": bmc.password_file}
    return {way: files.get(way, bmc.password)}


def way_of_password(configured: Mapping[str, str]) -> str:
    """By which parameter the agent gets its password, as the agent itself decides (backstay.fencing.password)."""
    if configured.get("password_script") or configured.get("passwd_script"):
        return "password_script"
    return "password_file" if configured.get("password_file") else "password"
