# SPDX-License-Identifier: GPL-2.0-or-later
"""The other half of a live migration: a domain that was sent by another host has arrived, or has not.

Decides what counts as arrived. Never removes anything: a guest that stays paused here may be all that is left of its
memory, since its source has none any more when Pacemaker calls migrate_from.
"""

from __future__ import annotations

from backstay.agents.domain_start import ASKING, EVERY, LEFTOVER, TOO_LATE
from backstay.agents.domain_state import RUNNING
from backstay.agents.domain_world import remember, scan, survey
from backstay.host.emulator import uuid_of
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt import Answer


def arrived(seen: Seen, answer: Answer) -> bool:
    """Decide whether the guest runs on this host after a migration.

    Pacemaker calls migrate_from only after a migrate_to that saw the guest leave, so a libvirtd here that does not
    answer does not make an emulator here doubtful; one that waits for its memory does.
    """
    if seen.truth != RUNNING:
        return False
    if not answer.answered:
        return True
    return answer.active and not (answer.state == "paused" and answer.reason in LEFTOVER)


def migrate_from(world: World, deadline: Deadline, source: str) -> Outcome:
    """Wait until the domain that left `source` runs on this host."""
    seen = survey(world, deadline, definition_first=True)
    while True:
        us = seen.identity
        uuid = uuid_of(seen.emulators[0].arguments) if seen.emulators else us.uuid
        answer = world.libvirt.describe(uuid, us.name, deadline.at_most(ASKING).left())
        if arrived(seen, answer):
            remember(world, seen, uuid, us.name or answer.name)
            return done(f"{seen.where} has arrived from {source}")
        if deadline.left() < TOO_LATE:
            return failed(f"{seen.where} did not arrive from {source}: {_not_here(seen, answer)}")
        world.pause(min(EVERY, deadline.left()))
        seen = scan(world, us, deadline)


def _not_here(seen: Seen, answer: Answer) -> str:
    said = f"{answer.state} {answer.reason}".strip() or answer.text or answer.kind
    if seen.truth == RUNNING and answer.active:
        return f"it is {said} here; if it runs nowhere else, virsh resume lets it go on"
    return f"{seen.truth} here; libvirt: {said}"
