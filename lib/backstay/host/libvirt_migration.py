# SPDX-License-Identifier: GPL-2.0-or-later
"""A live migration as libvirt carries it out: begun, followed, limited, switched to post-copy, cleaned up after.

Decides nothing about it. Every question has its own child and its own deadline, so that a libvirtd that hangs in
between costs one look. The migration itself is a question that goes on while others are asked; abandoning it ends
nothing, since libvirtd carries it out peer to peer. Source: libvirt's virDomainGetJobStats and virDomainJobOperation.
"""

from __future__ import annotations

from backstay.host import libvirt
from backstay.host.child import Broke, NoAnswer, Pending, ask
from backstay.host.libvirt import Answer, Libvirt, in_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from backstay.host.libvirt import Virt

NO_JOB, OUTGOING, INCOMING, UNKNOWN_JOB = "", "migration out", "migration in", "a job"
# virDomainJobOperation
OPERATIONS = (
    UNKNOWN_JOB, "a start", "a save", "a restore", INCOMING, OUTGOING, "a snapshot", "a return to a snapshot", "a dump",
    "a backup", "the deletion of a snapshot",
)  # fmt: skip
UNFED = ("migration", "starting-up")  # paused: an incoming guest that has not come


class Standing:
    """How a domain stands with one libvirt: what `answer` says of it, and the job that it is in the middle of.

    Seconds, bytes, bytes per second. `passes` counts how often all memory that was written since has been sent.
    `throttle` is the share of its time that the guest is kept from running, in percent.
    """

    __slots__ = (
        "answer",
        "dirty",
        "elapsed",
        "job",
        "passes",
        "processed",
        "rate",
        "remaining",
        "throttle",
        "total",
    )

    def __init__(
        self,
        answer: Answer,
        job: str = NO_JOB,
        *,
        elapsed: float = 0.0,
        total: int = 0,
        processed: int = 0,
        remaining: int = 0,
        rate: int = 0,
        dirty: int = 0,
        passes: int = 0,
        throttle: int = 0,
    ) -> None:
        self.answer = answer
        self.job = job
        self.elapsed = elapsed
        self.total = total
        self.processed = processed
        self.remaining = remaining
        self.rate = rate
        self.dirty = dirty
        self.passes = passes
        self.throttle = throttle

    def __repr__(self) -> str:
        return f"Standing({self.answer}, {self.job!r}, {self.remaining} of {self.total} left)"


class Running:
    """A migration that libvirt was asked for."""

    __slots__ = ("_pending",)

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def wait(self, timeout: float) -> Answer | None:
        """Wait at most these seconds; give libvirt's answer, ABSENT when the guest has left, None when it goes on."""
        try:
            return Answer(**self._pending.answer()) if self._pending.wait(timeout) else None
        except Broke as broke:
            return Answer(libvirt.ERROR, text=str(broke))

    def abandon(self) -> None:
        """Ask no more; to be called at the end, whatever became of it."""
        self._pending.abandon()


class Migrations:
    """The libvirt here (`uri`) and the one at the target (`remote`). No method raises for what libvirt does."""

    __slots__ = ("_remote", "_uri")

    def __init__(self, uri: str, remote: str) -> None:
        self._uri = uri
        self._remote = remote

    def here(self, uuid: str, timeout: float) -> Standing:
        """Say how the domain stands with the libvirt here."""
        return _standing(self._uri, uuid, "", timeout)

    def there(self, uuid: str, name: str, timeout: float) -> Standing:
        """Say how the domain of that UUID, or else one of that name, stands with the libvirt at the target."""
        return _standing(self._remote, uuid, name, timeout)

    def begin(
        self, uuid: str, flags: Sequence[str], settings: Mapping[str, int | str | list[str]]
    ) -> Running:
        """Begin to migrate the domain; `flags` are names of virDomainMigrateFlags without their prefix."""
        uri, remote = self._uri, self._remote

        def question(virt: Virt) -> dict[str, Any]:
            number = 0
            for flag in flags:
                number |= getattr(virt.module, f"VIR_MIGRATE_{flag}")
            domain = virt.domain(uuid, "")
            if domain is not None:
                domain.migrateToURI3(remote, dict(settings), number)
            return {"kind": libvirt.ABSENT}

        return Running(Pending(lambda: in_child(uri, question)))

    def limit_downtime(self, uuid: str, milliseconds: int, timeout: float) -> Answer:
        """Set the longest pause at the end of a migration."""
        return self._of(uuid, lambda domain: domain.migrateSetMaxDowntime(milliseconds, 0), timeout)

    def switch(self, uuid: str, timeout: float) -> Answer:
        """Switch the migration that is going on to post-copy."""
        return self._of(uuid, lambda domain: domain.migrateStartPostCopy(0), timeout)

    def remove(self, uuid: str, timeout: float) -> Answer:
        """End the domain at the target if it is paused there as a guest that has not come; give what is then there."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            seen = virt.described(domain)
            if seen.get("state") == "paused" and seen.get("reason") in UNFED:
                domain.destroy()
            return virt.described(domain)

        return Libvirt(self._remote).ask(question, timeout)

    def _of(self, uuid: str, deed: Callable[[Any], object], timeout: float) -> Answer:
        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is not None:
                deed(domain)
            return virt.described(domain)

        return Libvirt(self._uri).ask(question, timeout)


def _standing(uri: str, uuid: str, name: str, timeout: float) -> Standing:
    try:
        told = ask(lambda: in_child(uri, lambda virt: {"kind": "", "told": _told(virt, uuid, name)}), timeout)
    except NoAnswer as silence:
        return Standing(Answer(libvirt.HUNG, text=str(silence)))
    except Broke as broke:
        return Standing(Answer(libvirt.ERROR, text=str(broke)))
    if "told" not in told:
        return Standing(Answer(**told))
    described, job = told["told"]
    return Standing(Answer(**described), **job)


def _told(virt: Virt, uuid: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    domain = virt.domain(uuid, name)
    described = virt.described(domain)
    if described["kind"] != libvirt.KNOWN or not domain.isActive():
        return described, {}
    try:
        return described, _job(virt, domain.jobStats())
    except virt.module.libvirtError as error:
        if error.get_error_code() not in (
            virt.module.VIR_ERR_NO_DOMAIN,
            virt.module.VIR_ERR_OPERATION_INVALID,
        ):
            raise
        return virt.described(domain), {}


def _job(virt: Virt, said: Mapping[str, Any]) -> dict[str, Any]:
    """Read virDomainGetJobStats: milliseconds, bytes, pages."""
    if said.get("type", 0) == virt.module.VIR_DOMAIN_JOB_NONE:
        return {}
    operation = said.get("operation", 0)
    return {
        "job": OPERATIONS[operation] if 0 <= operation < len(OPERATIONS) else UNKNOWN_JOB,
        "elapsed": said.get("time_elapsed", 0) / 1000,
        "total": said.get("data_total", 0),
        "processed": said.get("data_processed", 0),
        "remaining": said.get("data_remaining", 0),
        "rate": said.get("memory_bps", 0),
        "dirty": said.get("memory_dirty_rate", 0) * said.get("memory_page_size", 4096),
        "passes": said.get("memory_iteration", 0),
        "throttle": said.get("auto_converge_throttle", 0),
    }
