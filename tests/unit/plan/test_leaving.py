# SPDX-License-Identifier: GPL-2.0-or-later
"""What setting a host aside does, from the scheduler's answer and what resources and hosts are configured to need."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from backstay.plan.leaving import Leaving, guest_resources, in_standby, leaving
from backstay.plan.transition import Step, Transition

RUNNING = {
    "db1": frozenset({"n2"}),
    "web1": frozenset({"n2"}),
    "mail1": frozenset({"n3"}),
    "libvirtd": frozenset({"n1", "n2", "n3"}),
    "store": frozenset({"n1", "n2", "n3"}),
    "fence-n1": frozenset({"n2"}),
}
ORDINARY = (
    Step("migrate", "db1", "n2", "n1"),
    Step("migrate", "web1", "n2", "n3"),
    Step("stop", "libvirtd", "n2"),
    Step("stop", "store", "n2"),
    Step("move", "fence-n1", "n2", "n3"),
)


class Scheduler:
    """Wants nothing before, and these steps after."""

    def __init__(self, steps: tuple[Step, ...], before: tuple[Step, ...] = ()) -> None:
        self.answers = [Transition(before, RUNNING), Transition((*before, *steps), RUNNING)]
        self.asked: list[bytes] = []

    def transition(self, cib: bytes) -> Transition:
        self.asked.append(cib)
        return self.answers.pop(0)


def needs(**values: int) -> str:
    pairs = "".join(f'<nvpair id="{n}" name="{n}" value="{v}"/>' for n, v in values.items())
    return f'<utilization id="u">{pairs}</utilization>'


def cib(memory: str = "memory", room: str = "") -> Any:
    guests = "".join(
        f'<primitive id="{name}" class="ocf" provider="backstay" type="domain">{needs(**{memory: size})}</primitive>'
        for name, size in (("db1", 1024), ("web1", 512), ("mail1", 256))
    )
    nodes = "".join(f'<node id="{n}" uname="n{n}">{room if n == 3 else ""}</node>' for n in (1, 2, 3))
    return etree.fromstring(
        f"""<cib><configuration><crm_config/><nodes>{nodes}</nodes><resources>{guests}
        <clone id="c"><primitive id="libvirtd" class="ocf" provider="backstay" type="libvirtd"/></clone>
        <clone id="s"><primitive id="store" class="ocf" provider="heartbeat" type="Filesystem"/></clone>
        <primitive id="fence-n1" class="stonith" type="fence_backstay_ipmi"/></resources>
        </configuration><status/></cib>"""
    )


def found(steps: tuple[Step, ...] = ORDINARY, **more: Any) -> Leaving:
    before = more.pop("before", ())
    free = more.pop("free", {})
    return leaving(cib(**more), "n2", free, Scheduler(steps, before))


def test_a_host_that_can_be_emptied() -> None:
    assert found() == Leaving("n2", (("db1", "n1"), ("web1", "n3")), (), (), (), (), (), ("db1", "web1"), ())


def test_the_scheduler_is_asked_about_a_host_in_standby() -> None:
    changed = in_standby(in_standby(cib(), "n2"), "n2")
    (pair,) = changed.iterfind("configuration/nodes/node/instance_attributes/nvpair")
    assert (pair.get("name"), pair.get("value")) == ("standby", "on")
    scheduler = Scheduler(ORDINARY)
    leaving(cib(), "n2", {}, scheduler)
    assert [b"standby" in asked for asked in scheduler.asked] == [False, True]


def test_what_ends_is_harm_but_for_what_every_host_has() -> None:
    steps = (Step("move", "db1", "n2", "n1"), Step("stop", "web1", "n2"), *ORDINARY[2:])
    assert found(steps).harm == ("db1 stops on n2 and starts on n1", "web1 stops on n2")
    assert found((Step("demote", "store", "n2"), *ORDINARY)).harm == ("store is demoted on n2",)


@pytest.mark.parametrize(
    "steps", [ORDINARY[1:], (Step("migrate", "db1", "n2", "n1", blocked=True), *ORDINARY[1:])]
)
def test_what_does_not_leave_stays(steps: tuple[Step, ...]) -> None:
    assert found(steps).stays == ("db1",)


def test_what_the_cluster_is_at_anyway_is_not_settled() -> None:
    assert found(before=(Step("start", "mail1", target="n1"),)).unsettled == ("mail1 starts on n1",)


@pytest.mark.parametrize(
    ("more", "crowded"),
    [
        ({"room": needs(memory=768)}, ()),
        (
            {"room": needs(memory=767)},
            ("n3 has room for guests with 767 MiB of memory, and would have 768 MiB",),
        ),
        ({"room": needs(vcpus=1), "memory": "vcpus"}, ()),
        ({"free": {"n1": 1024, "n3": 512}}, ()),
        (
            {"free": {"n1": 1023, "n3": 512}},
            ("n1 has 1023 MiB of memory left, and would get guests with 1024 MiB",),
        ),
        ({"free": {"n1": 9, "n3": 9}, "memory": "hv_memory"}, 2),
        ({"free": {"n1": 9, "n3": 9}, "memory": "other"}, ()),
    ],
)
def test_who_has_not_the_room(more: dict[str, Any], crowded: Any) -> None:
    got = found(**more).crowded
    assert (len(got) if isinstance(crowded, int) else got) == crowded


def test_guests_whose_need_nobody_configured_are_named() -> None:
    assert found(memory="other").unmeasured == ("db1", "web1")
    assert guest_resources(cib()) == {"db1", "web1", "mail1"}
