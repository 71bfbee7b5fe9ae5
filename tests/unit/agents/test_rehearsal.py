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
    assert [each.path for each in found] == [Path("/ra/heartbeat/Filesystem"), Path("/sbin/fence_virsh")]
    assert found[0].parameters == {"device": "/dev/sda"}


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

    return World(Ours(troubles), ask, None, nowhere, nowhere, None, None)  # type: ignore[arg-type]


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


@pytest.mark.parametrize(("code", "state"), [(0, GOOD), (3, UNKNOWN), (5, UNKNOWN), (6, BAD), (None, BAD)])
def test_an_agent_of_others_is_asked_whether_its_parameters_are_well_formed(code, state):
    other = Foreign("heartbeat:x", "ocf", Path("/ra/heartbeat/x"), {})
    cells = check(world([], {"validate-all": Said(code, "why")}), [other])
    assert [cell.state for cell in cells if cell.agent == "heartbeat:x"] == [GOOD, state]


def test_secrets_that_pacemaker_keeps_are_given_to_agents_of_others():
    given = []

    class Fence:
        def run(self, agent, action, parameters, timeout):
            given.append((action, dict(parameters)))
            return Said(0)

    def secrets(resource, parameters):
        return {**parameters, "password": f"of {resource}"}

    other = Foreign("fence_x", "stonith", Path("/sbin/fence_x"), {"password": "lrm://"}, "dev")
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
