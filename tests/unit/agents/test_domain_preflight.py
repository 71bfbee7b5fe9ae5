# SPDX-License-Identifier: GPL-2.0-or-later
"""What is decided before a migration: about the domain here, about what the target has, about what is there already."""

from __future__ import annotations

import pytest

from backstay.agents.domain_preflight import (
    CANCEL_FIRST,
    FACTS,
    FOLLOW,
    GO,
    REFUSE,
    REMOVE,
    before,
    is_leftover,
    judge,
    occupied,
)
from backstay.host import libvirt
from backstay.host import libvirt_preflight as asked
from backstay.host.libvirt import Answer
from backstay.host.libvirt_migration import INCOMING, NO_JOB, OUTGOING, Standing
from backstay.host.libvirt_preflight import Fact, Needs, Offer
from tests.unit.agents.domain_host import OTHER, UUID

MIB = 1 << 20


def standing(state: str = "running", reason: str = "", job: str = NO_JOB, uuid: str = UUID) -> Standing:
    return Standing(Answer(libvirt.KNOWN, state=state, reason=reason, uuid=uuid, name="web1"), job)


def silent(kind: str) -> Standing:
    return Standing(Answer(kind, text="no answer"))


ABSENT = silent(libvirt.ABSENT)


@pytest.mark.parametrize(
    ("here", "what", "words"),
    [
        (standing(), GO, ""),
        (standing("paused", "user"), GO, ""),
        (standing("paused", "ioerror"), GO, ""),
        (standing(job=OUTGOING), CANCEL_FIRST, "nobody waits"),
        (standing("paused", "migration", OUTGOING), CANCEL_FIRST, "nobody waits"),
        (standing("paused", "postcopy", OUTGOING), FOLLOW, "post-copy"),
        (standing("paused", "postcopy-failed"), REFUSE, "split over two hosts"),
        (standing("paused", "postcopy-failed", OUTGOING), REFUSE, "split over two hosts"),
        (standing("paused", "migration"), REFUSE, "rest of a migration"),
        (standing("paused", "migration", INCOMING), REFUSE, "rest of a migration"),
        (standing("paused", "starting-up"), REFUSE, "rest of a migration"),
        (standing(job="a save"), REFUSE, "middle of a save"),
        (standing("shutoff"), REFUSE, "does not know that it runs"),
        (ABSENT, REFUSE, "does not know that it runs"),
        (silent(libvirt.HUNG), REFUSE, "does not answer (hung"),
        (silent(libvirt.REFUSED), REFUSE, "does not answer (refused"),
        (silent(libvirt.ERROR), REFUSE, "does not say"),
    ],
)
def test_before(here: Standing, what: str, words: str) -> None:
    verdict, why = before(here)
    assert verdict == what
    assert words in why


REST = standing("paused", "migration")


@pytest.mark.parametrize(
    ("here", "there", "proven"),
    [
        (standing(), REST, True),
        (standing(), standing("paused", "migration", INCOMING), True),
        (standing(), standing("paused", "starting-up"), True),
        (standing("paused", "user"), REST, True),
        # somebody feeds it
        (standing(job=OUTGOING), REST, False),
        # it may be the guest itself
        (standing(), standing("paused", "migration", OUTGOING), False),
        (standing(), standing("running"), False),
        (standing(), standing("paused", "user"), False),
        (standing(), standing("paused", "postcopy-failed"), False),
        (standing(), standing("paused", "migration", uuid=OTHER), False),
        # what is here is no whole guest
        (standing("paused", "migration"), REST, False),
        (standing("paused", "postcopy"), REST, False),
        (standing("paused", "postcopy-failed"), REST, False),
        (ABSENT, REST, False),
        (standing("shutoff"), REST, False),
        # nobody knows
        (silent(libvirt.HUNG), REST, False),
        (silent(libvirt.REFUSED), REST, False),
        (standing(), silent(libvirt.HUNG), False),
        (standing(), ABSENT, False),
    ],
)
def test_leftover(here: Standing, there: Standing, proven: bool) -> None:
    assert is_leftover(here, there) == proven


@pytest.mark.parametrize(
    ("there", "what", "words"),
    [
        (ABSENT, GO, ""),
        (standing("shutoff"), GO, ""),
        (silent(libvirt.ERROR), GO, ""),
        (REST, REMOVE, "earlier migration"),
        (standing(), REFUSE, "on n3 already (running)"),
        (standing("paused", "user"), REFUSE, "on n3 already (paused, user)"),
        (standing("paused", "migration", OUTGOING), REFUSE, "only one of the two"),
        (standing("shutoff", uuid=OTHER), REFUSE, f"web1 {OTHER}"),
        (standing("running", uuid=OTHER), REFUSE, f"web1 {OTHER}"),
        (silent(libvirt.HUNG), REFUSE, "libvirt on n3 does not answer"),
        (silent(libvirt.REFUSED), REFUSE, "libvirt on n3 does not answer"),
    ],
)
def test_occupied(there: Standing, what: str, words: str) -> None:
    verdict, why = occupied(standing(), there, "n3")
    assert verdict == what
    assert words in why


