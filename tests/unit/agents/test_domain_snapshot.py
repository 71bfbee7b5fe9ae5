# SPDX-License-Identifier: GPL-2.0-or-later
"""Saved memory: restored only when nothing was started or written since, else set aside; and a stop's way to it."""

from __future__ import annotations

import pytest

from backstay.agents import domain, domain_birth, domain_snapshot, domain_start, domain_stop
from backstay.agents.domain_parameters import DomainParameters
from backstay.agents.domain_snapshot import COLD, RESTORE, SET_ASIDE, Snapshot, record, verdict
from backstay.errors import CannotAsk
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.snapshots import NO_IMAGE, UNREADABLE, Found
from backstay.ocf import codes
from backstay.ocf.context import Call, Context
from backstay.ocf.log import Log
from backstay.ocf.outcome import Outcome, failed
from tests.unit.agents.domain_host import IMAGE_LOCK, UUID, Guest, Host, obedient

NOW, LATER = "aa n1", "bb n2"
DISKS = {"/srv/a b.img": "10 1", "/srv/c.img": "20 2"}
RECORD = record(NOW, 5, DISKS)
LIVE = "<domain><name>web1</name><devices><disk><source file='/srv/a b.img'/></disk></devices></domain>"


@pytest.mark.parametrize(
    ("size", "written", "generation", "disks", "what"),
    [
        (NO_IMAGE, "", "", {}, COLD),
        (NO_IMAGE, RECORD, NOW, DISKS, COLD),
        (5, RECORD, NOW, DISKS, RESTORE),
        (5, record(NOW, 5, {}), NOW, {}, RESTORE),
        (5, "", NOW, {}, SET_ASIDE),
        (5, "junk", NOW, {}, SET_ASIDE),
        (5, RECORD[:20], NOW, {}, SET_ASIDE),
        (5, RECORD, LATER, DISKS, SET_ASIDE),
        (5, RECORD, "", DISKS, SET_ASIDE),
        (5, record("", 5, {}), "", {}, SET_ASIDE),
        (4, RECORD, NOW, DISKS, SET_ASIDE),
        (5, RECORD, NOW, {**DISKS, "/srv/c.img": "20 3"}, SET_ASIDE),
        (5, RECORD, NOW, {**DISKS, "/srv/c.img": "21 2"}, SET_ASIDE),
        (5, RECORD, NOW, {"/srv/a b.img": "10 1"}, SET_ASIDE),
        (5, record(NOW, 5, {"/srv/c.img": UNREADABLE}), NOW, {"/srv/c.img": UNREADABLE}, SET_ASIDE),
        (5, RECORD[:-1], NOW, DISKS, SET_ASIDE),
    ],
)
def test_an_image_is_restored_only_if_all_fits(
    size: int, written: str, generation: str, disks: dict[str, str], what: str
) -> None:
    assert verdict(Found(size, written, generation), disks)[0] == what


def test_an_image_of_another_size_is_named() -> None:
    assert "has 4 bytes" in verdict(Found(4, RECORD, NOW), DISKS)[1]


def test_a_record_names_its_disks() -> None:
    assert domain_snapshot.disks_of(RECORD) == tuple(sorted(DISKS))


