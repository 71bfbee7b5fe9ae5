# SPDX-License-Identifier: GPL-2.0-or-later
"""The rehearsal of a resource agent: what a step may come to, and what a check makes of it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from backstay.agents.check import BAD, GOOD, UNKNOWN, Foreign, World, check, metadata_trouble, used_by
from backstay.agents.rehearsal import (
    DATASTORE,
    DOMAIN,
    FRONTEND,
    LIBVIRTD,
    STEPS,
    Step,
    environment,
    rehearse,
    wrong,
)
from backstay.errors import CannotAsk
from backstay.host.private_host import NotPossible

METADATA = '<resource-agent name="x" version="1"/>'


class Said:
    def __init__(self, code: int | None, err: str = "", out: str = METADATA) -> None:
        self.code, self.err, self.out = code, err, out

    @property
    def reason(self) -> str:
        return self.err or "it said nothing"


START = Step("start", (0,), 1)
REFUSED = Step("migrate_to", (1,), 1)


@pytest.mark.parametrize(
    ("step", "said", "guests", "daemon", "trouble"),
    [
        (START, Said(0), 1, True, ""),
        (START, Said(0), 0, True, "0 guests run instead of 1"),
        (START, Said(0), 1, False, "libvirtd does not run"),
        (START, Said(1, "no"), 1, True, "ended with exit code 1 instead of 0: no"),
        (START, Said(None, "no end within 20 s"), 1, True, "did not end"),
        (START, Said(0, "Traceback (most recent call last)"), 1, True, "broke"),
        (REFUSED, Said(1, "no such host"), 1, True, ""),
        (REFUSED, Said(1, ""), 1, True, "without a word"),
        (REFUSED, Said(1, "migrate_to could not be completed: internal error, NameError"), 1, True, "broke"),
        (REFUSED, Said(1, "no such host"), 0, True, "0 guests run instead of 1"),
        (Step("monitor", (0, 190), 1, interval=10), Said(190, "libvirtd is gone"), 1, True, ""),
    ],
)
def test_what_a_step_may_come_to(step, said, guests, daemon, trouble):
    found = wrong(step, said, guests, daemon)
    assert trouble in found
    assert bool(found) == bool(trouble)


class Rehearsal:
    """A host on which every action comes to what its step wants, but for one."""

    def __init__(self, steps, broken: str = "") -> None:
        self.steps, self.broken, self.taken = list(steps), broken, []
        self.config, self.unit = Path("/config.xml"), "libvirtd.service"

    def run(self, program, action, environment, timeout):
        self.now = self.steps[len(self.taken)]
        self.taken.append(action)
        return Said(99 if action == self.broken else self.now.codes[0], "because")

    def guests(self) -> int:
        return self.now.guests

    def daemon_runs(self) -> bool:
        return self.now.daemon

    def kill_daemon(self) -> None:
        self.taken = [*self.taken]

    def revive(self) -> None:
        self.taken = []


@pytest.mark.parametrize(
    ("agent", "steps"),
    [("domain", DOMAIN), ("libvirtd", LIBVIRTD), ("datastore", DATASTORE), ("frontend", FRONTEND)],
)
def test_every_step_is_taken_in_its_order(agent, steps):
    host = Rehearsal(steps)
    found = list(rehearse(agent, Path("agent"), host))
    assert [action for action, _ in found] == host.taken == [step.action for step in steps]
    assert not any(trouble for _, trouble in found)
    assert {"validate-all", "monitor", "start", "stop"} <= set(host.taken)


def test_drbd_is_rehearsed_on_a_resource_that_nobody_has_and_never_started():
    host = Rehearsal(STEPS["drbd"])
    assert not any(trouble for _, trouble in rehearse("drbd", Path("agent"), host))
    assert not {"start", "promote"} & set(host.taken)
    assert {"monitor", "stop", "demote", "notify"} <= set(host.taken)
    assert environment(STEPS["drbd"][1], host)["OCF_RESKEY_drbd_resource"] == "backstay-rehearsal"


def test_nothing_follows_a_step_that_went_wrong():
    *fine, last = rehearse("domain", Path("agent"), Rehearsal(DOMAIN, "stop"))
    assert not any(trouble for _, trouble in fine)
    assert last == ("stop", "domain stop ended with exit code 99 instead of 0: because")


class Busy(Rehearsal):
    """A host on which nothing ends in less than what Pacemaker gives it by default."""

    def run(self, program, action, environment, timeout):
        if float(environment["OCF_RESKEY_CRM_meta_timeout"]) >= 20000:
            return super().run(program, action, environment, timeout)
        self.now = self.steps[len(self.taken)]
        return Said(None, "no end within 4 s")


def test_what_was_given_little_time_on_a_busy_host_is_taken_again_with_more():
    host = Busy(DOMAIN)
    found = list(rehearse("domain", Path("agent"), host))
    assert not any(trouble for _, trouble in found)
    assert host.taken == [step.action for step in DOMAIN]


def test_a_probe_has_no_interval_and_a_migration_names_both_hosts():
    host = Rehearsal(DOMAIN)
    probe = environment(Step("monitor", (7,)), host)
    assert "OCF_RESKEY_CRM_meta_interval" not in probe
    assert environment(Step("monitor", (0,), interval=10), host)["OCF_RESKEY_CRM_meta_interval"] == "10000"
    there = environment(REFUSED, host)
    assert there["OCF_RESKEY_CRM_meta_migrate_target"].endswith(".invalid")


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        (Said(0), ""),
        (Said(0, out="<resource-agent>"), "not well-formed"),
        (Said(0, out="<html/>"), "no <resource-agent>"),
        (Said(1, "SyntaxError"), "SyntaxError"),
        (Said(None, "late"), "did not end"),
    ],
)
def test_metadata(said, trouble):
    found = metadata_trouble(said, None)
    assert trouble in found
    assert bool(found) == bool(trouble)


CIB = """<cib><configuration><resources>
<primitive id="a" class="ocf" provider="heartbeat" type="Filesystem"><instance_attributes id="i">
<nvpair id="n" name="device" value="/dev/sda"/></instance_attributes></primitive>
<clone id="c"><primitive id="b" class="ocf" provider="heartbeat" type="Filesystem"/></clone>
<primitive id="d" class="ocf" provider="backstay" type="domain"/>
<primitive id="e" class="stonith" type="fence_virsh"/>
<primitive id="g" class="stonith" type="fence_backstay_ipmi"/>
<primitive id="f" class="systemd" type="libvirtd"/>
</resources></configuration></cib>"""


def test_agents_of_others_are_found_once():
    found = list(used_by(etree.fromstring(CIB), Path("/ra"), Path("/sbin")))
    places = ["/ra/heartbeat/Filesystem", "/sbin/fence_virsh", "libvirtd"]
    assert [str(each.path) for each in found] == places
    assert found[2].name == "systemd:libvirtd"
    assert found[0].resources == {"a": {"device": "/dev/sda"}, "b": {}}


INHERITED = """<cib><configuration><resources>
<template id="t" class="ocf" provider="heartbeat" type="Filesystem"><instance_attributes id="ti">
<nvpair id="tf" name="fstype" value="ext4"/><nvpair id="td" name="device" value="none"/></instance_attributes></template>
<primitive id="a" template="t"><instance_attributes id="ai"><nvpair id="ad" name="device" value="/dev/a"/>
</instance_attributes></primitive>
<primitive id="b" template="t"><instance_attributes id="bi"><nvpair id-ref="ad"/></instance_attributes></primitive>
<primitive id="c" class="ocf" provider="heartbeat" type="Filesystem"><instance_attributes id-ref="ai"/></primitive>
<primitive id="e" class="stonith" type="fence_x"><instance_attributes id="ei"><nvpair id="e1" name="ip" value="x"/>
<nvpair id="e2" name="pcmk_host_list" value="n1"/></instance_attributes></primitive>
</resources></configuration></cib>"""


def test_each_resource_of_others_is_read_with_what_it_inherits():
    files, device = used_by(etree.fromstring(INHERITED), Path("/ra"), Path("/sbin"))
    whole = {"fstype": "ext4", "device": "/dev/a"}
    assert files.resources == {"a": whole, "b": whole, "c": {"device": "/dev/a"}}
    assert device.resources == {"e": {"ip": "x"}}


RULED = """<cib><configuration><resources><primitive id="a" class="ocf" provider="heartbeat" type="x">
<instance_attributes id="night" score="9"><rule id="r" score="1"><date_expression id="d" operation="gt" start="2020"/></rule>
<nvpair id="a1" name="size" value="1"/></instance_attributes>
<instance_attributes id="day"><nvpair id="a2" name="size" value="0"/></instance_attributes></primitive>
<primitive id="b" class="ocf" provider="heartbeat" type="x"/></resources></configuration></cib>"""


def test_parameters_that_depend_on_a_rule_are_not_validated():
    (other,) = used_by(etree.fromstring(RULED), Path("/ra"), Path("/sbin"))
    asked = []

    def ask(path, action, parameters, timeout):
        asked.append((action, dict(parameters)))
        return Said(0, "<resource-agent/>")

    cells = check(replace(world([], {}), ours=Nobody(), ask=ask), [other])  # type: ignore[arg-type]
    said = "heartbeat:x is not validated for a: its size depends on a rule (in night)"
    assert [(cell.state, cell.reason) for cell in cells if cell.column == "valid"] == [
        (UNKNOWN, said),
        (GOOD, ""),
    ]
    assert [given for action, given in asked if action == "validate-all"] == [{}]


class Ours:
    def __init__(self, troubles: list[str]) -> None:
        self.troubles = troubles

    def programs(self):
        return (Path("/v/agents/domain"),)

    def load(self, program):
        return self.troubles

    def misplaced(self):
        return {}


def world(
    troubles: list[str],
    answers: dict[str, Said],
    obstacle: CannotAsk = NotPossible("there is no libvirtd on this host"),  # noqa: B008
) -> World:
    @contextlib.contextmanager
    def nowhere():
        raise obstacle
        yield

    def ask(path, action, parameters, timeout):
        return answers.get(action, Said(0))

    return World(Ours(troubles), ask, None, nowhere, nowhere, nowhere, None, None)  # type: ignore[arg-type]


def test_what_cannot_be_rehearsed_is_neither_good_nor_bad():
    cells = {cell.column: cell for cell in check(world([], {}))}
    assert [cells[name].state for name in ("load", "meta", "start")] == [GOOD, GOOD, UNKNOWN]
    assert "there is no libvirtd on this host" in cells["start"].reason


def test_a_private_host_that_does_not_come_up_is_bad():
    cells = {cell.column: cell for cell in check(world([], {}, CannotAsk("its libvirtd does not start")))}
    assert cells["start"].state == BAD
    assert "its libvirtd does not start" in cells["start"].reason


def test_what_cannot_be_loaded_is_bad():
    (load, *_) = check(world(["domain needs nowhere"], {}))
    assert (load.state, load.reason) == (BAD, "domain needs nowhere")


class Validating:
    """An agent of somebody else that takes any size but 0, and remembers which ones it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, path, action, parameters, timeout) -> Said:
        if action == "validate-all":
            self.asked.append(parameters["size"])
        return Said(6, "size is 0") if parameters.get("size") == "0" else Said(0)


