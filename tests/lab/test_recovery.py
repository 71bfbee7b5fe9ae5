# SPDX-License-Identifier: GPL-2.0-or-later
"""A manager's machines on real hosts: recovered after, and only after, their host is proven dead. The manager is the
stand-in for oned, whose machines are libvirt's domains and say to the witness where they run.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from dataclasses import dataclass

import pytest

from backstay.agents.recovery import record
from backstay.host.clock import Deadline, NotYet, pause, until
from backstay.lab import cluster, evidence, guest, witness
from backstay.lab.audit import LOST, RAN_TWICE, audit
from backstay.lab.faults import catalogue
from backstay.lab.stage import Stage
from tests.lab.test_templates import ADDRESS, HOSTS, by_cibadmin, where

HOME = "/srv/vm/one"
UNIT = f"""[Service]
ExecStart=/usr/bin/python3 -I -m backstay.lab.oned {HOME}/standin 2633 n1 n2 n3
"""
FENCING_TRIED = 40  # seconds in which the fencing is tried again and again


@dataclass(frozen=True)
class Domain:
    name: str
    uuid: str


DOMAINS = tuple(
    Domain(f"one-{number}", str(uuid.uuid5(uuid.NAMESPACE_DNS, f"one-{number}"))) for number in range(4)
)


@pytest.fixture
def manager(lab):
    """Three hosts with the manager's software and storage, fencing, libvirtd watched, the role up; machines on n2, n3."""
    layout = lab.layout
    guest.prepare(layout, DOMAINS)
    witness.start(layout, layout.names())
    home = layout.shared / "one"
    clear(lab, home)
    for part in (".one", "standin/vms"):
        (home / part).mkdir(parents=True, exist_ok=True)
    (home / ".one/one_auth").write_text("oneadmin:secret\n")
    (home / "standin/one_auth").write_text("oneadmin:secret\n")
    (home / "standin/interval").write_text("15")
    (home / "standin/libvirt").touch()
    (home / "one.db").write_bytes(b"SQLite format 3\0")
    for number, domain in enumerate(DOMAINS):
        text = (layout.shared / "domains" / f"{domain.name}.xml").read_text()
        (home / "standin/vms" / f"{number}.xml").write_text(text)
    (home / "standin/wishes").write_text("one-0 n2\none-1 n2\none-2 n3\none-3 n3\n")
    for node in lab.nodes:
        node.write("/etc/systemd/system/opennebula.service", UNIT)
        node.check(f"rm -rf /var/lib/one; ln -s {HOME} /var/lib/one; systemctl daemon-reload")
    yield Manager(lab, home)
    clear(lab, home)


def clear(lab, home):
    """No manager, no machine of it, nothing that it knew."""
    where(
        lab,
        "crm_resource --resource frontend --meta --set-parameter target-role --parameter-value Stopped;"
        " systemctl stop opennebula libvirtd.service; systemctl start libvirtd-tcp.socket libvirtd.socket;"
        " for one in $(virsh list --name | grep ^one-); do virsh destroy $one; done;"
        " rm -rf /var/lib/one /etc/systemd/system/opennebula.service; systemctl daemon-reload",
    )
    shutil.rmtree(home, ignore_errors=True)


