# SPDX-License-Identifier: GPL-2.0-or-later
"""Spellings of a libvirt of this host, and what is said of a domain whose libvirt is refused."""

from __future__ import annotations

from typing import Any

import pytest

from backstay.agents import domain, domain_stop
from backstay.agents.domain_hypervisor import SIGNS, XEN, hidden, meaning
from backstay.agents.domain_parameters import DomainParameters
from backstay.ocf import codes
from backstay.ocf.parameters import PREFIX, BadParameter
from tests.unit.agents.domain_host import UUID, Guest, Host, obedient

SEEN = "the parameter hypervisor is 'xen:///system', and ..."


def read(hypervisor: str, lenient: bool = False) -> DomainParameters:
    return DomainParameters.read(
        {f"{PREFIX}config": "/srv/web1.xml", f"{PREFIX}hypervisor": hypervisor}, lenient
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("qemu:///system", "qemu:///system"),
        ("qemu+unix:///system", "qemu:///system"),
        ("qemu+unix:///system?socket=/var/run/libvirt/libvirt-sock", "qemu:///system"),
        ("qemu+unix:///system?socket=/run/libvirt/virtqemud-sock", "qemu:///system"),
        ("qemu:///system?socket=/run/libvirt/libvirt-sock", "qemu:///system"),
        ("qemu:///system?socket=/srv/other", "qemu:///system?socket=/srv/other"),
        ("qemu+unix:///session", "qemu:///session"),
        ("lxc:///", "lxc:///system"),
        ("lxc+unix:///system", "lxc:///system"),
    ],
)
def test_a_spelling_of_a_libvirt_of_this_host_is_that_libvirt(given: str, meant: str) -> None:
    assert read(given).hypervisor == meant


@pytest.mark.parametrize(
    "given",
    [
        "qemu+unix:///system?socket=/srv/other", "qemu+ssh://n2/system", "qemu+unix:///", "qemu://n2/system", "lxc",
        "qemu+unix+unix:///system", "xen:///system",
    ],
)  # fmt: skip
def test_any_other_is_refused(given: str) -> None:
    assert not meaning(given)
    with pytest.raises(BadParameter, match="hypervisor must be one of"):
        read(given)


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("lxc:///sytem", "lxc:///system"), ("xen:///system", "qemu:///system"), ("?", "qemu:///system")],
)
def test_in_the_place_of_a_refused_one_the_nearest_is_asked(given: str, nearest: str) -> None:
    parameters = read(given, lenient=True)
    assert (parameters.hypervisor, parameters.rejected["hypervisor"]) == (nearest, given)


@pytest.mark.parametrize("scheme", SIGNS)
@pytest.mark.parametrize("rest", [":///system", "+ssh://n2/"])
def test_where_a_hypervisor_is_at_work_its_guests_may_be_hidden(scheme: str, rest: str) -> None:
    for sign in SIGNS[scheme]:
        assert sign in hidden(scheme + rest, lambda path, sign=sign: path == sign)
    assert not hidden(scheme + rest, lambda path: path not in SIGNS[scheme])


@pytest.mark.parametrize("sign", [sign for signs in SIGNS.values() for sign in signs])
def test_an_alias_may_mean_any_of_them(sign: str) -> None:
    assert sign in hidden("hail", lambda path: path == sign)


@pytest.mark.parametrize("given", ["xen", "xen:/", "xen:///", "xen+tls://n2/"])
def test_xen_is_meant_in_each_of_its_spellings(given: str) -> None:
    assert hidden(given, lambda path: path == XEN[0])


@pytest.mark.parametrize(
    "given",
    [
        "qemy:///system",
        "qemu+ssh://n2/system",
        "esx://far/",
        "lxc:///sytem",
        "qemu:/system",
        "qemu:system",
        "lxc:",
    ],
)
def test_a_typing_error_hides_nothing_whatever_is_at_work(given: str) -> None:
    assert not hidden(given, lambda _path: True)


def world_of(host: Host) -> Any:
    world = host.world()
    world.unseen = SEEN
    return world


def test_a_probe_of_what_cannot_be_seen_gives_2_at_once_so_that_nothing_happens() -> None:
    host = Host()
    outcome = domain.look(world_of(host), host.deadline(20))
    assert (outcome.code, SEEN in outcome.reason) == (codes.ARGUMENTS, True)
    assert host.now < 1001


def test_a_monitor_of_what_cannot_be_seen_never_becomes_a_failure() -> None:
    host = Host()
    for _ in range(3):
        assert domain.watched(world_of(host), host.deadline(20))[2].code == codes.DEGRADED
        host.now += 10_000


def test_a_stop_of_what_cannot_be_seen_is_no_success() -> None:
    host = Host()
    outcome = domain_stop.stop(world_of(host), host.deadline(60), False)
    assert (outcome.code, SEEN in outcome.reason) == (codes.GENERIC, True)


def test_what_is_seen_runs_whatever_the_parameter_says() -> None:
    host = Host(Guest())
    assert domain.look(world_of(host), host.deadline(20)).code == codes.SUCCESS
    assert domain.watched(world_of(host), host.deadline(20))[2].code == codes.SUCCESS


def test_a_guest_that_was_seen_and_ended_is_gone_whatever_else_is_hidden() -> None:
    """A monitor that never says so would leave it dead for ever."""
    host = Host(Guest())
    assert domain.watched(world_of(host), host.deadline(20))[2].code == codes.SUCCESS
    host.guests.clear()
    assert domain.watched(world_of(host), host.deadline(20))[2].code == codes.NOT_RUNNING
    for _ in ("after its end", "after the start that is refused"):
        assert domain_stop.stop(world_of(host), host.deadline(60), False).code == codes.SUCCESS


@pytest.mark.parametrize("unseen", [hidden("qemy:///system"), SEEN])
def test_after_a_typing_error_a_guest_that_runs_is_stopped(unseen: str) -> None:
    host = Host(obedient())
    world = host.world()
    world.unseen = unseen
    assert domain_stop.stop(world, host.deadline(60), False).code == codes.SUCCESS
    assert host.guests[0].uuid == UUID
    assert not host.living()
