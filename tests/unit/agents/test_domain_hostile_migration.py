# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever the libvirts of both hosts say during a migration: it ends in time, and never with a lie about the guest."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.agents import domain_migration
from backstay.agents.domain_migration_way import Way
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.libvirt_migration import INCOMING, NO_JOB, OUTGOING, Standing
from backstay.host.libvirt_preflight import Fact, Needs, Offer
from backstay.ocf import codes
from tests.unit.agents.domain_host import UUID, XML, Daemon, Guest
from tests.unit.agents.test_domain_hostile import ENDS, TEXT, Machine, answers, defined, machines

BUDGET = 120.0
SLACK = 1.0  # seconds; the runtime's margin is five

standings = st.builds(
    Standing,
    answers,
    st.sampled_from((NO_JOB, NO_JOB, OUTGOING, INCOMING, "a save")),
    remaining=st.sampled_from((0, 1, 1 << 40)),
    rate=st.sampled_from((0, 1, 1 << 30)),
    dirty=st.sampled_from((0, 1 << 31)),
    passes=st.integers(0, 3),
)
runs = Standing(Answer(libvirt.KNOWN, state="running", uuid=UUID, name="web1"))
near = st.lists(standings, max_size=4).map(lambda more: [runs, *more]) | st.lists(
    standings, min_size=1, max_size=4
)
far = st.lists(standings, max_size=3).map(lambda more: [Standing(Answer(libvirt.ABSENT)), *more])
offers = st.just(Offer()) | st.builds(
    Offer,
    st.sampled_from(("", "", "no answer")),
    available=st.sampled_from((0, 1 << 20)),
    facts=st.lists(
        st.builds(
            Fact, st.sampled_from(("network", "CPU", "another")), TEXT, st.sampled_from(("absent", "fits"))
        )
    ).map(tuple),
)


@st.composite
def inhabited(draw: Any) -> Machine:
    """A host on which the guest runs; whether it ends when it is sent away is its own affair."""
    machine = draw(machines())
    guest = Guest(100, migrate=draw(ENDS))
    guest.state = draw(st.sampled_from("SRT"))
    machine.guests, machine.proc_broken, machine.xml = [guest], "", XML
    return machine


class Crossing:
    """A way to another host on which each question gets any answer, and the guest leaves or does not."""

    def __init__(
        self, machine: Machine, near: list[Standing], far: list[Standing], offered: Offer, leaves: bool
    ) -> None:
        self.machine, self.near, self.far, self.offered, self.leaves = machine, near, far, offered, leaves

    def _next(self, said: list[Standing]) -> Standing:
        self.machine.now += 0.1
        said.append(said.pop(0))
        return said[-1]

    def here(self, *_asked: object) -> Standing:
        return self._next(self.near)

    def there(self, *_asked: object) -> Standing:
        return self._next(self.far)

    def _answer(self, *_asked: object) -> Answer:
        return self.here().answer

    limit_downtime = switch = remove = _answer

    def begin(self, *_given: object) -> Crossing:
        if self.leaves:
            Daemon(self.machine).act("migrate", UUID)
        return self

    def wait(self, timeout: float) -> Answer | None:
        self.machine.now += timeout
        return self.here().answer if self.leaves else None

    def abandon(self) -> None:
        pass

    def needs(self, *_asked: object) -> Needs:
        return Needs(memory=1 << 21)

    def offer(self, *_asked: object) -> Offer:
        return self.offered

    storage = around = offer


@settings(max_examples=100)
@given(machines() | inhabited(), near, far, offers, st.booleans(), st.booleans())
def test_a_departure_is_said_only_of_a_guest_that_is_not_here(
    machine: Machine,
    near: list[Standing],
    far: list[Standing],
    offered: Offer,
    leaves: bool,
    postcopy: bool,
) -> None:
    crossing = Crossing(machine, near, far, offered, leaves)
    began = machine.now
    way = Way("qemu+tls://n3/system", ("LIVE", "POSTCOPY") if postcopy else ("LIVE",), downtime=50)
    outcome = domain_migration.migrate_to(
        machine.world(), crossing, crossing, machine.deadline(BUDGET), "n3", way, lambda: None
    )
    defined(outcome)
    assert outcome.code in (codes.SUCCESS, codes.GENERIC)
    if outcome.code == codes.SUCCESS:
        assert not machine.ours()
    assert machine.now - began <= BUDGET + SLACK