SIZES = {"vm1": {"size": "1"}, "vm2": {"size": "1"}, "vm3": {"size": "0"}, "vm4": {"size": "4"}}


def validated(agent: Validating) -> list[tuple[str, str]]:
    here = replace(world([], {}), ours=Nobody(), ask=agent)  # type: ignore[arg-type]
    cells = check(here, [Foreign("heartbeat:x", "ocf", Path("/ra/heartbeat/x"), SIZES)])
    return [(cell.state, cell.reason) for cell in cells if cell.column == "valid"]


def test_each_set_of_parameters_of_an_agent_of_others_is_validated_once():
    agent = Validating()
    wrong = "heartbeat:x validate-all ended with exit code 6: size is 0 (resource vm3)"
    assert validated(agent) == [(GOOD, ""), (BAD, wrong)]
    assert agent.asked == ["1", "0", "4"]


def test_how_many_sets_of_parameters_had_no_time_is_said(monkeypatch):
    monkeypatch.setattr("backstay.agents.check.VALIDATING", 0.0)
    said = "heartbeat:x: there was time to validate 1 of 3 different sets of parameters"
    assert validated(Validating()) == [(GOOD, ""), (UNKNOWN, said)]


@pytest.mark.parametrize(("code", "state"), [(0, GOOD), (3, UNKNOWN), (5, UNKNOWN), (6, BAD), (None, BAD)])
def test_an_agent_of_others_is_asked_whether_its_parameters_are_well_formed(code, state):
    other = Foreign("heartbeat:x", "ocf", Path("/ra/heartbeat/x"), {"r": {}})
    cells = check(world([], {"validate-all": Said(code, "why")}), [other])
    assert [cell.state for cell in cells if cell.agent == "heartbeat:x"] == [GOOD, state]