class Manager:
    def __init__(self, lab, home):
        self.lab, self.home = lab, home
        self.stage = Stage(lab.layout, {domain.uuid: domain.name for domain in DOMAINS})

    def load(self):
        admin = self.lab.node("n1")
        for host in HOSTS:
            by_cibadmin(admin, "fencing", host=host, address=f"bmc-{host}", username="fencer",
                        password_file="/etc/backstay/bmc.password")  # fmt: skip
        by_cibadmin(admin, "properties")
        by_cibadmin(admin, "libvirtd")
        by_cibadmin(admin, "frontend-generic", profile="opennebula", lease=f"{HOME}/role.lease", address=ADDRESS,
                    prefix="24", prefers="n1")  # fmt: skip

    def role(self):
        """The host that has the role, once it has it."""
        return until(lambda: self._role(), Deadline(180), 0.5, "the role on one host")

    def _role(self):
        hosts = where(self.lab, "systemctl is-active opennebula")
        return hosts[0] if len(hosts) == 1 else None

    def state(self):
        path = self.home / "standin/state.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def starts(self):
        path = self.home / "standin/starts"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def speak(self, besides="", seconds=300):
        """Wait until every machine says that it runs, none of them on a host; where each is."""

        def look():
            places = self.stage.places()
            if len(places) == len(DOMAINS) and besides not in places.values():
                return places
            raise NotYet(f"{places}, {self.state().get('vms')}, {self.said()}")

        return until(look, Deadline(seconds), 0.5, "every machine to speak")

    def recorded(self, host):
        node = self.lab.node(next(name for name in HOSTS if name in where(self.lab, "true") and name != host))
        done = node.run(f"crm_attribute --type nodes --node {host} --name backstay-recovery --query --quiet")
        return record(done.stdout.strip()) if done.ok else None

    def until_recorded(self, host, state, seconds=240):
        def look():
            known = self.recorded(host)
            if known is not None and known.state == state:
                return known
            raise NotYet(f"{known}, {self.said()}")

        return until(look, Deadline(seconds), 1.0, f"the record of {host} to be {state}")

    def said(self):
        for name in where(self.lab, "true"):
            text = self.lab.node(name).run("attrd_updater --name backstay-recovering --query --all").stdout
            if text:
                return " ".join(text.split())
        return ""

    def judge(self, calm):
        found = evidence.collect(self.lab.layout, self.stage.guests, calm[0], time.monotonic())
        return [each.text for each in audit(found, (), calm).findings if each.kind in (RAN_TWICE, LOST)]


def cut_off(lab, manager, alive):
    """A host that nobody reaches and whose BMC only says yes runs its machines; then its power really goes."""
    there = [name for name, host in manager.stage.places().items() if host == alive]
    assert there
    told = len(manager.starts())
    catalogue.inject(lab.layout, "ignore-power-off", alive)
    catalogue.inject(lab.layout, "cut-network", alive)
    until(
        lambda: f"{alive} is not proven to be dead" in manager.said() or None,
        Deadline(120),
        1.0,
        "the reason",
    )
    pause(FENCING_TRIED)
    assert len(manager.starts()) == told
    assert "is not proven to be dead" in manager.said()
    assert {manager.stage.places()[name] for name in there} == {alive}
    catalogue.heal(lab.layout, "ignore-power-off", alive)
    manager.until_recorded(alive, "done")
    catalogue.heal(lab.layout, "cut-network", alive)
    manager.speak(besides=alive)
    assert len(manager.starts()) - told == len(there)
    lab.wait_for(cluster.all_online(HOSTS), 200, f"{alive} to come back")
    manager.until_recorded(alive, "back")


@pytest.mark.long
def test_machines_of_a_dead_host_come_back_after_its_fencing_and_not_before(lab, manager):
    manager.load()
    here = manager.role()
    manager.speak()
    begin = time.monotonic()
    pause(12)
    calm = (begin, time.monotonic())
    for host in HOSTS:
        manager.until_recorded(host, "seen")

    told = len(manager.starts())
    dead = next(host for host in ("n3", "n2") if host != here)
    began = time.time()
    lab.cut(dead)
    manager.speak(besides=dead)
    known = manager.until_recorded(dead, "done")
    started = manager.starts()[told:]
    assert {each["vm"] for each in started} == ({2, 3} if dead == "n3" else {0, 1})
    assert all(began < known.fencing.when <= each["at"] + 1 for each in started), (known, started)
    assert not known.fencing.human
    print("from the power cut to the fencing", known.fencing.when - began, "s, to the starts",
          [each["at"] - began for each in started])  # fmt: skip

    # one that is cut off with a BMC that only says yes is not proven dead, until its power really goes
    lab.wait_for(cluster.all_online(HOSTS), 200, f"{dead} to come back")
    manager.until_recorded(dead, "back")
    cut_off(lab, manager, next(host for host in HOSTS if host not in (manager.role(), dead)))

    # the host of the role dies, with machines on it or not: the next one goes on
    told = len(manager.starts())
    first = manager.role()
    there = [name for name, host in manager.stage.places().items() if host == first]
    lab.cut(first)
    moved = until(
        lambda: manager._role() if manager._role() != first else None, Deadline(180), 1.0, "the role"
    )
    manager.until_recorded(first, "done")
    manager.speak(besides=first)
    assert moved != first
    assert len(manager.starts()) - told == len(there)
    lab.wait_for(cluster.all_online(HOSTS), 200, f"{first} to come back")
    manager.until_recorded(first, "back")
    assert manager.judge(calm) == []


