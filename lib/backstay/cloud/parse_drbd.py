# SPDX-License-Identifier: GPL-2.0-or-later
"""The DRBD resources of a cloud description: who has them, which volumes, by which addresses they talk.

Decides what one resource may not share with another, how many hosts a generation of DRBD mirrors to, and that two
promoted sides are two hosts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from backstay.cloud.domain_keys import DRBD
from backstay.cloud.model import Host
from backstay.cloud.named import declared, named
from backstay.cloud.once import Once, known
from backstay.cloud.problems import Report, counted, quote
from backstay.cloud.reader import Fields
from backstay.cloud.sections import Section
from backstay.cloud.stores import Drbd, DrbdVolume

FEWEST, MOST = 2, 3
NINE = "9"


class Mirrors:
    """Reads the resources one after the other; what two of them share is reported at the second one."""

    def __init__(self, report: Report, hosts: Sequence[Host]) -> None:
        self._report = report
        self._hosts = {host.name: host for host in hosts}
        self._names = Once(report, "a DRBD resource")
        self._ports = Once(report, "a `port`")
        self._minors = Once(report, "a `minor`")
        self._disks = Once(report, "a block device")

    def read(self, owner: str, fields: Fields, *, alive: bool) -> Drbd:
        """Read the resource of a domain; `alive`: it moves while it runs, from one promoted side to the other."""
        given = fields.take(DRBD)
        volumes = self._volumes(fields)
        if volumes and "port" not in fields.mapping.items:
            expected = "the key `port`: by it the hosts mirror the volumes"
            self._report.add(fields.at, f"{fields.owner} without `port`", expected)
        return self._read(owner, fields, given, alive=alive, volumes=volumes)

    def one(self, owner: str, fields: Fields, given: Mapping[str, Any]) -> Drbd:
        """Read the resource of storage, which has one volume; `given` are its values."""
        volume = self._volume(0, fields, given, fields.owner)
        return self._read(owner, fields, given, alive=False, volumes=(volume,))

    def _read(
        self,
        owner: str,
        fields: Fields,
        given: Mapping[str, Any],
        *,
        alive: bool,
        volumes: tuple[DrbdVolume, ...],
    ) -> Drbd:
        there = self._members(fields, str(given.get("generation", "8")), alive=alive)
        name = str(given.get("resource", owner))
        at = fields.where("resource") if "resource" in fields.mapping.items else fields.at
        self._names.claim(name, fields.owner, at, quote(name))
        port = int(given.get("port", 0))
        if port and "port" in fields.mapping.items:
            self._ports.claim(port, fields.owner, fields.where("port"), quote(str(port)))
        generation = int(given.get("generation", "8"))
        ring = int(given.get("ring", 0))
        return Drbd(name, there, generation, port, volumes, self._addresses(there, ring, fields))

    def _members(self, fields: Fields, generation: str, *, alive: bool) -> tuple[str, ...]:
        places = fields.places("hosts", DRBD.kind("hosts"))
        there = known(self._report, places, self._hosts, f"`hosts` of {fields.owner}", "host")
        most = MOST if generation == NINE else FEWEST
        wrong = ""
        if not FEWEST <= len(there) <= most:
            wrong = "two hosts" if most == FEWEST else "two or three hosts"
        elif len(there) > FEWEST and alive:
            wrong = "two hosts, or `live_migration: no`: DRBD has two promoted sides only where there are two"
        if wrong and len(places) == len(there) and "hosts" in fields.mapping.items:
            self._report.add(
                fields.where("hosts"), f"{counted(len(there), 'host')} for {fields.owner}", wrong
            )
        return there

    def _volumes(self, fields: Fields) -> tuple[DrbdVolume, ...]:
        kind = declared(DRBD, "volumes")
        assert isinstance(kind.value, Section)
        found = []
        for number, at, inner in named(fields, DRBD, "volumes"):
            if re.fullmatch(kind.pattern, number) is None:
                self._report.add(at, f"the volume {quote(number)} of {fields.owner}", "a number from 0 on")
                continue
            given = inner.take(kind.value)
            owner = f"the volume {number} of {fields.owner}"
            found.append(self._volume(int(number), inner, given, owner))
        return tuple(sorted(found, key=lambda one: one.number))

    def _volume(self, number: int, inner: Fields, given: Mapping[str, Any], owner: str) -> DrbdVolume:
        if "minor" in inner.mapping.items:
            minor = given["minor"]
            self._minors.claim(("minor", minor), owner, inner.where("minor"), quote(str(minor)))
        if "disk" in inner.mapping.items:
            self._disks.claim(given["disk"], owner, inner.where("disk"), quote(str(given["disk"])))
        return DrbdVolume(number, given["disk"], given["minor"])

    def _addresses(self, there: Sequence[str], ring: int, fields: Fields) -> tuple[str, ...]:
        """The address of each host in the chosen ring; a host without rings has its one address."""
        found = []
        for name in there:
            host = self._hosts[name]
            rings = host.rings or (host.address,)
            if ring >= len(rings):
                expected = f"a ring that {quote(name)} has (0 to {len(rings) - 1})"
                self._report.add(
                    fields.where("ring"), f"{quote(str(ring))} for `ring` of {fields.owner}", expected
                )
                return ()
            found.append(rings[ring])
        return tuple(found)
