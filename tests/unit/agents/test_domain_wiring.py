# SPDX-License-Identifier: GPL-2.0-or-later
"""What each action of a domain does besides its own deed: traps and limits after an arrival, networks before a move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backstay.agents import domain, domain_around, domain_birth, domain_migration, domain_snapshot
from backstay.agents.domain_parameters import DomainParameters
from backstay.host import libvirt_lxc, libvirt_resources
from backstay.host.libvirt_lxc import Gate
from backstay.host.proc import Process
from backstay.ocf import codes
from backstay.ocf.context import META, Call, Context
from backstay.ocf.log import Log
from backstay.ocf.outcome import Outcome, done
from tests.unit.agents.domain_host import UUID, Host, obedient
from tests.unit.agents.test_domain_around import Limits

CONTAINERS = "lxc:///system"
CARD = "<devices><interface type='network'><source network='lan'/></interface></devices>"
DEFINITION = f"<domain><name>web1</name><uuid>{UUID}</uuid>{CARD}</domain>".encode()


def call(host: Host, action: str, **given: Any) -> Context[DomainParameters]:
    environ = {
        "OCF_RESOURCE_INSTANCE": "web1",
        f"{META}migrate_target": "n3",
        f"{META}migrate_source": "n1",
    }
    parameters = DomainParameters(config="/srv/web1.xml", **given)
    return Context(Call("domain", action, environ), parameters, host.deadline(60), Log("domain"))


class Note:
    """In the place of what the short way of a monitor goes by."""

    def __init__(self, _environ: object) -> None:
        pass

    def take(self) -> None:
        pass

    def says_running(self, _name: str, _pid: int) -> bool:
        return False

    def answered(self) -> None:
        pass

    def keep(self, _name: str, _pid: int, _start: int) -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the actions find a fake host."""

    def found(host: Host) -> Host:
        world = host.world()
        monkeypatch.setattr(domain, "world_of", lambda _context: world)
        monkeypatch.setattr(domain_birth, "birth_of", lambda _context, _world: host.birth(world))
        monkeypatch.setattr(domain_around, "_limits_of", lambda _context: Limits())
        monkeypatch.setattr(domain, "Unchanged", Note)
        return host

    return found


def test_a_guest_that_has_arrived_has_its_traps_here_cleared(here: Any) -> None:
    host = here(Host(obedient()))
    host.known.persistent = host.known.autostart = True
    assert domain.migrate_from(call(host, "migrate_from")).code == codes.SUCCESS
    assert host.deeds == ["autostart off"]


def test_a_guest_that_has_arrived_gets_its_limits(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host, limits = here(Host(obedient())), Limits()
    monkeypatch.setattr(domain_around, "_limits_of", lambda _context: limits)
    given = call(host, "migrate_from", limit_disk="1MB/s")
    assert domain.migrate_from(given).code == codes.SUCCESS
    assert [step[:2] for step in limits.calls] == [("disk", "vda")]


def test_a_start_forgets_a_trouble_with_limits_that_are_not_wanted_any_more(here: Any) -> None:
    host = here(Host(obedient()))
    host.texts["domain-web1.limits"] = f"{host.now} the limit of disk vda: not supported"
    assert domain.start(call(host, "start")).code == codes.SUCCESS
    assert domain.checked(call(host, "monitor")).code == codes.SUCCESS


def test_a_start_that_failed_is_remembered_before_a_memory_is_saved(here: Any) -> None:
    host = here(Host())
    host.create_error = "no room"
    assert domain.start(call(host, "start", snapshot="/snap/web1")).code == codes.GENERIC
    assert "no room" in domain_snapshot.marked(host.world())


class BesideOneThatEnds(Host):
    """Where an emulator ends that shows no more whose it is."""

    def all(self, timeout: float = 5.0) -> tuple[Process, ...]:
        return (*super().all(timeout), Process(200, 2000, "D", ("kvm",)))


def test_a_stop_knows_its_emulator_from_one_that_ends_beside_it(here: Any) -> None:
    """A stop that failed for that would be a fencing."""
    host = here(BesideOneThatEnds(obedient()))
    assert domain.stop(call(host, "stop")).code == codes.SUCCESS
    assert host.now < 1010


def test_a_stop_saves_the_memory_where_the_admin_wants_that(
    here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = obedient()

    def save(_uuid: str, _where: str, _deadline: Any) -> bool:
        guest.end = 0.0
        return True

    monkeypatch.setattr(domain_birth, "save_of", lambda _context, _world: save)
    host = here(Host(guest))
    assert domain.stop(call(host, "stop", snapshot="/snap/web1")).code == codes.SUCCESS
    assert host.deeds == []


def test_after_a_reload_the_next_monitor_looks_for_itself(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host = here(Host(obedient()))
    taken: list[bool] = []
    monkeypatch.setattr(Note, "take", lambda _self: taken.append(True))
    assert domain.reload(call(host, "reload-agent")).code == codes.SUCCESS
    assert taken == [True]


def test_a_monitor_names_a_limit_that_was_never_understood(here: Any) -> None:
    """As in a guest that was taken over from another agent: no start and no reload has said so."""
    host = here(Host(obedient()))
    given = call(host, "monitor")
    given.parameters.wrong = {"limit_disk": "parameter limit_disk must be like 50MiB/s"}
    said = domain.checked(given)
    assert (said.code, "limit_disk must be like" in said.reason) == (codes.DEGRADED, True)


@pytest.mark.parametrize("action", ["stop", "start"])
def test_a_stop_and_a_start_that_failed_let_no_container_be_created_any_more(
    here: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, action: str
) -> None:
    gate = Gate("web1", str(tmp_path))
    monkeypatch.setattr(libvirt_lxc, "Gate", lambda _instance: gate)
    monkeypatch.setattr(domain, "pause", lambda _seconds: None)
    host = here(Host())
    host.create_error = "no such controller"
    gate.open("/usr/lib/libvirt/libvirt_lxc")
    getattr(domain, action)(call(host, action, hypervisor=CONTAINERS))
    assert not Path(gate.path).is_symlink()


@pytest.mark.parametrize(
    ("wanted", "asked"), [(True, [("qemu+tcp://n3/system", "network", "lan")]), (False, [])]
)
def test_before_a_guest_leaves_its_networks_are_started_where_it_goes(
    here: Any, monkeypatch: pytest.MonkeyPatch, wanted: bool, asked: list[tuple[str, str, str]]
) -> None:
    seen: list[tuple[str, str, str]] = []

    class Resources:
        def __init__(self, uri: str) -> None:
            self.uri = uri

        def start(self, kind: str, name: str, timeout: float) -> str:
            seen.append((self.uri, kind, name))
            return "it hangs"

    monkeypatch.setattr(libvirt_resources, "LibvirtResources", Resources)

    def migrate_to(*given: Any) -> Outcome:
        assert seen == []
        given[-1]()
        return done("it has left")

    monkeypatch.setattr(domain_migration, "migrate_to", migrate_to)
    host = here(Host(obedient(), xml=DEFINITION))
    given = call(host, "migrate_to", migration_transport="tcp", start_resources=wanted)
    assert domain.migrate_to(given).code == codes.SUCCESS
    assert seen == asked
    assert host.warnings == ["the network lan could not be started on n3: it hangs"] * len(asked)
