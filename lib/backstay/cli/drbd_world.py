# SPDX-License-Identifier: GPL-2.0-or-later
"""How each step of `backstay drbd` is done on the real hosts.

Decides nothing about their order (mirror/); a step is done when a fresh look says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from backstay.cib.drbd_conf import drbd_conf
from backstay.cli.drbd_look import View, plain
from backstay.cli.hosts_words import GO_ON
from backstay.cli.loading import load
from backstay.errors import CannotAsk, Findings
from backstay.host import drbd_far, membership
from backstay.host.clock import Deadline, pause
from backstay.host.drbd_far import Address
from backstay.mirror import grow, repair
from backstay.mirror.sides import NINE, progress

EVERY, TELL = 2.0, 10.0  # seconds between two looks, and between two words about it
STARTING = 300.0  # seconds: the agent's start has 240


class Repair(View):
    """The deeds of `backstay drbd repair`."""

    def do(self, step: repair.Step) -> None:
        """Carry out one step."""
        REPAIR[step.verb](self, step.where)

    def part(self, where: str) -> None:
        """The connections to whoever is not described end, of DRBD 9 with what is remembered of them."""
        host, seen = self.far(where), self.seen[where]
        if self.drbd.generation < NINE:
            drbd_far.part(host, *self._ends(where))
            return
        for peer in seen.state.connections if seen.state else ():
            if peer.name not in self.drbd.hosts:
                drbd_far.forget(host, self.name, peer.number)

    def _ends(self, where: str) -> tuple[Address, Address]:
        """The own end and the other one of a connection of DRBD 8.4, which has one peer."""
        address = self.drbd.addresses[self.drbd.hosts.index(where)]
        found = self.seen[where].addresses
        own = [each for each in found if plain(each[1]) == plain(address)]
        others = [each for each in found if each not in own]
        if len(own) != 1 or len(others) != 1:
            shown = ", ".join(each[1] for each in found)
            hint = f"drbdadm disconnect {self.name} there"
            raise CannotAsk(f"{where} connects {self.name} by {shown}, and not by {address}", hint=hint)
        return own[0], others[0]

    def write(self, where: str) -> None:
        """The file in drbd.d."""
        drbd_far.write(self.far(where), self.name, drbd_conf(self.cloud, self.mirror))

    def make(self, where: str) -> None:
        """Metadata; drbdadm itself refuses where it finds something, and nobody answers it.

        So it is told each volume that has none: of the whole resource it would refuse all for one that has them.
        """
        for volume in self.side(where).bare:
            drbd_far.adm(self.far(where), "create-md", f"{self.name}/{volume}")

    def attach(self, where: str) -> None:
        """Each disk that is missing; DRBD refuses one that it has."""
        for volume in self.side(where).diskless:
            drbd_far.adm(self.far(where), "attach", f"{self.name}/{volume}")

    def connect(self, where: str) -> None:
        """What the file says of connections."""
        drbd_far.adm(self.far(where), "adjust", self.name)

    def apply(self, _where: str) -> None:
        """Load the description."""
        load(self.files, self.path, STARTING, allow_stop=self.allow_stop)

    def clean(self, where: str) -> None:
        """Forget a failure."""
        membership.clean_up(self.primitive, where)

    def start(self, where: str) -> None:
        """Wait for Pacemaker."""

        def missing() -> str:
            return "" if self.sides([where])[0].state is not None else f"{self.name} on {where}"

        hint = "crm_mon -1 says why it does not start it"
        wait(missing, min(self.seconds, STARTING), f"Pacemaker to start {self.name} on {where}", hint)

    def sync(self, _where: str) -> None:
        """Watch the resync."""
        hint = "the resync goes on by itself; run the same command again to watch it"
        wait(lambda: progress(self.sides(self.drbd.hosts)), self.seconds, "the resync", hint)

    def tidy(self, where: str) -> None:
        """The file of a host that has the disk no longer."""
        drbd_far.put_aside(self.far(where), self.name)


class Grow(View):
    """The deeds of `backstay drbd grow`, for one volume; `wanted` is in bytes."""

    def __init__(self, path: str, resource: str, seconds: float, volume: int, wanted: int) -> None:
        super().__init__(path, resource, seconds, allow_stop=False)
        self.volume, self.wanted, self.resized = volume, wanted, False

    def looked(self) -> grow.Now:
        """What is seen."""
        return self.growth(self.volume, self.wanted, resized=self.resized)

    def do(self, step: grow.Step) -> None:
        """Carry out one step."""
        GROW[step.verb](self, step.where)

    def extend(self, where: str) -> None:
        """The logical volume below."""
        disk = next(str(volume.disk) for volume in self.drbd.volumes if volume.number == self.volume)
        drbd_far.extend(self.far(where), disk, self.wanted)

    def resize(self, where: str) -> None:
        """DRBD; once, because how much it keeps for itself is not known to a byte."""
        drbd_far.adm(self.far(where), "resize", f"{self.name}/{self.volume}")
        self.resized = True

    def sync(self, _where: str) -> None:
        """Watch the resync of what is new."""
        hint = "the resync goes on by itself; run the same command again to watch it"
        wait(lambda: progress(self.sides(self.drbd.hosts)), self.seconds, "the resync", hint)

    def guest(self, where: str) -> None:
        """The block device of the guest."""
        now = self.looked()
        if now.guest is not None:
            drbd_far.tell_guest(self.far(where), self.mirror.domain, now.guest.target, now.size)


def wait(missing: Callable[[], str], seconds: float, what: str, hint: str) -> None:
    """Wait until nothing is missing, and tell the admin now and then; Findings after so many seconds."""
    deadline, told = Deadline(seconds), Deadline(EVERY)
    while waiting := missing():
        if deadline.expired:
            raise Findings(f"waited in vain for {what}: {waiting}", hint=f"{hint}; {GO_ON}")
        if told.expired:
            click.echo(f"    {seconds - deadline.left():5.0f} s  waiting for: {waiting}", err=True)
            told = Deadline(TELL)
        pause(EVERY)


REPAIR: Mapping[repair.Verb, Callable[[Repair, str], None]] = {
    repair.Verb.PART: Repair.part,
    repair.Verb.WRITE: Repair.write,
    repair.Verb.MAKE: Repair.make,
    repair.Verb.ATTACH: Repair.attach,
    repair.Verb.CONNECT: Repair.connect,
    repair.Verb.APPLY: Repair.apply,
    repair.Verb.CLEAN: Repair.clean,
    repair.Verb.START: Repair.start,
    repair.Verb.SYNC: Repair.sync,
    repair.Verb.TIDY: Repair.tidy,
}
GROW: Mapping[grow.Verb, Callable[[Grow, str], None]] = {
    grow.Verb.EXTEND: Grow.extend,
    grow.Verb.RESIZE: Grow.resize,
    grow.Verb.SYNC: Grow.sync,
    grow.Verb.GUEST: Grow.guest,
}