class Share:
    """The directory, and libvirt that saves into it, of a fake host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.found = Found()
        self.disks = dict(DISKS)
        self.broken = ""
        self.saves: Answer | None = None
        self.restores: Answer | None = None
        self.aside = 0
        self.starts = 0

    def check(self) -> None:
        if self.broken:
            raise CannotAsk(self.broken)

    def path(self, uuid: str) -> str:
        return f"/snap/{uuid}.save"

    def look(self, uuid: str, timeout: float) -> Found:
        self.check()
        return Found(self.found.size, self.found.record, self.found.generation)

    def next_generation(self, uuid: str, host: str, timeout: float) -> str:
        self.check()
        self.starts += 1
        self.found.generation = f"start{self.starts} {host}"
        return self.found.generation

    def write_generation(self, uuid: str, text: str, timeout: float) -> None:
        self.check()
        self.found.generation = text

    def write_record(self, uuid: str, text: str, timeout: float) -> None:
        self.check()
        self.found.record = text

    def forget_record(self, uuid: str, timeout: float) -> None:
        self.check()
        self.found.record = ""

    def forget(self, uuid: str, timeout: float) -> None:
        self.check()
        self.found.size, self.found.record = NO_IMAGE, ""

    def set_aside(self, uuid: str, timeout: float) -> str:
        self.check()
        self.found.size, self.found.record = NO_IMAGE, ""
        self.aside += 1
        return f"/snap/{uuid}.save.aside"

    def signatures(self, files: tuple[str, ...], timeout: float) -> dict[str, str]:
        return {path: self.disks.get(path, UNREADABLE) for path in files}

    def definition(self, uuid: str, timeout: float) -> Answer:
        return Answer(libvirt.KNOWN, text=LIVE)

    def save(self, uuid: str, path: str, timeout: float) -> Answer:
        self.host.deeds.append("save")
        if self.saves is not None:
            if self.saves.kind == libvirt.HUNG:
                self.host.now += timeout
            return self.saves
        self.found.size = 5
        for guest in self.host.living():
            guest.end = self.host.now
        return Answer(libvirt.KNOWN, state="shutoff", uuid=uuid)

    def restore(self, uuid: str, path: str, timeout: float) -> Answer:
        self.host.deeds.append("restore")
        if self.restores is not None:
            return self.restores
        self.host.guests.append(Guest(700))
        self.host.known = Answer(libvirt.KNOWN, state="paused", reason="migration", uuid=UUID, name="web1")
        return self.host.known


def snapshot(host: Host, share: Share) -> Snapshot:
    return Snapshot(host.world(), share, share)


def starting(host: Host, share: Share) -> Outcome:
    world = host.world()
    birth = host.birth(world, snapshot=Snapshot(world, share, share))
    return domain_start.start(world, host.deadline(80), birth)


def stopping(host: Host, share: Share) -> Outcome:
    return domain_stop.stop(host.world(), host.deadline(100), False, save=snapshot(host, share).save)


def saved() -> tuple[Host, Share]:
    host = Host(obedient())
    share = Share(host)
    assert stopping(host, share).code == codes.SUCCESS
    host.known = Answer(libvirt.ABSENT)
    host.deeds.clear()
    return host, share


def test_a_stop_saves_and_the_next_start_restores_once() -> None:
    host, share = saved()
    assert starting(host, share).code == codes.SUCCESS
    assert host.deeds == ["restore", "resume"]
    assert share.found.size == NO_IMAGE
    host.guests.clear()
    host.known = Answer(libvirt.ABSENT)
    host.deeds.clear()
    assert starting(host, share).code == codes.SUCCESS
    assert host.deeds == ["create", "resume"]


def test_a_start_that_was_killed_leaves_an_image_that_is_never_used() -> None:
    host, share = saved()
    assert snapshot(host, share).claim(UUID, "web1 on n1", host.deadline(10)) == ""
    assert starting(host, share).code == codes.SUCCESS
    assert host.deeds == ["create", "resume"]
    assert share.aside == 1
    assert any("without its saved memory: the guest was started since" in said for said in host.warnings)


def test_a_disk_that_was_written_since_means_a_cold_start() -> None:
    host, share = saved()
    share.disks["/srv/a b.img"] = "10 2"
    assert starting(host, share).code == codes.SUCCESS
    assert host.deeds == ["create", "resume"]
    assert any("/srv/a b.img" in said for said in host.warnings)


def test_an_image_that_libvirt_refuses_is_set_aside_and_the_guest_starts() -> None:
    host, share = saved()
    share.restores = Answer(libvirt.ERROR, text="failed to read qemu header")
    assert starting(host, share).code == codes.SUCCESS
    assert host.deeds == ["restore", "create", "resume"]
    assert any("failed to read qemu header" in said for said in host.warnings)


def test_a_lock_puts_a_restore_off_and_the_image_fits_still() -> None:
    host, share = saved()
    share.restores = Answer(libvirt.ERROR, text=IMAGE_LOCK)
    before = share.found.generation
    outcome = starting(host, share)
    assert outcome.code == codes.GENERIC
    assert "locked" in outcome.reason
    assert set(host.deeds) == {"restore"}
    assert share.found.generation == before
    host.deeds.clear()
    share.restores = None
    assert starting(host, share).code == codes.SUCCESS
    assert host.deeds == ["restore", "resume"]


def test_without_the_directory_nothing_is_started() -> None:
    host, share = saved()
    share.broken = "the snapshot directory cannot be used: /snap: No such file or directory"
    outcome = starting(host, share)
    assert outcome.code == codes.GENERIC
    assert "mount its share" in outcome.reason
    assert host.deeds == []


def test_each_start_is_a_new_generation_also_a_cold_one() -> None:
    host = Host()
    share = Share(host)
    starting(host, share)
    assert share.starts == 1


@pytest.mark.parametrize(
    ("answer", "deeds"),
    [
        (Answer(libvirt.ERROR, text="No space left on device"), ["save", "acpi"]),
        (Answer(libvirt.HUNG, text="no answer within"), ["save", "cancel", "acpi"]),
        (Answer(libvirt.REFUSED, text="Connection refused"), ["save", "acpi"]),
    ],
)
def test_a_save_that_fails_becomes_a_shutdown_within_the_budget(answer: Answer, deeds: list[str]) -> None:
    host = Host(obedient())
    share = Share(host)
    share.saves = answer
    outcome = stopping(host, share)
    assert outcome.code == codes.SUCCESS
    assert host.deeds == deeds
    assert host.now < 1060
    assert any("shut down instead" in said for said in host.warnings)
    assert share.found.record == ""


def test_a_directory_that_is_away_means_a_shutdown() -> None:
    host = Host(obedient())
    share = Share(host)
    share.broken = "No such file or directory"
    assert stopping(host, share).code == codes.SUCCESS
    assert host.deeds == ["acpi"]


def test_an_old_record_does_not_outlive_a_save_that_fails() -> None:
    host = Host(obedient())
    share = Share(host)
    share.found = Found(5, RECORD, NOW)
    share.saves = Answer(libvirt.ERROR, text="No space left on device")
    stopping(host, share)
    assert verdict(share.found, DISKS)[0] == SET_ASIDE


@pytest.mark.parametrize(
    ("state", "reason"), [("paused", "ioerror"), ("crashed", ""), ("shutdown", ""), ("pmsuspended", "")]
)
def test_only_a_guest_that_is_well_is_saved(state: str, reason: str) -> None:
    host = Host(obedient())
    host.known = Answer(libvirt.KNOWN, state=state, reason=reason, uuid=UUID, name="web1")
    assert stopping(host, Share(host)).code == codes.SUCCESS
    assert "save" not in host.deeds


def test_a_guest_whose_monitor_failed_is_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(obedient())
    world = host.world()
    context = Context(
        Call("domain", "monitor", {"OCF_RESKEY_CRM_meta_interval": "10000"}),
        DomainParameters(config="/srv/web1.xml", snapshot="/snap"),
        host.deadline(20),
        Log("domain"),
    )
    monkeypatch.setattr(domain, "world_of", lambda _context: world)
    assert domain_birth.save_of(context, world) is not None
    monkeypatch.setattr(domain, "checked", lambda _context: failed("the guest does not answer"))
    assert domain.check(context).code == codes.GENERIC
    assert domain_birth.save_of(context, world) is None
    assert "the guest does not answer" in host.warnings[-1]
    snapshot(host, Share(host)).used(UUID, host.deadline(10))
    assert domain_birth.save_of(context, world) is not None


@pytest.mark.parametrize("other", ["force_stop", "stateless"])
def test_snapshot_beside_what_contradicts_it_is_a_complaint(other: str) -> None:
    environ = {
        "OCF_RESKEY_config": "/srv/web1.xml", "OCF_RESKEY_snapshot": "/snap", f"OCF_RESKEY_{other}": "true",
    }  # fmt: skip
    given = DomainParameters.read(environ, lenient=False)
    assert other in given.contradiction()
    assert not DomainParameters(config="/srv/web1.xml", backingfile="/b", **{other: True}).contradiction()


def test_stateless_without_a_backingfile_is_a_complaint() -> None:
    """It would keep what the guest writes; ocf:heartbeat:VirtualDomain refuses it too."""
    assert "stateless" in DomainParameters(config="/srv/web1.xml", stateless=True).contradiction()


def test_a_domain_without_a_uuid_has_no_place_for_its_memory() -> None:
    host = Host(xml=b"<domain><name>web1</name></domain>")
    outcome = starting(host, Share(host))
    assert outcome.code == codes.GENERIC
    assert "uuid" in outcome.reason
    assert host.deeds == []
