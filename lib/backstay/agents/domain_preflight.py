# SPDX-License-Identifier: GPL-2.0-or-later
"""What speaks against a migration before anything was sent. Pure: tables over what both hosts' libvirt said.

A refusal makes Pacemaker stop the guest and start it elsewhere, so it is said only where the migration is bound to
fail, or to harm: REFUSE needs proof. What could not be asked, or may be well after all, is a warning and the
migration is tried; libvirt checks once more what it needs before it sends the first page.
"""

from __future__ import annotations

from backstay.host import libvirt
from backstay.host.libvirt_migration import INCOMING, NO_JOB, OUTGOING, UNFED
from backstay.host.libvirt_preflight import (
    ABSENT,
    CPU,
    DEFINITION,
    DEVICE,
    DISK,
    EMULATOR,
    INACTIVE,
    LOCK,
    MISFIT,
    MOUNT,
    NETWORK,
    POOL,
    UNKNOWN,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.host.libvirt_migration import Standing
    from backstay.host.libvirt_preflight import Fact, Needs, Offer

MIB = 1 << 20
GO, REFUSE, CANCEL_FIRST, FOLLOW, REMOVE = "go", "refuse", "cancel first", "follow", "remove"

# What a word about a thing means: whether it refuses, and the sentence about it. A pair that is not here is well.
FACTS = {
    (EMULATOR, MISFIT): (True, "{target} has no {name} ({text})"),
    (EMULATOR, UNKNOWN): (False, "whether {target} has {name} is not known ({text})"),
    (DEFINITION, MISFIT): (True, "libvirt on {target} does not accept its definition ({text})"),
    (DEFINITION, UNKNOWN): (
        False,
        "whether libvirt on {target} accepts its definition is not known ({text})",
    ),
    (CPU, MISFIT): (True, "the CPU of {target} lacks what the guest was promised ({text})"),
    (CPU, UNKNOWN): (
        False,
        "whether the CPU of {target} has what the guest was promised is not known ({text})",
    ),
    (NETWORK, ABSENT): (True, "{target} has no libvirt network {name}"),
    (NETWORK, INACTIVE): (
        True,
        "the libvirt network {name} is not active on {target}: virsh net-start {name}",
    ),
    (NETWORK, UNKNOWN): (False, "whether {target} has the libvirt network {name} is not known ({text})"),
    (DEVICE, ABSENT): (True, "{target} has no bridge or network card {name}"),
    (DEVICE, UNKNOWN): (False, "whether {target} has the bridge {name} is not known ({text})"),
    (POOL, ABSENT): (True, "{target} has no storage pool {name}"),
    (POOL, INACTIVE): (True, "the storage pool {name} is not active on {target}: virsh pool-start {name}"),
    (POOL, UNKNOWN): (False, "whether {target} has the storage pool {name} is not known ({text})"),
    (MOUNT, ABSENT): (
        True,
        "{target} has not mounted {text}, where its disk {name} lies: what has that name there is no part of it",
    ),
    (MOUNT, UNKNOWN): (False, "whether its disk {name} is the same one on {target} is not known ({text})"),
    (LOCK, MISFIT): (
        True,
        "the lock managers of libvirt differ ({text}), and no lock goes from one to another: set lock_manager in "
        "qemu.conf of {target} and restart libvirtd",
    ),
    (LOCK, UNKNOWN): (False, "whether libvirt on {target} has its lock manager is not known ({text})"),
    (DISK, UNKNOWN): (False, "the disk {name} is not listed on {target} ({text})"),
}


def before(here: Standing) -> tuple[str, str]:
    """Decide what has to be done about the domain here before it can be migrated, with the reason.

    CANCEL_FIRST: a migration goes on that nobody follows any more (its agent was killed). FOLLOW: the same, but the
    guest runs at its target already, and the rest of its memory has to follow.
    """
    answer = here.answer
    if answer.kind in (libvirt.HUNG, libvirt.REFUSED):
        return REFUSE, f"libvirt here does not answer ({answer.kind}: {answer.text})"
    if answer.kind == libvirt.ERROR:
        return REFUSE, f"libvirt here does not say how it is ({answer.text})"
    if not answer.active:
        return REFUSE, "libvirt here does not know that it runs; it can be stopped, not migrated"
    if answer.state == "paused" and answer.reason == "postcopy-failed":
        return REFUSE, "its last migration failed in post-copy and its memory is split over two hosts"
    if answer.state == "paused" and answer.reason in UNFED and here.job != OUTGOING:
        return REFUSE, f"it is paused here as the rest of a migration or start ({answer.reason})"
    if here.job == OUTGOING and answer.state == "paused" and answer.reason == "postcopy":
        return FOLLOW, "it is being migrated already, in post-copy"
    if here.job == OUTGOING:
        return CANCEL_FIRST, "it is being migrated already, and nobody waits for that"
    if here.job != NO_JOB:
        return REFUSE, f"libvirt is in the middle of {here.job} of it"
    return GO, ""


def is_leftover(here: Standing, there: Standing) -> bool:
    """Decide whether what is at the target is the proven rest of a migration that nobody feeds.

    It never ran: it is paused as a guest whose memory has not come, and no migration of it goes out there. Nobody
    will feed it: the guest is here, known to libvirt, not itself the rest of something, and no job sends it.
    """
    return (
        here.answer.active
        and here.job == NO_JOB
        and not (
            here.answer.state == "paused" and here.answer.reason in (*UNFED, "postcopy", "postcopy-failed")
        )
        and there.answer.active
        and there.answer.uuid == here.answer.uuid
        and there.answer.state == "paused"
        and there.answer.reason in UNFED
        and there.job in (NO_JOB, INCOMING)
    )


def occupied(here: Standing, there: Standing, target: str) -> tuple[str, str]:
    """Decide what the target's libvirt knowing the domain already means."""
    answer, us = there.answer, here.answer
    if answer.kind in (libvirt.HUNG, libvirt.REFUSED):
        return REFUSE, f"libvirt on {target} does not answer ({answer.text})"
    if answer.kind == libvirt.KNOWN and (answer.uuid, answer.name) != (us.uuid, us.name):
        return (
            REFUSE,
            f"libvirt on {target} knows {answer.name} {answer.uuid} ({answer.state}): undefine that one",
        )
    if is_leftover(here, there):
        return REMOVE, f"the rest of an earlier migration is paused on {target}"
    if answer.active:
        said = f"{answer.state}, {answer.reason}" if answer.reason else answer.state
        return REFUSE, f"it is on {target} already ({said}): only one of the two may go on"
    return GO, ""


def judge(needs: Needs, offers: Sequence[Offer], target: str) -> tuple[str, tuple[str, ...]]:
    """Give the reason to refuse, or an empty text, and all warnings."""
    refusals: list[str] = []
    warnings: list[str] = []
    if needs.trouble:
        warnings.append(f"what it needs on {target} is not known ({needs.trouble})")
    for offer in offers:
        if offer.trouble:
            warnings.append(f"libvirt on {target} did not say all that it was asked ({offer.trouble})")
        if needs.host and offer.host == needs.host:
            refusals.append(
                f"libvirt here and on {target} have the same host UUID {needs.host}, so it takes both for one host: "
                "set host_uuid in libvirtd.conf"
            )
        for fact in offer.facts:
            refuses, sentence = _of(fact, target, needs)
            if sentence:
                (refusals if refuses else warnings).append(sentence)
        refuses, sentence = memory(needs, offer, target)
        if sentence:
            (refusals if refuses else warnings).append(sentence)
    return "; ".join(refusals), tuple(warnings)


def _of(fact: Fact, target: str, needs: Needs) -> tuple[bool, str]:
    refuses, sentence = FACTS.get((fact.kind, fact.word), (False, ""))
    if fact.kind == CPU and not needs.checked:
        refuses = False  # libvirt there will not insist on it either
    if fact.kind == LOCK and not needs.insists:
        refuses = False  # it would be stopped, and started there without a lock
    return refuses, sentence.format(target=target, name=fact.name, text=fact.text)


def memory(needs: Needs, offer: Offer, target: str) -> tuple[bool, str]:
    """Say what speaks against the target's memory, and whether that refuses.

    Less than the guest uses already cannot hold it. Less than it may come to use is the admin's own choice where
    memory is overcommitted.
    """
    if not (needs.memory and offer.available) or offer.available >= max(needs.memory, needs.resident):
        return False, ""
    free = f"{target} has {offer.available // MIB} MiB of free memory"
    if offer.available < needs.resident:
        return True, f"{free}, and the guest uses {needs.resident // MIB} MiB already"
    return False, f"{free}, and the guest may come to use {needs.memory // MIB} MiB"
