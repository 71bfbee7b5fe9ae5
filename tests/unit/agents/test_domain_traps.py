# SPDX-License-Identifier: GPL-2.0-or-later
"""What starts a domain behind the cluster's back, and what a start does about it."""

from __future__ import annotations

import pytest

from backstay.agents import domain_features, domain_start
from backstay.agents.domain_birth import MARK
from backstay.agents.domain_features import Features, marked
from backstay.agents.domain_traps import HAND, LATER, MODES, NOW, OVERRIDE, REFUSE, WARN, Trap, found, verdict
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.traps import on_boot
from backstay.ocf import codes
from tests.unit.agents.domain_host import UUID, Guest, Host, obedient

CRASH = f"<domain><name>web1</name><uuid>{UUID}</uuid><on_crash>restart</on_crash></domain>".encode()


def known(**given: bool) -> Answer:
    return Answer(libvirt.KNOWN, state="shutoff", uuid=UUID, name="web1", persistent=True, **given)


@pytest.mark.parametrize(
    ("cure", "clear", "refuse", "ignore"),
    [
        (NOW, NOW, REFUSE, WARN),
        (LATER, LATER, REFUSE, WARN),
        (OVERRIDE, OVERRIDE, REFUSE, WARN),
        (HAND, WARN, REFUSE, WARN),
    ],
)
def test_the_parameter_decides(cure: str, clear: str, refuse: str, ignore: str) -> None:
    assert [verdict(mode, Trap("", cure, "", "")) for mode in MODES] == [clear, refuse, ignore]


@pytest.mark.parametrize(
    ("answer", "guests", "kinds"),
    [
        (Answer(libvirt.ABSENT), True, []),
        (known(), False, []),
        (known(), True, ["libvirt-guests"]),
        (known(autostart=True), False, ["autostart"]),
        (known(saved=True, autostart=True), True, ["autostart", "managed save", "libvirt-guests"]),
    ],
)
def test_a_trap_is_found_where_it_can_spring(answer: Answer, guests: bool, kinds: list[str]) -> None:
    traps = found(Features(), answer, guests, "/srv/web1.xml")
    assert [trap.kind for trap in traps] == kinds
    assert all(": virsh " in str(trap) or ": set ON_BOOT" in str(trap) for trap in traps)


@pytest.mark.parametrize(
    ("element", "value", "is_trap", "given"),
    [
        ("on_crash", "restart", True, "destroy"),
        ("on_crash", "rename-restart", True, "destroy"),
        ("on_crash", "coredump-restart", True, "coredump-destroy"),
        ("on_crash", "destroy", False, "destroy"),
        ("on_crash", "preserve", False, "preserve"),
        ("on_crash", "coredump-destroy", False, "coredump-destroy"),
        ("on_poweroff", "restart", True, "destroy"),
        ("on_poweroff", "destroy", False, "destroy"),
        ("on_reboot", "restart", False, "restart"),
        ("on_reboot", "destroy", False, "destroy"),
    ],
)
def test_a_restart_by_libvirt_is_overridden_and_a_reboot_is_left_alone(
    element: str, value: str, is_trap: bool, given: str
) -> None:
    text = f"<domain><!-- <on_crash>restart</on_crash> -->\n<name>ä</name><{element}>\n {value}</{element}></domain>"
    features = domain_features.read(text.encode())
    assert features.restarts == ({element: value} if is_trap else {})
    assert domain_features.overridden(text.encode(), restarts=False) == text.encode()
    after = domain_features.overridden(text.encode(), restarts=True).decode()
    assert after == (text.replace(f"\n {value}<", f"{given}<") if is_trap else text)


@pytest.mark.parametrize(
    ("backend", "given"),
    [
        ("<backend type='emulator'/>", "<backend persistent_state='yes' type='emulator'/>"),
        ("<d:backend\n type='emulator' version='2.0'>", "<d:backend persistent_state='yes'\n type='emulator' version='2.0'>"),
        ("<backend type='emulator' persistent_state='no'/>", ""),
        ("<backend type='emulator' persistent_state='yes'/>", ""),
        ("<backend type='passthrough'><device path='/dev/tpm0'/></backend>", ""),
    ],
)  # fmt: skip
def test_a_tpm_keeps_its_state_unless_the_admin_says_otherwise(backend: str, given: str) -> None:
    end = "</d:backend>" if backend.endswith("version='2.0'>") else ""
    text = f"<d:domain xmlns:d='urn:x'><d:devices><d:tpm>{backend}{end}</d:tpm></d:devices></d:domain>"
    assert domain_features.read(text.encode()).tpm is ("emulator" in backend)
    after = domain_features.overridden(text.encode(), restarts=False).decode()
    assert after == text.replace(backend, given or backend)