@pytest.mark.long
def test_a_clean_exit_is_no_death_and_a_humans_word_is_asked_for(lab, manager):
    manager.load()
    here = manager.role()
    places = manager.speak()
    begin = time.monotonic()
    pause(12)
    calm = (begin, time.monotonic())
    left = next(host for host in ("n3", "n2") if host != here)
    manager.until_recorded(left, "seen")
    told = len(manager.starts())
    lab.node(left).check("systemctl stop pacemaker corosync", timeout=120)
    until(
        lambda: "left the cluster in order" in manager.said() or None,
        Deadline(90),
        1.0,
        "the reason to be said",
    )
    pause(30)
    assert len(manager.starts()) == told
    assert manager.stage.places() == places
    node = lab.node(here)
    shown = node.run("backstay recover")
    assert (shown.returncode, f"{left} left the cluster in order" in shown.stdout) == (1, True), shown
    refused = node.run(f"backstay recover {left} --confirm-dead --proof 'I think so'")
    assert refused.returncode == 4
    refused = node.run(f"backstay recover {here} --confirm-dead --proof '{here} is off'")
    assert (refused.returncode, "is on line" in refused.stderr) == (4, True)
    plan = node.run(f"backstay recover {left} --confirm-dead --plan")
    assert (plan.returncode, "one-" in plan.stdout, "Nothing was changed" in plan.stdout) == (
        0,
        True,
        True,
    ), plan

    # the human goes and sees: its power is cut by hand
    lab.cut(left)
    done = node.run(f"backstay recover {left} --confirm-dead --proof '{left} is off' --wait 200", timeout=240)
    assert done.returncode == 0, done
    assert "confirmed to be off by a human" in done.stdout
    manager.speak(besides=left)
    assert manager.recorded(left).fencing.human
    assert manager.judge(calm) == []


def hasty(manager):
    """The manager of before, as it was used: what it does not see any more it starts elsewhere."""
    for word in ("hasty", "restarts"):
        (manager.home / "standin" / word).touch()
    (manager.home / "standin/interval").write_text("5")


@pytest.mark.long
@pytest.mark.parametrize("with_backstay", [False, True])
def test_the_first_story(lab, manager, with_backstay):
    """libvirtd hangs on one host. The manager sees no machines there, and starts them again beside themselves."""
    hasty(manager)
    if with_backstay:
        manager.load()
        manager.role()
    else:
        lab.node("n1").check("systemctl start opennebula")
    places = manager.speak()
    begin = time.monotonic()
    pause(12)
    calm = (begin, time.monotonic())
    told = len(manager.starts())
    catalogue.inject(lab.layout, "hang-libvirtd", "n3")
    if with_backstay:
        pause(60)
        catalogue.heal(lab.layout, "hang-libvirtd", "n3")
        assert manager.stage.places() == places
        assert len(manager.starts()) == told
        assert manager.judge(calm) == []
    else:
        until(
            lambda: len(manager.starts()) - told >= 2 or None,
            Deadline(120),
            1.0,
            "the manager to start them again",
        )
        until(lambda: manager.judge(calm) or None, Deadline(60), 2.0, "them to run twice")
        catalogue.heal(lab.layout, "hang-libvirtd", "n3")
