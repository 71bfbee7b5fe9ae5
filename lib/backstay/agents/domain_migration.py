# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration of a domain: peer to peer through libvirt, cancelled before Pacemaker would kill the agent.

Decides what counts as gone: migrate_to succeeded only when the emulator is gone from this host. A migrate_to that was
killed leaves libvirt's job running; the next one finds it and cancels it, a stop cancels it before it asks the guest,
and a monitor sees the guest wherever its emulator runs.

After a failure it is said what runs where. What is paused at the target as a guest that never came is removed when
that is proven (domain_preflight.is_leftover). Two halves of a guest after a failed post-copy are left alone: which
of them is worth more cannot be told from here.
"""

from __future__ import annotations

from backstay.agents.domain_migration_course import CANCEL, SWITCH, Course, in_postcopy, next_step, progress
from backstay.agents.domain_preflight import (
    CANCEL_FIRST,
    FOLLOW,
    GO,
    REFUSE,
    REMOVE,
    before,
    is_leftover,
    judge,
    occupied,
)
from backstay.agents.domain_start import ASKING, EVERY, TOO_LATE
from backstay.agents.domain_state import STOPPED
from backstay.agents.domain_world import scan, survey
from backstay.host import libvirt
from backstay.host.emulator import GO_ON, is_stopped, uuid_of
from backstay.host.libvirt import Answer
from backstay.host.libvirt_migration import OUTGOING
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from backstay.agents.domain_migration_way import Way
    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt_migration import Standing
    from backstay.host.libvirt_preflight import Needs, Offer

    class Running(Protocol):
        """A migration under way (host.libvirt_migration)."""

        def wait(self, timeout: float) -> Answer | None: ...
        def abandon(self) -> None: ...

    class Migrations(Protocol):
        """The libvirt here and the one at the target (host.libvirt_migration)."""

        def here(self, uuid: str, timeout: float) -> Standing: ...
        def there(self, uuid: str, name: str, timeout: float) -> Standing: ...
        def begin(
            self, uuid: str, flags: Sequence[str], settings: Mapping[str, int | str | list[str]]
        ) -> Running: ...
        def limit_downtime(self, uuid: str, milliseconds: int, timeout: float) -> Answer: ...
        def switch(self, uuid: str, timeout: float) -> Answer: ...
        def remove(self, uuid: str, timeout: float) -> Answer: ...

    class Preflight(Protocol):
        """What the domain needs and the target has (host.libvirt_preflight)."""

        def needs(self, uuid: str, timeout: float) -> Needs: ...
        def offer(self, needs: Needs, timeout: float) -> Offer: ...
        def storage(self, needs: Needs, timeout: float) -> Offer: ...
        def around(self, needs: Needs, target: str, timeout: float) -> Offer: ...


RESERVE = 0.25  # part of the budget that is kept for cancelling and looking
LEAST, MOST = 2.0, 20.0  # seconds: bounds of that reserve
GLANCE = 5.0  # seconds for one look at a migration, or at the target afterwards
LOOK_EVERY = 2.0  # seconds between two looks at a migration
PREFLIGHT = 0.2  # part of the budget that the target gets to say what it has
# seconds in which the emulator disappears after libvirt said that the guest has left: freeing hundreds of gigabytes
# takes some, and a migration that is called failed makes Pacemaker stop the guest where it has arrived
DEPARTURE = 30.0


def migrate_to(
    world: World,
    migrations: Migrations,
    preflight: Preflight,
    deadline: Deadline,
    target: str,
    way: Way,
    prepare: Callable[[], None],
) -> Outcome:
    """Move the domain to the host `target`; 0 only when no emulator of it is left here.

    `prepare` starts at the target what the domain needs, once nothing here or there is in the way.
    """
    seen = survey(world, deadline)
    if len(seen.emulators) != 1:
        return failed(f"{seen.where} cannot be migrated: {seen.trouble or f'it is {seen.truth} here'}")
    if is_stopped(seen.emulators[0]):
        world.emulators.signal(seen.emulators[0], GO_ON)  # else it would block libvirt's job
    return Moving(world, migrations, preflight, seen, deadline, target, way, prepare).run()


class Moving:
    """One migration to a target."""

    def __init__(
        self,
        world: World,
        migrations: Migrations,
        preflight: Preflight,
        seen: Seen,
        deadline: Deadline,
        target: str,
        way: Way,
        prepare: Callable[[], None],
    ) -> None:
        self.world = world
        self.migrations = migrations
        self.preflight = preflight
        self.seen = seen
        self.deadline = deadline
        self.target = target
        self.way = way
        self.prepare = prepare
        self.uuid = uuid_of(seen.emulators[0].arguments)
        self.reserve = min(max(deadline.left() * RESERVE, LEAST), MOST)
        now = world.monotonic()
        self.course = Course(now, now + max(LEAST, deadline.left() - self.reserve))

    def run(self) -> Outcome:
        here = self.migrations.here(self.uuid, self.deadline.at_most(ASKING).left())
        what, why = before(here)
        if what == FOLLOW:
            self.world.warn(f"{self.seen.where}: {why}; its end is waited for")
            return self._ended(self._follow(None))
        if what == CANCEL_FIRST:
            self.world.warn(f"{self.seen.where}: {why}; that one is cancelled first")
            here = self._cancel_first()
            what, why = before(here)
        refusal = why if what != GO else self._against(here)
        if refusal:
            return failed(f"{self.seen.where} was not migrated to {self.target}, it goes on here: {refusal}")
        return self._ended(self._move())

    # ---- before

    def _cancel_first(self) -> Standing:
        """End the migration that a killed agent left, and wait until libvirt has put everything back."""
        self.world.libvirt.cancel(self.uuid, self.deadline.at_most(GLANCE).left())
        patience = self.deadline.at_most(ASKING)
        while True:
            here = self.migrations.here(self.uuid, self.deadline.at_most(ASKING).left())
            if here.job != OUTGOING or patience.expired:
                return here
            self.world.pause(min(EVERY, patience.left()))

    def _against(self, here: Standing) -> str:
        """Say what speaks against this target; empty when nothing certain does."""
        there = self.migrations.there(self.uuid, here.answer.name, self.deadline.at_most(ASKING).left())
        what, why = occupied(here, there, self.target)
        if what == REMOVE:
            self.world.warn(f"{self.seen.where}: {why} and is removed")
            answer = self.migrations.remove(self.uuid, self.deadline.at_most(ASKING).left())
            what, why = (REFUSE, f"{why} and cannot be removed") if answer.active else (GO, "")
        if what == REFUSE:
            return why
        self.prepare()
        needs = self.preflight.needs(self.uuid, self.deadline.at_most(ASKING).left())
        offers: list[Offer] = []
        if not needs.trouble:
            offers.append(self.preflight.offer(needs, self.deadline.part(PREFLIGHT).left()))
            offers.append(self.preflight.storage(needs, self.deadline.at_most(GLANCE).left()))
            offers.append(self.preflight.around(needs, self.target, self.deadline.at_most(GLANCE).left()))
        refusal, warnings = judge(needs, offers, self.target)
        for warning in warnings:
            self.world.warn(f"{self.seen.where} migrates to {self.target} all the same: {warning}")
        return refusal

    # ---- meanwhile

    def _move(self) -> Answer:
        if self.way.downtime:
            limit = self.deadline.at_most(GLANCE).left()
            answer = self.migrations.limit_downtime(self.uuid, self.way.downtime, limit)
            if not answer.answered:
                self.world.warn(
                    f"the downtime of {self.seen.where} cannot be limited: {answer.text or answer.kind}"
                )
        running = self.migrations.begin(self.uuid, self.way.flags, self.way.settings)
        try:
            return self._follow(running)
        finally:
            running.abandon()

    def _follow(self, running: Running | None) -> Answer:
        """Wait for the end of a migration; cancel it in time, or switch it. `running` is None for somebody else's."""
        while True:
            answer = self._next(running)
            if answer is not None:
                return answer
            now = self.world.monotonic()
            what = next_step(self.course, self.way.postcopy, now)
            if what == SWITCH:
                self._switch()
            if what == CANCEL:
                return self._cancel(running)
            if self.deadline.left() < TOO_LATE + GLANCE / 2:
                return Answer(libvirt.HUNG, text="there is no time left")
            if self.course.worth_telling(now):
                self.world.note(f"migrating {self.seen.where} to {self.target}: {progress(self.course, now)}")

    def _next(self, running: Running | None) -> Answer | None:
        """Wait a little and look; gives libvirt's answer when the migration has ended."""
        until_cancelled = self.course.ends - self.world.monotonic()
        pause = min(LOOK_EVERY, until_cancelled if until_cancelled > 0 else LOOK_EVERY, self.deadline.left())
        if running is None:
            self.world.pause(pause)
        else:
            answer = running.wait(pause)
            if answer is not None:
                return answer
        standing = self.migrations.here(self.uuid, self.deadline.at_most(GLANCE).left())
        self.course.saw(standing, self.world.monotonic())
        ended = running is None and standing.answer.answered and standing.job != OUTGOING
        return standing.answer if ended else None

    def _switch(self) -> None:
        self.course.switched = True
        answer = self.migrations.switch(self.uuid, self.deadline.at_most(GLANCE).left())
        said = "is switched to post-copy"
        if not answer.answered:
            said = f"cannot be switched to post-copy ({answer.text or answer.kind})"
        self.world.warn(
            f"the migration of {self.seen.where} to {self.target} {said}: "
            f"{progress(self.course, self.world.monotonic())}"
        )

    def _cancel(self, running: Running | None) -> Answer:
        seen = progress(self.course, self.world.monotonic())
        cancelled = self.world.libvirt.cancel(self.uuid, self.deadline.part(0.4).left())
        word = "was cancelled" if cancelled.answered else f"could not be cancelled ({cancelled.kind})"
        answer = running.wait(self.deadline.part(0.4).left()) if running else None
        if answer is not None and answer.answered:
            return answer  # it came in while it was being cancelled
        return Answer(libvirt.HUNG, text=f"it took too long and {word}: {seen}")

    # ---- afterwards

    def _ended(self, answer: Answer) -> Outcome:
        """Look until the emulator is gone, or until it is clear that it stays; then look at the other side."""
        patience = self.deadline.at_most(DEPARTURE if answer.answered else EVERY)
        while True:
            now = scan(self.world, self.seen.identity, self.deadline)
            if now.truth == STOPPED:
                return self._gone()
            if patience.expired or self.deadline.left() < TOO_LATE:
                return self._stayed(now, answer)
            self.world.pause(min(EVERY, self.deadline.left()))

    def _gone(self) -> Outcome:
        self.world.records.forget(self.world.instance)
        there = self.migrations.there(self.uuid, "", self.deadline.at_most(GLANCE).left())
        if there.answer.answered and not there.answer.active:
            return failed(
                f"{self.seen.where} has left for {self.target}, but libvirt there says that it does not run"
            )
        where = (
            f"where it is {there.answer.state}" if there.answer.active else "which was not asked with success"
        )
        return done(f"{self.seen.where} has left for {self.target}, {where}")

    def _stayed(self, now: Seen, answer: Answer) -> Outcome:
        why = answer.text or "libvirt says that it left, but its emulator is still here"
        here = self._settled()
        now = scan(self.world, self.seen.identity, self.deadline)
        if now.truth == STOPPED:  # it left after all, while its end was waited for
            return self._gone()
        there = self.migrations.there(self.uuid, "", self.deadline.at_most(GLANCE).left())
        removed = False
        if is_leftover(here, there):
            there = self._remove(there)
            removed = not there.answer.active
        place = whereabouts(here, there, self.world.host, self.target, removed)
        return failed(f"{now.where} did not migrate to {self.target}: {why}; {place}")

    def _settled(self) -> Standing:
        """Look until libvirt has put everything back after the end of its job, as long as there is time."""
        while True:
            here = self.migrations.here(self.uuid, self.deadline.at_most(GLANCE).left())
            if here.job != OUTGOING or in_postcopy(here) or self.deadline.left() < 2 * TOO_LATE:
                return here
            self.world.pause(min(EVERY, self.deadline.left()))

    def _remove(self, there: Standing) -> Standing:
        """Remove the rest at the target, unless libvirt there does it itself in a moment."""
        self.world.pause(min(EVERY, self.deadline.left()))
        answer = self.migrations.remove(self.uuid, self.deadline.at_most(GLANCE).left())
        if answer.answered:
            there.answer = answer
        return there


def whereabouts(here: Standing, there: Standing, host: str, target: str, removed: bool) -> str:
    """Say what runs where after a migration that failed."""
    us, them = here.answer, there.answer
    if us.state == "paused" and us.reason in ("postcopy", "postcopy-failed"):
        return (
            f"its memory is split over {host} and {target} ({us.reason}), and nothing is done about that here: "
            "virsh migrate --postcopy --postcopy-resume may join it, a stop through the cluster ends both"
        )
    if us.active and us.state == "paused":
        place = f"it is paused on {host} ({us.reason})"
    elif us.active:
        place = f"it goes on on {host}"
    else:
        place = f"libvirt on {host} does not say how it is ({us.text or us.kind})"
    if removed:
        return f"{place}; its rest on {target} was removed"
    if them.active:
        return f"{place}, and on {target} it is {them.state} {them.reason}".rstrip()
    if not them.answered:
        return f"{place}; whether anything of it is on {target} is not known ({them.text or them.kind})"
    return f"{place}, and nothing of it is on {target}"
