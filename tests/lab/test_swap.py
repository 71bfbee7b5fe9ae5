# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that runs under ocf:heartbeat:VirtualDomain becomes ocf:backstay:domain, and does not notice."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.lab import cluster
from backstay.lab.stage import all_well, wait
from tests.lab.cloud import tell

GUESTS = ("web1", "db1")
PATIENCE = 60.0
LAST = {
    "autoset_utilization_cpu": "false",
    "autoset_utilization_hv_memory": "false",
    "autoset_utilization_host_memory": "false",
    "migration_downtime": "500",
    "migration_speed": "100",
    "save_config_on_stop": "false",
    "shutdown_mode": "acpi",
    "snapshot": "",
}
"""What such a resource may have besides, all of it left in place."""


def primitive(cloud, guest):
    """The resource as the CIB has it."""
    return etree.fromstring(cloud.on_any(f"cibadmin --query --xpath '//primitive[@id=\"{guest}\"]'").encode())


def as_virtual_domain(ours):
    """The same resource under VirtualDomain, which knows no uuid, with parameters that a long-lived one has."""
    theirs = etree.fromstring(etree.tostring(ours))
    theirs.set("provider", "heartbeat")
    theirs.set("type", "VirtualDomain")
    attributes = theirs.find("instance_attributes")
    for pair in attributes.findall("nvpair[@name='uuid']"):
        attributes.remove(pair)
    for name, value in LAST.items():
        place = f"{theirs.get('id')}-last-{name}"
        etree.SubElement(attributes, "nvpair", id=place, name=name, value=value)
    return theirs


def swap(cloud, guests, change, refresh=True):
    """What an admin does: maintenance mode, change, refresh of these resources, leave; returns when it has settled."""
    cloud.on_any("crm_attribute --name maintenance-mode --update true")
    cloud.rest()
    for guest in guests:
        change(guest)
    for guest in guests if refresh else ():
        cloud.on_any(f"crm_resource --refresh --resource={guest}")
    cloud.rest()
    cloud.on_any("crm_attribute --name maintenance-mode --delete")
    cloud.rest()
    assert wait(cloud.stage, all_well, PATIENCE, "the cloud to be well with the other agent", tell) == ""


def adopt(cloud, guest):
    """What docs/how-to-replace-virtualdomain.md says for one guest."""
    place = cloud.stage.places()[guest]
    uuid = cloud.node(place).check(f"virsh domuuid {guest}").strip()
    ours = f'<primitive id="{guest}" class="ocf" provider="backstay" type="domain"/>'
    cloud.on_any(f"cibadmin --modify --xml-text '{ours}'")
    cloud.on_any(f"crm_resource --resource={guest} --set-parameter=uuid --parameter-value={uuid}")
    cloud.on_any(f"crm_resource --resource={guest} --validate")


def uuids(cloud):
    """The parameter uuid of each of the guests."""
    pairs = {
        guest: primitive(cloud, guest).find("instance_attributes/nvpair[@name='uuid']") for guest in GUESTS
    }
    return {guest: None if pair is None else pair.get("value") for guest, pair in pairs.items()}


def agents(cloud):
    """The agent of each of the guests."""
    return {r.name: r.agent for r in cluster.ask(cloud.lab.layout).resources if r.name in GUESTS}


def emulators(cloud):
    """Where each guest's emulator is, and its pid there."""
    return {
        guest: (host, cloud.node(host).check(f"cat /run/libvirt/qemu/{guest}.pid").strip())
        for guest, host in cloud.stage.places().items()
    }


@pytest.fixture
def legacy(cloud):
    """The guests as resources of VirtualDomain; afterwards they are what they were."""
    before = {guest: primitive(cloud, guest) for guest in GUESTS}

    def put(wanted):
        def change(guest):
            text = etree.tostring(wanted(before[guest]), encoding="unicode")
            host = cluster.ask(cloud.lab.layout).seen_from
            cloud.node(host).check("cibadmin --replace --xml-pipe", stdin=text)

        return change

    swap(cloud, GUESTS, put(as_virtual_domain))
    yield cloud
    swap(cloud, GUESTS, put(lambda ours: ours))


@pytest.mark.long
def test_a_running_virtual_domain_is_taken_over_and_does_not_notice(legacy):
    assert set(agents(legacy).values()) == {"ocf:heartbeat:VirtualDomain"}
    assert set(uuids(legacy).values()) == {None}
    before = emulators(legacy)
    with legacy.watched() as told:
        swap(legacy, GUESTS, lambda guest: adopt(legacy, guest))
    (judged,) = told
    assert set(agents(legacy).values()) == {"ocf:backstay:domain"}
    known = {guest: uuid for uuid, guest in legacy.stage.guests.items()}
    assert uuids(legacy) == {guest: known[guest] for guest in GUESTS}
    assert judged.findings == []
    assert judged.deeds == []
    assert judged.silences == ()
    assert set(judged.boots.values()) == {1}
    assert emulators(legacy) == before
