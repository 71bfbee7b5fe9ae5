# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that is to be a host, beside the members: what the rules about it look at, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from backstay.cib import corosync_text
from backstay.cloud.model import Cloud, Host
from backstay.host.far import Machine

ERROR, NOTE = "error", "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about the new host: `severity` is error or note, `todo` what to do."""

    severity: str
    text: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A described host, the machine that is to be it, and the members as they are; `here` is one of them.

    `cpus` is what libvirt on the machine says to the processors of members.
    """

    host: Host
    cloud: Cloud
    machine: Machine
    members: Mapping[str, Machine]
    here: str
    cluster: str
    cpus: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def ours(self) -> Machine:
        """The machine that all of this is compared with."""
        return self.members[self.here]


Rule = Callable[[Candidate], Iterator[Finding]]


def untouched(conf: str) -> bool:
    """Whether this is a corosync.conf as a distribution installs it: for the loopback address alone."""
    addresses = [value for one in corosync_text.members(conf).values() for key, value in one.items()
                 if key.endswith("_addr")]  # fmt: skip
    return all(address.startswith("127.") or address == "::1" for address in addresses)