@pytest.mark.parametrize(
    ("system", "nvram"),
    [
        ("<os><type>hvm</type></os>", ""),
        ("<os><nvram>/srv/web1.fd</nvram></os>", "/srv/web1.fd"),
        ("<os firmware='efi'/>", "/var/lib/libvirt/qemu/nvram/web1_VARS.fd"),
        (
            "<os><nvram template='/usr/share/OVMF/OVMF_VARS.fd'/></os>",
            "/var/lib/libvirt/qemu/nvram/web1_VARS.fd",
        ),
        ("<metadata><os><nvram>/no</nvram></os></metadata>", ""),
    ],
)
def test_the_place_of_the_nvram_is_found(system: str, nvram: str) -> None:
    assert domain_features.read(f"<domain><name>web1</name>{system}</domain>".encode()).nvram == nvram


def test_the_disks_that_are_files_are_found() -> None:
    disks = (
        "<disk type='file'><source file='/srv/a b.img'/><backingStore><source file='/srv/base'/></backingStore></disk>"
        "<disk device='cdrom'><source file='/srv/cd.iso'/><readonly/></disk><disk type='block'><source dev='/dev/x'/></disk>"
    )
    features = domain_features.read(f"<domain><devices>{disks}</devices></domain>".encode())
    assert features.disks == ("/srv/a b.img",)


def starting(host: Host, mode: str) -> tuple[int, str]:
    world = host.world()
    outcome = domain_start.start(world, host.deadline(80), host.birth(world, mode=mode))
    return outcome.code, outcome.reason


def test_clear_switches_autostart_off_before_and_removes_the_image_after_the_guest_runs() -> None:
    host = Host()
    host.known = known(saved=True, autostart=True)
    assert starting(host, "clear")[0] == codes.SUCCESS
    assert host.deeds == ["autostart off", "create", "resume", "managed save removed"]


def test_an_image_stays_while_the_guest_does_not_run() -> None:
    host = Host()
    host.known = known(saved=True)
    host.create_error = "no memory"
    assert starting(host, "clear")[0] == codes.GENERIC
    assert host.deeds == ["create"]


def test_an_autostart_that_cannot_be_switched_off_refuses() -> None:
    host = Host()
    host.known, host.locked = known(autostart=True), True
    code, reason = starting(host, "clear")
    assert code == codes.GENERIC
    assert "virsh autostart --disable web1" in reason
    assert host.deeds == ["autostart off"]


@pytest.mark.parametrize("trap", ["saved", "autostart"])
def test_refuse_changes_nothing_and_names_the_command(trap: str) -> None:
    host = Host()
    host.known = known(**{trap: True})
    code, reason = starting(host, "refuse")
    assert code == codes.GENERIC
    assert "virsh " in reason
    assert host.deeds == []


@pytest.mark.parametrize("saved", [True, False])
def test_refuse_offers_to_clear_only_what_it_can(saved: bool) -> None:
    host = Host()
    host.known, host.guests_at_boot = known(saved=saved), True
    assert ("traps=clear" in starting(host, "refuse")[1]) is saved


def test_ignore_starts_and_says_it() -> None:
    host = Host(xml=CRASH)
    host.known = known(saved=True, autostart=True)
    host.guests_at_boot = True
    assert starting(host, "ignore")[0] == codes.SUCCESS
    assert host.deeds == ["create", "resume"]
    assert host.created == marked(CRASH, MARK).decode()
    for word in ("managedsave-remove", "autostart --disable", "ON_BOOT=ignore", "on_crash"):
        assert any(word in warning for warning in host.warnings), word


def test_the_definition_is_overridden_for_libvirt_alone() -> None:
    host = Host(xml=CRASH)
    assert starting(host, "clear")[0] == codes.SUCCESS
    assert "<on_crash>destroy</on_crash>" in host.created
    assert host.xml == CRASH
    host.guests, host.creates = [], Guest(501)
    host.known = Answer(libvirt.ABSENT)
    code, reason = starting(host, "refuse")
    assert code == codes.GENERIC
    assert "write <on_crash>destroy</on_crash> into /srv/web1.xml" in reason


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", ""),
        ("ON_BOOT=ignore\n", "ignore"),
        ("#ON_BOOT=ignore\n", ""),
        ("ON_BOOT='start' # as ever\nON_SHUTDOWN=suspend", "start"),
        ('ON_BOOT=start\n  ON_BOOT="ignore"\n', "ignore"),
    ],
)
def test_the_settings_of_libvirt_guests_are_read(text: str, word: str) -> None:
    assert on_boot(text) == word


@pytest.mark.parametrize(
    ("mode", "deeds", "word"),
    [
        ("clear", ["autostart off", "managed save removed"], "switched off"),
        ("refuse", [], "virsh autostart --disable web1"),
        ("ignore", [], "virsh autostart --disable web1"),
    ],
)
def test_a_guest_that_has_arrived_is_not_refused_and_its_traps_here_are_dealt_with(
    mode: str, deeds: list[str], word: str
) -> None:
    host = Host(obedient())
    host.known = known(saved=True, autostart=True)
    world = host.world()
    host.birth(world, mode=mode).arrived(host.deadline(20))
    assert host.deeds == deeds
    for each in (word, "managed-save image"):
        assert any(each in warning for warning in host.warnings)