@pytest.mark.parametrize(
    ("standard", "kind", "scripts", "state", "verdict", "words"),
    [
        ("systemd", "x", (), "loaded", GOOD, ""),
        ("systemd", "x", ("x",), "not-found", UNKNOWN, "systemd has no x.service on this host"),
        ("systemd", "x.socket", (), "masked", BAD, "x.socket is masked"),
        ("systemd", "x@", (), "bad-setting", BAD, "systemd cannot load x@pacemaker.service (bad-setting)"),
        ("systemd", "x", (), CannotAsk("systemd is dead"), UNKNOWN, "systemd is dead"),
        ("service", "x", ("x",), CannotAsk("systemd is dead"), GOOD, ""),
        ("service", "x", (), "loaded", GOOD, ""),
        ("service", "x", (), "not-found", UNKNOWN, "there is neither a script /etc/init.d/x nor x.service"),
        ("lsb", "x", ("x",), "loaded", GOOD, ""),
        ("lsb", "x", (), "loaded", UNKNOWN, "there is no script /etc/init.d/x on this host"),
    ],
)
def test_what_needs_no_agent_is_looked_for(standard, kind, scripts, state, verdict, words):
    def unit(_name):
        if isinstance(state, CannotAsk):
            raise state
        return state

    here = replace(world([], {}), ours=Nobody(), unit=unit, script=scripts.__contains__)  # type: ignore[arg-type]
    (cell,) = check(here, [Foreign(f"{standard}:{kind}", standard, Path(kind), {})])
    assert (cell.column, cell.state, words in cell.reason) == ("load", verdict, True)


