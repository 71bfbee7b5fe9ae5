# SPDX-License-Identifier: GPL-2.0-or-later
"""What the stand-in for oned says, as its published schemas (share/doc/xsd of OpenNebula 7) have it.

A pool of machines is told in short, as oned does it (VirtualMachine::to_xml_short): the last place of each, and of what
its user noted only a few words. Who wants all of it asks for the extended one.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from backstay.lab.oned_model import Host, Model, Place, Vm

SHARE = (
    "MEM_USAGE",
    "CPU_USAGE",
    "TOTAL_MEM",
    "TOTAL_CPU",
    "MAX_MEM",
    "MAX_CPU",
    "RUNNING_VMS",
    "VMS_THREAD",
)
NOTED = (
    "LABELS",
    "ERROR",
    "SCHED_MESSAGE",
    "SCHED_RANK",
    "SCHED_REQUIREMENTS",
)  # what a pool tells of a user's notes
RIGHTS = [f"{who}_{what}" for who in ("OWNER", "GROUP", "OTHER") for what in "UMA"]


def user() -> str:
    """The user that asks."""
    top = ET.Element("USER")
    _add(top, [("ID", 0), ("GID", 0)])
    _add(ET.SubElement(top, "GROUPS"), [("ID", 0)])
    _add(top, [("GNAME", "oneadmin"), ("NAME", "oneadmin"), ("PASSWORD", ""), ("AUTH_DRIVER", "core")])
    _add(top, [("ENABLED", 1)])
    for part in (
        "TEMPLATE",
        "DATASTORE_QUOTA",
        "NETWORK_QUOTA",
        "VM_QUOTA",
        "IMAGE_QUOTA",
        "DEFAULT_USER_QUOTAS",
    ):
        ET.SubElement(top, part)
    return _text(top)


def hooks(commands: Iterable[str]) -> str:
    """The hooks for hosts in error, by their commands."""
    top = ET.Element("HOOK_POOL")
    for number, command in enumerate(commands):
        hook = ET.SubElement(top, "HOOK")
        _add(hook, [("ID", number), ("NAME", f"hook{number}"), ("TYPE", "state")])
        template = ET.SubElement(hook, "TEMPLATE")
        _add(template, [("COMMAND", command), ("RESOURCE", "HOST"), ("STATE", "ERROR")])
    return _text(top)


def host(model: Model, one: Host) -> str:
    """A host."""
    return _text(_host(model, one))


def hosts(model: Model) -> str:
    """All hosts."""
    top = ET.Element("HOST_POOL")
    top.extend([_host(model, one) for one in model.hosts])
    return _text(top)


def vm(model: Model, one: Vm) -> str:
    """A machine with its history."""
    return _text(_vm(model, one))


def vms(model: Model, state: int) -> str:
    """The machines in a state, in short; -1 for all that are not done."""
    top = ET.Element("VM_POOL")
    top.extend([_short(model, one) for one in model.vms if state in (-1, one.state)])
    return _text(top)


def vms_extended(model: Model, state: int) -> str:
    """The same with all that is known of each."""
    top = ET.Element("VM_POOL")
    top.extend([_vm(model, one) for one in model.vms if state in (-1, one.state)])
    return _text(top)


def _host(model: Model, one: Host) -> ET.Element:
    top = ET.Element("HOST")
    _add(top, [("ID", one.number), ("NAME", one.name), ("STATE", one.state), ("PREV_STATE", one.state)])
    _add(top, [("IM_MAD", "kvm"), ("VM_MAD", "kvm"), ("CLUSTER_ID", 0), ("CLUSTER", "default")])
    share = ET.SubElement(top, "HOST_SHARE")
    _add(share, [(name, 0) for name in SHARE])
    disks = ("DISK_USAGE", "FREE_DISK", "MAX_DISK", "USED_DISK")
    _add(ET.SubElement(share, "DATASTORES"), [(name, 0) for name in disks])
    ET.SubElement(share, "PCI_DEVICES")
    ET.SubElement(share, "NUMA_NODES")
    _add(ET.SubElement(top, "VMS"), [("ID", each.number) for each in model.on(one.number)])
    ET.SubElement(top, "TEMPLATE")
    ET.SubElement(top, "MONITORING")
    return top


def _vm(model: Model, one: Vm) -> ET.Element:
    top = ET.Element("VM")
    _add(top, [("ID", one.number), ("UID", 0), ("GID", 0), ("UNAME", "oneadmin"), ("GNAME", "oneadmin")])
    _add(top, [("NAME", one.name)])
    _add(ET.SubElement(top, "PERMISSIONS"), [(right, 0) for right in RIGHTS])
    _add(top, [("LAST_POLL", 0), ("STATE", one.state), ("LCM_STATE", one.lcm)])
    _add(top, [("PREV_STATE", one.state), ("PREV_LCM_STATE", one.lcm), ("RESCHED", one.resched)])
    _add(top, [("STIME", one.places[0].since if one.places else 0), ("ETIME", 0)])
    _add(top, [("DEPLOY_ID", f"one-{one.number}")])
    ET.SubElement(top, "MONITORING")
    ET.SubElement(top, "SCHED_ACTIONS")
    template = ET.SubElement(top, "TEMPLATE")
    _add(template, [("AUTOMATIC_REQUIREMENTS", ""), ("CPU", 1), ("MEMORY", 64), ("TM_MAD_SYSTEM", "shared")])
    _add(template, [("VMID", one.number)])
    _add(ET.SubElement(top, "USER_TEMPLATE"), one.user.items())
    history = ET.SubElement(top, "HISTORY_RECORDS")
    history.extend([_place(model, one, number, place) for number, place in enumerate(one.places)])
    backups = ET.SubElement(top, "BACKUPS")
    ET.SubElement(backups, "BACKUP_CONFIG")
    ET.SubElement(backups, "BACKUP_IDS")
    return top


def _short(model: Model, one: Vm) -> ET.Element:
    top = ET.Element("VM")
    _add(top, [("ID", one.number), ("UID", 0), ("GID", 0), ("UNAME", "oneadmin"), ("GNAME", "oneadmin")])
    _add(top, [("NAME", one.name), ("LAST_POLL", 0), ("STATE", one.state), ("LCM_STATE", one.lcm)])
    _add(top, [("RESCHED", one.resched), ("STIME", one.places[0].since if one.places else 0), ("ETIME", 0)])
    _add(top, [("DEPLOY_ID", f"one-{one.number}")])
    _add(ET.SubElement(top, "TEMPLATE"), [("CPU", 1), ("MEMORY", 64)])
    ET.SubElement(top, "MONITORING")
    noted = [(name, value) for name, value in one.user.items() if name in NOTED]
    _add(ET.SubElement(top, "USER_TEMPLATE"), noted)
    history = ET.SubElement(top, "HISTORY_RECORDS")
    for number, place in list(enumerate(one.places))[-1:]:
        last = ET.SubElement(history, "HISTORY")
        _add(last, [("OID", one.number), ("SEQ", number), ("HOSTNAME", model.hosts[place.host].name)])
        _add(
            last, [("HID", place.host), ("CID", 0), ("DS_ID", 0), ("VM_MAD", "kvm"), ("TM_MAD", place.driver)]
        )
        _add(last, [("ACTION", place.action)])
    return top


def _place(model: Model, one: Vm, number: int, place: Place) -> ET.Element:
    top = ET.Element("HISTORY")
    _add(top, [("OID", one.number), ("SEQ", number), ("HOSTNAME", model.hosts[place.host].name)])
    _add(top, [("HID", place.host), ("CID", 0), ("STIME", place.since), ("ETIME", 0), ("VM_MAD", "kvm")])
    _add(top, [("TM_MAD", place.driver), ("DS_ID", 0), ("PLAN_ID", -1), ("ACTION_ID", -1), ("PSTIME", 0)])
    _add(top, [("PETIME", 0), ("RSTIME", place.since), ("RETIME", 0), ("ESTIME", 0), ("EETIME", 0)])
    _add(top, [("ACTION", place.action), ("UID", 0), ("GID", 0), ("REQUEST_ID", "0")])
    return top


def _made(name: str, value: object) -> ET.Element:
    made = ET.Element(name)
    made.text = str(value)
    return made


def _add(top: ET.Element, pairs: Iterable[tuple[str, object]]) -> None:
    top.extend([_made(name, value) for name, value in pairs])


def _text(top: ET.Element) -> str:
    return ET.tostring(top, encoding="unicode")