def test_what_is_fine_is_not_mentioned() -> None:
    facts = [
        Fact(asked.EMULATOR, "kvm", asked.FITS),
        Fact(asked.DEFINITION, "", asked.FITS),
        Fact(asked.CPU, "", asked.FITS),
        Fact(asked.NETWORK, "lan", asked.PRESENT),
        Fact(asked.DEVICE, "br0", asked.PRESENT),
        Fact(asked.POOL, "images", asked.PRESENT),
        Fact(asked.DISK, "/x", asked.PRESENT),
        Fact(asked.MOUNT, "/srv/vm/web1.raw", asked.FITS),
        Fact(asked.LOCK, "lockd", asked.FITS),
    ]
    assert judge(Needs(), [Offer(facts=tuple(facts))], "n3") == ("", ())


@pytest.mark.parametrize("pair", FACTS, ids=lambda pair: " ".join(pair))
def test_only_what_is_certain_refuses(pair: tuple[str, str]) -> None:
    kind, word = pair
    refusal, warnings = judge(
        Needs(checked=True, insists=True), [Offer(facts=(Fact(kind, "it", word, "said"),))], "n3"
    )
    said = refusal or "".join(warnings)
    assert "n3" in said
    assert bool(refusal) == (word != asked.UNKNOWN)
    assert bool(warnings) == (word == asked.UNKNOWN)


def test_every_word_of_every_kind_is_decided() -> None:
    switched_off = {(asked.NETWORK, asked.INACTIVE), (asked.POOL, asked.INACTIVE)}
    missing = {(kind, asked.ABSENT) for kind in (asked.NETWORK, asked.DEVICE, asked.POOL, asked.MOUNT)}
    misfits = {(kind, asked.MISFIT) for kind in (asked.EMULATOR, asked.DEFINITION, asked.CPU, asked.LOCK)}
    kinds = (
        asked.EMULATOR, asked.DEFINITION, asked.CPU, asked.NETWORK, asked.DEVICE, asked.POOL, asked.DISK,
        asked.MOUNT, asked.LOCK,
    )  # fmt: skip
    assert set(FACTS) == switched_off | missing | misfits | {(kind, asked.UNKNOWN) for kind in kinds}


def test_a_cpu_that_libvirt_will_not_insist_on_is_a_warning() -> None:
    offer = Offer(facts=(Fact(asked.CPU, "", asked.MISFIT, "missing features: avx2"),))
    refusal, warnings = judge(Needs(checked=False), [offer], "n3")
    assert refusal == ""
    assert "avx2" in warnings[0]


def test_a_lock_that_nobody_insists_on_is_a_warning() -> None:
    """Refused, it would be stopped here and started there without a lock all the same."""
    offer = Offer(facts=(Fact(asked.LOCK, "lockd", asked.MISFIT, "here lockd, there none"),))
    refusal, warnings = judge(Needs(insists=False), [offer], "n3")
    assert refusal == ""
    assert "here lockd, there none" in warnings[0]
    assert "set lock_manager in qemu.conf of n3" in judge(Needs(insists=True), [offer], "n3")[0]


def test_two_hosts_with_one_uuid_are_one_host_for_libvirt() -> None:
    assert "set host_uuid" in judge(Needs(host="a"), [Offer(host="a")], "n3")[0]
    assert judge(Needs(host="a"), [Offer(host="b")], "n3") == ("", ())
    assert judge(Needs(), [Offer()], "n3") == ("", ())


@pytest.mark.parametrize(
    ("memory", "resident", "available", "refuses", "warns"),
    [
        (4096, 1024, 8192, False, False),
        (4096, 1024, 4096, False, False),
        (4096, 1024, 2048, False, True),
        (4096, 1024, 512, True, False),
        (4096, 0, 512, False, True),
        (4096, 1024, 0, False, False),
        (0, 1024, 512, False, False),
    ],
)
def test_memory(memory: int, resident: int, available: int, refuses: bool, warns: bool) -> None:
    needs = Needs(memory=memory * MIB, resident=resident * MIB)
    refusal, warnings = judge(needs, [Offer(available=available * MIB)], "n3")
    assert (bool(refusal), bool(warnings)) == (refuses, warns)


def test_what_was_not_said_is_a_warning() -> None:
    refusal, warnings = judge(Needs("no answer"), [], "n3")
    assert (refusal, len(warnings)) == ("", 1)
    refusal, warnings = judge(Needs(), [Offer(), Offer("no answer within 5.0 s")], "n3")
    assert refusal == ""
    assert "5.0 s" in warnings[0]


def test_all_reasons_are_said_at_once() -> None:
    facts = (Fact(asked.NETWORK, "lan", asked.ABSENT), Fact(asked.DEVICE, "br0", asked.ABSENT))
    refusal, _ = judge(Needs(), [Offer(facts=facts)], "n3")
    assert "lan" in refusal
    assert "br0" in refusal
