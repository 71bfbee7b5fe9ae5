# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cluster runs without an agent, as a unit of systemd or a script in /etc/init.d: would it be found here?

Decides which unit Pacemaker means by a name, and what systemd's word about it is worth. Asks nobody.
Sources: Pacemaker 2.1.5, lib/services (systemd_service_name, resources_find_service_class); LoadState in systemctl(1).
"""

from __future__ import annotations

KINDS = (
    ".service",
    ".socket",
    ".mount",
    ".swap",
    ".timer",
    ".path",
    ".target",
    ".device",
    ".slice",
    ".scope",
)
WITHOUT_AGENT = ("systemd", "service", "lsb")  # classes of resources
LOADED, NOT_FOUND, MASKED = "loaded", "not-found", "masked"


def unit_of(kind: str) -> str:
    """The unit that Pacemaker asks systemd for: a service if the name says nothing else; of a template, its own."""
    if kind.endswith(KINDS):
        return kind
    return f"{kind}pacemaker.service" if kind.endswith("@") else f"{kind}.service"


def missing(standard: str, kind: str) -> str:
    """Why there is nothing to run: a resource may well be kept away from a host that has not its software."""
    where = {"systemd": f"systemd has no {unit_of(kind)}", "lsb": f"there is no script /etc/init.d/{kind}"}
    return (
        where.get(standard, f"there is neither a script /etc/init.d/{kind} nor {unit_of(kind)}")
        + " on this host"
    )


def trouble(kind: str, state: str) -> str:
    """What is wrong with a unit that is there, by its LoadState; nothing when it can be used."""
    unit = unit_of(kind)
    if state == LOADED:
        return ""
    if state == MASKED:
        return f"{unit} is masked, so it cannot be started; systemctl unmask {unit}"
    return f"systemd cannot load {unit} ({state}); systemctl status {unit} says why"
