# SPDX-License-Identifier: GPL-2.0-or-later
"""Which steps a change is to blame for, which of them hurt, and who finds no place."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.plan.prediction import predict
from backstay.plan.transition import Step, Transition


class Scripted:
    """A scheduler that gives one answer without web2 and another one with it; both are asked for at once."""

    def __init__(self, without, with_web2):
        self.answers = {False: without, True: with_web2}

    def transition(self, cib):
        """The one for this configuration."""
        return self.answers[b'id="web2"' in cib]


def cib(*names, meta=""):
    """A CIB with domains, libvirtd and a fence device."""
    domains = "".join(
        f"""<primitive id="{name}" class="ocf" provider="backstay" type="domain">
        <meta_attributes id="m-{name}">{meta}</meta_attributes></primitive>"""
        for name in names
    )
    return etree.fromstring(
        f"""<cib><configuration><crm_config/><nodes/><resources>
        <clone id="c"><primitive id="libvirtd" class="ocf" provider="backstay" type="libvirtd"/></clone>
        <primitive id="fence-n1" class="stonith" type="fence_backstay_ipmi"/>{domains}
        </resources></configuration><status/></cib>"""
    )


RUNNING = {
    "libvirtd": frozenset({"n1"}),
    "fence-n1": frozenset({"n2"}),
    "web1": frozenset({"n1"}),
    "web2": frozenset(),
}


def foreseen(*after, before=(), meta="", running=RUNNING):
    """The prediction when the scheduler wants `before` without and `after` with the change."""
    scheduler = Scripted(Transition(tuple(before), running), Transition(tuple(after), running))
    return predict(cib("web1"), cib("web1", "web2", meta=meta), scheduler)


def test_what_happens_anyway_is_not_blamed_on_the_change():
    move = Step("move", "web1", "n1", "n2")
    start = Step("start", "web2", target="n1")
    found = foreseen(move, start, before=[move])
    assert (found.steps, found.anyway) == ((start,), (move,))


@pytest.mark.parametrize("verb", ["stop", "restart", "move", "recover", "fence", "demote"])
def test_what_ends_something_hurts(verb):
    step = Step(verb, "web1", "n1", "n2")
    assert foreseen(step).harm == (step,)


@pytest.mark.parametrize("verb", ["start", "migrate", "reload", "promote"])
def test_what_only_adds_or_moves_live_does_not_hurt(verb):
    assert foreseen(Step(verb, "web1", "n1", "n2")).harm == ()


@pytest.mark.parametrize("subject", ["libvirtd", "fence-n1"])
def test_libvirtd_and_fence_devices_are_nobodys_harm(subject):
    assert foreseen(Step("restart", subject, "n1")).harm == ()


def test_a_new_domain_that_is_not_started_finds_no_place():
    assert foreseen().stranded == ("web2",)
    assert foreseen(Step("start", "web2", target="n1")).stranded == ()
    assert foreseen(Step("start", "web2", target="n1", blocked=True)).stranded == ("web2",)


def test_a_running_domain_that_is_stopped_finds_no_place():
    found = foreseen(Step("stop", "web1", source="n1"), Step("start", "web2", target="n1"))
    assert found.stranded == ("web1",)


@pytest.mark.parametrize(
    ("name", "value"), [("target-role", "Stopped"), ("is-managed", "false"), ("maintenance", "true")]
)
def test_what_an_admin_switched_off_needs_no_place(name, value):
    assert foreseen(meta=f'<nvpair id="x" name="{name}" value="{value}"/>').stranded == ()


def test_guests_are_known_by_their_agent():
    assert foreseen().guests == {"web1", "web2"}


def test_an_instance_that_stops_strands_nobody_while_another_runs():
    running = RUNNING | {"libvirtd": frozenset({"n1", "n2"})}
    start = Step("start", "web2", target="n1")
    one, other = Step("stop", "libvirtd", source="n1"), Step("stop", "libvirtd", source="n2")
    assert foreseen(start, one, running=running).stranded == ()
    assert foreseen(start, one, other, running=running).stranded == ("libvirtd",)


def priority(value):
    """A priority as a resource's meta attribute."""
    return f'<nvpair id="p" name="priority" value="{value}"/>'


def eviction(*steps, of_new="8"):
    """What is foreseen when web2 with a priority joins web1, which has none."""
    new = cib("web1", "web2")
    new.find(".//primitive[@id='web2']/meta_attributes").append(etree.fromstring(priority(of_new)))
    quiet, after = Transition((), RUNNING), Transition(steps, RUNNING)
    return predict(cib("web1"), new, Scripted(quiet, after)).steps


def test_who_makes_room_for_what_is_more_important_is_told_why():
    start = Step("start", "web2", target="n1")
    stop = Step("stop", "web1", "n1", reason="node availability")
    assert eviction(start, stop)[1].reason == "no room is left for it: web2 comes first"
    assert eviction(start, Step("move", "web1", "n1", "n2"))[1].reason == "it makes room for web2"
    assert eviction(start, Step("migrate", "web1", "n1", "n2"))[1].reason == "it makes room for web2"


def test_nobody_is_blamed_who_is_not_more_important_or_goes_elsewhere():
    stop = Step("stop", "web1", "n1", reason="node availability")
    assert eviction(Step("start", "web2", target="n1"), stop, of_new="0")[1] == stop
    move = Step("move", "web1", "n1", "n2")
    assert eviction(Step("start", "web2", target="n3"), move)[1] == move
    known = Step("stop", "web1", "n1", reason="due to something else")
    assert eviction(Step("start", "web2", target="n1"), known)[1] == known


def test_who_has_no_place_without_the_change_either_is_not_blamed_on_it():
    """A host is off, say, and the device of another one had its place there."""
    running = RUNNING | {"fence-n1": frozenset()}
    assert foreseen(Step("start", "web2", target="n1"), running=running).stranded == ()
    found = foreseen(
        Step("start", "web2", target="n1"), before=[Step("start", "fence-n1", target="n2")], running=running
    )
    assert found.stranded == ("fence-n1",)
