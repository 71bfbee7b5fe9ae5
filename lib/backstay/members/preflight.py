# SPDX-License-Identifier: GPL-2.0-or-later
"""What speaks against a machine as a new host, each with what to do about it: a table over what was seen.

Decides what is an error (it would not work, or hurt) and what only has to be known. Asks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from backstay.cib import corosync_text
from backstay.cloud.model import Cloud, Host
from backstay.host.far import CERTIFICATES, NAMES, PATHS, SECRETS, Machine
from backstay.members import credentials
from backstay.members.candidate import ERROR, NOTE, Candidate, Finding, Rule, untouched

OFFSET = 1.0  # seconds; logs of two hosts that are further apart cannot be read together, and tickets expire
_NUMBERS = re.compile(r"\d+")


def findings(new: Candidate) -> tuple[Finding, ...]:
    """Everything that there is to say, errors first."""
    found = [finding for rule in RULES for finding in rule(new)]
    return tuple(sorted(found, key=lambda each: each.severity != ERROR))


def questions(host: Host, cloud: Cloud) -> tuple[str, ...]:
    """What the new host is asked besides (far.look): its names, the files that its domains and devices need."""
    places = [domain.config for domain in cloud.domains]
    places += [disk.parent for domain in cloud.domains for disk in domain.disks]
    mounted = [path for path in places if not any(storage.holds(path) for storage in cloud.storage)]
    secrets = [] if host.remote else [*credentials.secrets(cloud), *credentials.scripts(cloud)]
    return (
        *(f"{NAMES}:{each.name}" for each in cloud.hosts),
        *dict.fromkeys(f"{PATHS}:{path}" for path in mounted),
        *dict.fromkeys(f"{SECRETS}:{path}" for path in secrets),
        *(f"{CERTIFICATES}:{path}" for path in credentials.all_signers(host, cloud)),
    )


def questions_to_members(host: Host) -> tuple[str, ...]:
    """What each member is asked because of the new host: its name, and what its fence device needs there."""
    return (f"{NAMES}:{host.name}", *(f"{CERTIFICATES}:{path}" for path in credentials.signers(host)))


def _name(new: Candidate) -> Iterator[Finding]:
    if new.machine.uname != new.host.name:
        text = f"{new.host.address} calls itself {new.machine.uname}, not {new.host.name}"
        yield Finding(ERROR, text, f"hostnamectl set-hostname {new.host.name} there, or correct the address")


def _programs(new: Candidate) -> Iterator[Finding]:
    wanted = ("pacemaker-remote", "libvirt") if new.host.remote else ("pacemaker", "corosync", "libvirt")
    for name in (*wanted, "backstay"):
        has, ours = new.machine.programs.get(name, ""), new.ours.programs.get(name, "")
        if not has:
            yield Finding(ERROR, f"{name} is not installed", f"install {name} there")
        elif name == "backstay" and has != ours:
            text = f"it has Backstay {has}, {new.here} has {ours}"
            yield Finding(ERROR, text, "install the same version on both")
        elif ours and has != ours:
            older = _order(has) < _order(ours)
            yield Finding(
                ERROR if older else NOTE,
                f"it has {name} {has}, {new.here} has {ours}",
                "upgrade it: an older one cannot read what newer ones write"
                if older
                else "upgrade the others soon: guests cannot move back to an older one",
            )


def _order(version: str) -> list[int]:
    return [int(number) for number in _NUMBERS.findall(version)]


def _clock(new: Candidate) -> Iterator[Finding]:
    if abs(new.machine.offset) - new.machine.doubt > OFFSET:
        which = "ahead of" if new.machine.offset > 0 else "behind"
        text = f"its clock is {abs(new.machine.offset):.0f} s {which} that of {new.here}"
        yield Finding(ERROR, text, "let chrony or systemd-timesyncd run on both")


def _names(new: Candidate) -> Iterator[Finding]:
    for each in new.cloud.hosts:
        known = new.machine.addresses.get(each.name, ())
        if each.name != new.host.name and not known:
            yield Finding(
                ERROR, f"it does not know the name {each.name}", f"{each.address} in its /etc/hosts"
            )
    for name, machine in new.members.items():
        if not machine.addresses.get(new.host.name):
            text = f"{name} does not know the name {new.host.name}"
            yield Finding(ERROR, text, f"{new.host.address} in /etc/hosts of {name}")


def _storage(new: Candidate) -> Iterator[Finding]:
    for path in new.machine.missing:
        yield Finding(ERROR, f"{path} is not there", "mount what the other hosts have mounted (/etc/fstab)")


def _libvirt(new: Candidate) -> Iterator[Finding]:
    if not new.machine.libvirt:
        yield Finding(ERROR, "its libvirtd does not answer", "virsh -c qemu:///system version says why")
    mine, other = emulator(new.ours), emulator(new.machine)
    if mine and other and mine != other:
        text = f"its emulator is {other}, that of {new.here} is {mine}"
        yield Finding(NOTE, text, "a guest does not move from a newer one to an older one")


def emulator(machine: Machine) -> str:
    """The emulator's version as libvirt tells it, such as `QEMU 7.2.0`."""
    found = re.search(r"hypervisor: (.+)", machine.virsh)
    return found[1].strip() if found else ""


