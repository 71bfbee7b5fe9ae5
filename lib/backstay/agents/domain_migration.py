# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration of a domain: peer to peer through libvirt, cancelled before Pacemaker would kill the agent.

Decides what counts as arrived. A migrate_to that Pacemaker kills leaves libvirt's job running, and the guest on
neither or either side; so the job is cancelled in time and what is then seen here decides: migrate_to succeeded only
when the emulator is gone from this host, migrate_from only when one runs on this one.
"""

from __future__ import annotations

from backstay.agents.domain_start import ASKING, EVERY, LEFTOVER, TOO_LATE
from backstay.agents.domain_state import RUNNING, STOPPED
from backstay.agents.domain_world import remember, scan, survey
from backstay.host import libvirt
from backstay.host.emulator import GO_ON, is_stopped, uuid_of
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt import Answer

ALWAYS = ("LIVE", "PEER2PEER")
# virsh's options, as ocf:heartbeat:VirtualDomain takes them, to virDomainMigrateFlags
FLAGS = {
    "--live": "LIVE",
    "--p2p": "PEER2PEER",
    "--unsafe": "UNSAFE",
    "--auto-converge": "AUTO_CONVERGE",
    "--compressed": "COMPRESSED",
    "--tunnelled": "TUNNELLED",
    "--abort-on-error": "ABORT_ON_ERROR",
    "--parallel": "PARALLEL",
    "--tls": "TLS",
    "--undefinesource": "UNDEFINE_SOURCE",
    "--copy-storage-all": "NON_SHARED_DISK",
}
# options with a value, to the keys of virDomainMigrateToURI3
SETTINGS = {"--migrateuri": "migrate_uri", "--listen-address": "listen_address", "--bandwidth": "bandwidth"}
NUMBERS = ("bandwidth",)
RESERVE = 0.15  # part of the budget that is kept for cancelling and looking
LEAST, MOST = 2.0, 20.0  # seconds: bounds of that reserve
# seconds in which the emulator disappears after libvirt said that the guest has left: freeing hundreds of gigabytes
# takes some, and a migration that is called failed makes Pacemaker stop the guest where it has arrived
DEPARTURE = 30.0


def options(given: str) -> tuple[tuple[str, ...], dict[str, int | str]]:
    """Turn migrate_options into flags and settings for libvirt; raises ValueError with a complaint."""
    flags, settings = list(ALWAYS), {}
    words = given.replace("=", " ").split() if given else []
    while words:
        word = words.pop(0)
        if word in FLAGS:
            flags.append(FLAGS[word])
        elif word in SETTINGS and words:
            settings[SETTINGS[word]] = _setting(SETTINGS[word], words.pop(0))
        else:
            known = " ".join((*FLAGS, *(f"{name}=..." for name in SETTINGS)))
            raise ValueError(f"must be made of {known}")
    return tuple(dict.fromkeys(flags)), settings


def _setting(key: str, value: str) -> int | str:
    if key not in NUMBERS:
        return value
    if not value.isdecimal():
        raise ValueError(f"must have a whole number for {key}")
    return int(value)


def destination(hypervisor: str, transport: str, target: str) -> str:
    """Give the URI under which libvirtd here reaches libvirtd on the target; no transport means libvirt's own, TLS."""
    scheme, _, rest = hypervisor.partition("://")
    path = "/" + rest.partition("/")[2].partition("?")[0]
    return f"{scheme.partition('+')[0]}{'+' if transport else ''}{transport}://{target}{path}"


def migrate_to(world: World, deadline: Deadline, target: str, to: str, given: str) -> Outcome:
    """Move the domain to the host `target` at the URI `to`; 0 only when no emulator of it is left here."""
    seen = survey(world, deadline)
    if len(seen.emulators) != 1:
        return failed(f"{seen.where} cannot be migrated: {seen.trouble or f'it is {seen.truth} here'}")
    if is_stopped(seen.emulators[0]):
        world.emulators.signal(seen.emulators[0], GO_ON)  # else it would block libvirt's job
    flags, settings = options(given)
    uuid = uuid_of(seen.emulators[0].arguments)
    silent = _silent(world, uuid, to, deadline)
    if silent:
        return failed(f"{seen.where} cannot be migrated to {target}: {silent}")
    reserve = min(max(deadline.left() * RESERVE, LEAST), MOST)
    answer = world.libvirt.migrate(uuid, to, flags, settings, max(LEAST, deadline.left() - reserve))
    if answer.kind == libvirt.HUNG:
        cancelled = world.libvirt.cancel(uuid, deadline.part(0.6).left())
        word = "was cancelled" if cancelled.answered else f"could not be cancelled ({cancelled.kind})"
        world.warn(f"the migration of {seen.where} to {target} took too long and {word}")
    return _departed(world, seen, target, answer, deadline)


def _silent(world: World, uuid: str, to: str, deadline: Deadline) -> str:
    """Say which libvirt would let a migration wait in vain; empty when both answer.

    Without this a hung libvirtd costs the whole budget, and the guest's way out is a stop and a start anyway. A target
    that refuses is libvirt's own business: it says so at once, and it may have ways in that this process has not.
    """
    here = world.libvirt.describe(uuid, "", deadline.at_most(ASKING).left())
    if here.kind in (libvirt.HUNG, libvirt.REFUSED):
        return f"libvirt on {world.host} does not answer ({here.kind}: {here.text})"
    there = world.libvirt_at(to).describe(uuid, "", deadline.at_most(ASKING).left())
    return f"libvirt at {to} does not answer ({there.text})" if there.kind == libvirt.HUNG else ""


def _departed(world: World, seen: Seen, target: str, answer: Answer, deadline: Deadline) -> Outcome:
    """Look until the emulator is gone, or until it is clear that it stays."""
    patience = deadline.at_most(DEPARTURE if answer.answered else EVERY)
    while True:
        now = scan(world, seen.identity, deadline)
        if now.truth == STOPPED:
            world.records.forget(world.instance)
            return done(f"{seen.where} has left for {target}")
        if patience.expired:
            why = answer.text or "libvirt says that it left, but its emulator is still here"
            return failed(f"{now.where} did not migrate to {target}: {why}")
        world.pause(min(EVERY, deadline.left()))


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
            said = f"{answer.state} {answer.reason}".strip() or answer.text or answer.kind
            return failed(f"{seen.where} did not arrive from {source}: {seen.truth} here; libvirt: {said}")
        world.pause(min(EVERY, deadline.left()))
        seen = scan(world, us, deadline)
