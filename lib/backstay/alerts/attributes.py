# SPDX-License-Identifier: GPL-2.0-or-later
"""Backstay's own node attributes, as an admin is told of them: what each is about, and what to do when it is not well.

Decides nothing about values. Attributes that are notes between hosts have no place here, and nobody is woken by them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class About:
    """One attribute, or all that begin with `name` if it ends with a hyphen; `grave`: any bad value is an alarm."""

    name: str
    what: str
    todo: str
    grave: bool = False

    def of(self, attribute: str) -> str:
        """What it is about, with the name that the attribute carries."""
        rest = attribute.removeprefix(self.name).removesuffix("-check")
        return f"{self.what} {rest}" if self.name.endswith("-") else self.what


OURS = (
    About(
        "backstay-fencing",
        "readiness of fencing",
        "run `backstay fence check` there: it gives the reason for each device, before one has to be fenced",
        grave=True,
    ),
    About(
        "backstay-agents",
        "the agents",
        "run `backstay agents check` there; the package that was upgraded last is the first suspect",
        grave=True,
    ),
    About(
        "backstay-libvirtd",
        "libvirtd",
        "nothing at first, it is healed in place and its guests run on; if this stays, see `systemctl status libvirtd` "
        "and `journalctl -t backstay-libvirtd` there",
    ),
    About(
        "backstay-strays",
        "guests that nobody knows, or that run twice,",
        "look at once: of a guest that runs twice one has to be stopped, before more is written to its disks",
        grave=True,
    ),
    About(
        "backstay-datastore-",
        "datastore",
        "see `journalctl -t backstay-datastore` there, the mount, the network to the server and the server itself",
    ),
    About(
        "backstay-drbd-",
        "DRBD resource of",
        "`drbdadm status` on both hosts, and `journalctl -t backstay-drbd` there",
    ),
    About(
        "backstay-frontend-",
        "frontend",
        "`journalctl -t backstay-frontend` there has what does not answer",
    ),
)


def about(attribute: str) -> About | None:
    """What there is to say about an attribute; nothing about one that is not for admins."""
    for each in OURS:
        if attribute == each.name or (each.name.endswith("-") and attribute.startswith(each.name)):
            return each
    return None