def test_an_agent_of_others_is_quoted_with_its_own_reason():
    said = Said(5, "ocf-exit-reason:no file\nocf-exit-reason:considered stopped\nlast line")
    other = Foreign("heartbeat:x", "ocf", Path("/ra/heartbeat/x"), {"r": {}})
    cells = check(replace(world([], {"validate-all": said}), ours=Nobody()), [other])  # type: ignore[arg-type]
    words = "finds something not installed on this host: no file; considered stopped (resource r)"
    assert cells[-1].reason == f"heartbeat:x {words}"


def test_secrets_that_pacemaker_keeps_are_given_to_agents_of_others():
    given = []

    class Fence:
        def run(self, agent, action, parameters, timeout):
            given.append((action, dict(parameters)))
            return Said(0)

    def secrets(resource, parameters):
        return {**parameters, "password": f"of {resource}"}

    other = Foreign("fence_x", "stonith", Path("/sbin/fence_x"), {"dev": {"password": "lrm://"}})
    check(replace(world([], {}), fence=Fence(), secrets=secrets, ours=Nobody()), [other])  # type: ignore[arg-type]
    assert given == [("metadata", {}), ("validate-all", {"password": "of dev"})]


def test_what_is_proven_is_not_asked_again():
    assert check(world(["broken"], {}), (), frozenset({"domain"})) == ()


class Nobody(Ours):
    """No agent of ours."""

    def __init__(self) -> None:
        super().__init__([])

    def programs(self):
        return ()
