# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt says about one domain, and what it is asked to do, each in a child that can be abandoned.

Decides which kind of answer it was: known, absent, refused (nobody listens), hung (no answer in time), error.
Decides nothing about the domain. The parent never imports libvirt: that costs more than the rest of a monitor, and
a call into a hung libvirtd never comes back. Source: libvirt's virDomainState and virDomainPausedReason.
"""

from __future__ import annotations

from backstay.host.child import Broke, NoAnswer, ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

KNOWN, ABSENT, REFUSED, HUNG, ERROR, NOT_ASKED = "known", "absent", "refused", "hung", "error", "not asked"
STATES = ("nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended")
PAUSED_REASONS = (
    "unknown", "user", "migration", "save", "dump", "ioerror", "watchdog", "from-snapshot", "shutting-down",
    "snapshot", "crashed", "starting-up", "postcopy", "postcopy-failed", "api-error",
)  # fmt: skip
SHUTOFF_REASONS = (
    "unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from-snapshot", "daemon",
)  # fmt: skip
ACTIVE = ("running", "blocked", "paused", "shutdown", "pmsuspended")


class Answer:
    """What libvirt answered. `kind` is one of the words above; `state` and `reason` are words of STATES and the
    reasons' tables when it is KNOWN; `text` is libvirt's own sentence otherwise.

    `uuid` and `name` are those under which libvirt knows the domain, which need not be the ones asked for.
    """

    __slots__ = ("autostart", "kind", "name", "persistent", "reason", "saved", "state", "text", "uuid")

    def __init__(
        self,
        kind: str,
        *,
        state: str = "",
        reason: str = "",
        uuid: str = "",
        name: str = "",
        text: str = "",
        persistent: bool = False,
        saved: bool = False,
        autostart: bool = False,
    ) -> None:
        self.kind = kind
        self.state = state
        self.reason = reason
        self.uuid = uuid
        self.name = name
        self.text = text
        self.persistent = persistent
        self.saved = saved
        self.autostart = autostart

    @property
    def answered(self) -> bool:
        """Whether libvirt knows the domain, or knows that there is none."""
        return self.kind in (KNOWN, ABSENT)

    @property
    def active(self) -> bool:
        """Whether libvirt says that the domain runs in some way (a paused one does)."""
        return self.kind == KNOWN and self.state in ACTIVE

    def __repr__(self) -> str:
        said = " ".join(word for word in (self.state, self.reason, self.text) if word)
        return f"Answer({self.kind}: {said})"


class Libvirt:
    """libvirt on this host at `uri`. No method raises for what libvirt does: the answer says it."""

    __slots__ = ("_uri",)

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def describe(self, uuid: str, name: str, timeout: float) -> Answer:
        """Say what libvirt knows of the domain of that UUID, or else of that name; either may be empty."""
        return self._ask(lambda virt: virt.described(virt.domain(uuid, name)), timeout)

    def create(self, definition: str, timeout: float) -> Answer:
        """Make a transient domain, paused; a persistent one of the same name and UUID gets this definition.

        Abandoning the question does not end it: libvirtd may carry it out at any time later.
        """

        def question(virt: _Virt) -> dict[str, Any]:
            paused = virt.module.VIR_DOMAIN_START_PAUSED
            return virt.described(virt.connection.createXML(definition, paused))

        return self._ask(question, timeout)

    def resume(self, uuid: str, timeout: float) -> Answer:
        """Let a paused domain run."""

        def question(virt: _Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is not None:
                domain.resume()
            return virt.described(domain)

        return self._ask(question, timeout)

    def shut_down(self, uuid: str, timeout: float) -> Answer:
        """Ask the guest to shut down; a migration that somebody began is cancelled first."""

        def question(virt: _Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is not None:
                virt.cancel(domain)
                domain.shutdown()
            return virt.described(domain)

        return self._ask(question, timeout)

    def destroy(self, uuid: str, timeout: float) -> Answer:
        """End the domain at once."""

        def question(virt: _Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is not None and domain.isActive():
                domain.destroy()
            return virt.described(domain)

        return self._ask(question, timeout)

    def migrate(
        self,
        uuid: str,
        destination: str,
        flags: Sequence[str],
        settings: Mapping[str, int | str],
        timeout: float,
    ) -> Answer:
        """Migrate the domain; `flags` are names of virDomainMigrateFlags without their prefix.

        Abandoning the question does not end the migration: `cancel` does.
        """

        def question(virt: _Virt) -> dict[str, Any]:
            number = 0
            for flag in flags:
                number |= getattr(virt.module, f"VIR_MIGRATE_{flag}")
            virt.domain(uuid, "").migrateToURI3(destination, dict(settings), number)
            return {"kind": ABSENT}

        return self._ask(question, timeout)

    def cancel(self, uuid: str, timeout: float) -> Answer:
        """Cancel the job (migration, save, dump) of the domain if there is one."""

        def question(virt: _Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is not None:
                virt.cancel(domain)
            return virt.described(domain)

        return self._ask(question, timeout)

    def _ask(self, question: Callable[[_Virt], dict[str, Any]], timeout: float) -> Answer:
        uri = self._uri
        try:
            return Answer(**ask(lambda: _in_child(uri, question), timeout))
        except NoAnswer as silence:
            return Answer(HUNG, text=str(silence))
        except Broke as broke:
            return Answer(ERROR, text=str(broke))


class _Virt:
    """An open connection with its module; lives in the child only."""

    __slots__ = ("connection", "module")

    def __init__(self, module: Any, connection: Any) -> None:
        self.module = module
        self.connection = connection

    def domain(self, uuid: str, name: str) -> Any:
        """Give the domain of that UUID or else of that name, or None."""
        looks = [(self.connection.lookupByUUIDString, uuid), (self.connection.lookupByName, name)]
        for look, value in looks:
            if not value:
                continue
            try:
                return look(value)
            except self.module.libvirtError as error:
                if error.get_error_code() != self.module.VIR_ERR_NO_DOMAIN:
                    raise
        return None

    def described(self, domain: Any) -> dict[str, Any]:
        """Give the facts about a domain (None: there is none) as plain values."""
        if domain is None:
            return {"kind": ABSENT}
        try:
            return self._facts(domain)
        except self.module.libvirtError as error:
            if error.get_error_code() != self.module.VIR_ERR_NO_DOMAIN:
                raise
            return {"kind": ABSENT}  # a transient domain that ended while we asked

    def _facts(self, domain: Any) -> dict[str, Any]:
        state, reason = domain.state()
        persistent = bool(domain.isPersistent())
        return {
            "kind": KNOWN,
            "state": _word(STATES, state),
            "reason": _reason(_word(STATES, state), reason),
            "uuid": domain.UUIDString().lower(),
            "name": domain.name(),
            "persistent": persistent,
            "saved": persistent and bool(domain.hasManagedSaveImage(0)),
            "autostart": persistent and bool(domain.autostart()),
        }

    def cancel(self, domain: Any) -> None:
        """Cancel the job of an active domain, if it has one."""
        if not domain.isActive() or domain.jobInfo()[0] == self.module.VIR_DOMAIN_JOB_NONE:
            return
        try:
            domain.abortJob()
        except self.module.libvirtError as error:
            if error.get_error_code() != self.module.VIR_ERR_OPERATION_INVALID:  # it ended by itself
                raise


def _in_child(uri: str, question: Callable[[_Virt], dict[str, Any]]) -> dict[str, Any]:
    try:
        import libvirt
    except ImportError as error:
        return {"kind": REFUSED, "text": f"python3-libvirt cannot be used: {error}"}
    libvirt.registerErrorHandler(lambda *_ignored: None, None)
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        return {"kind": REFUSED, "text": str(error)}
    try:
        return question(_Virt(libvirt, connection))
    except libvirt.libvirtError as error:
        return {"kind": ERROR, "text": str(error)}


def _reason(state: str, reason: int) -> str:
    words = {"paused": PAUSED_REASONS, "shutoff": SHUTOFF_REASONS}.get(state)
    return "" if words is None else _word(words, reason)


def _word(words: Sequence[str], number: int) -> str:
    return words[number] if 0 <= number < len(words) else f"number {number}"