def _cpu(new: Candidate) -> Iterator[Finding]:
    for name, word in new.cpus.items():
        if word == "incompatible":
            yield Finding(
                NOTE,
                f"its processor lacks something that the one of {name} has",
                "guests with the processor of their host cannot move there alive; give them a common `<cpu>` model",
            )


def _guests(new: Candidate) -> Iterator[Finding]:
    described = {domain.name for domain in new.cloud.domains}
    for name in new.machine.autostart:
        yield Finding(
            ERROR,
            f"libvirt starts the guest {name} by itself there",
            f"virsh autostart --disable {name}: two copies of a guest write to one disk",
        )
    for name in new.machine.running:
        if name in described:
            yield Finding(ERROR, f"the guest {name} runs there already", "move it away or stop it first")
        else:
            yield Finding(NOTE, f"the guest {name} runs there, and the cluster does not know it")


def _cluster(new: Candidate) -> Iterator[Finding]:
    machine, name = new.machine, new.host.name
    conf = "" if machine.conf is None or untouched(machine.conf) else machine.conf
    there = corosync_text.cluster_name(conf)
    if conf and there != new.cluster:
        text = f"it has the corosync.conf of the cluster {there or '(without a name)'}"
        yield Finding(ERROR, text, "take it out of that cluster, and remove the file")
    if machine.runs("corosync") and not untouched(machine.conf or ""):
        others = set(corosync_text.members(conf)) - {name} - set(new.members)
        if others:
            text = f"Corosync runs there with {', '.join(sorted(others))}"
            yield Finding(ERROR, text, "take it out of that cluster first")
    if machine.cib and machine.cib[1] and machine.cib[0] not in ("", new.cluster):
        text = f"it has the configuration of the cluster {machine.cib[0]}"
        yield Finding(ERROR, text, "move /var/lib/pacemaker/cib away there")
    wrong = ("corosync", "pacemaker") if new.host.remote else ("pacemaker_remote",)
    for unit in wrong:
        if machine.runs(unit):
            kind = "a remote host" if new.host.remote else "a full member"
            yield Finding(ERROR, f"{unit} runs there, and {kind} has none", f"systemctl disable --now {unit}")


def _quorum(new: Candidate) -> Iterator[Finding]:
    if new.cloud.quorum.device and not new.host.remote:
        text = "a quorum device needs its certificates and corosync-qdevice there"
        yield Finding(NOTE, text, "corosync-qdevice-net-certutil on a member makes and copies them")


RULES: tuple[Rule, ...] = (
    _name,
    _programs,
    _clock,
    _names,
    _storage,
    credentials.secrets_there,
    credentials.certificates,
    _libvirt,
    _cpu,
    _guests,
    _cluster,
    _quorum,
)
