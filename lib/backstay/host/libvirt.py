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
    from collections.abc import Callable, Sequence
    from typing import Any

KNOWN, ABSENT, REFUSED, HUNG, ERROR, NOT_ASKED = "known", "absent", "refused", "hung", "error", "not asked"
LIBVIRT = "libvirt"
STATES = ("nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended")
PAUSED_REASONS = (
    "unknown", "user", "migration", "save", "dump", "ioerror", "watchdog", "from-snapshot", "shutting-down",
    "snapshot", "crashed", "starting-up", "postcopy", "postcopy-failed", "api-error",
)  # fmt: skip
SHUTOFF_REASONS = (
    "unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from-snapshot", "daemon",
)  # fmt: skip
# in the metadata of a domain that an agent created and has not let run (domain_birth writes it)
HELD = "urn:backstay:held"
ACTIVE = ("running", "blocked", "paused", "shutdown", "pmsuspended")


class Answer:
    """What libvirt answered. `kind` is one of the words above; `state` and `reason` are words of STATES and the
    reasons' tables when it is KNOWN; `text` is libvirt's own sentence otherwise.

    `uuid` and `name` are those under which libvirt knows the domain, which need not be the ones asked for.
    Where libvirt did not answer, somebody else may have: `by` says who, and why it was not libvirt. `still` is for how
    many seconds none of the guest's processors was seen to run; 0.0 when one was, or nobody watched.
    """

    __slots__ = (
        "autostart", "by", "kind", "name", "persistent", "reason", "saved", "state", "still", "text", "uuid",
    )  # fmt: skip

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
        by: str = LIBVIRT,
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
        self.by = by
        self.still = 0.0

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
        return self.ask(lambda virt: virt.described(virt.domain(uuid, name)), timeout)

    def create(self, definition: str, timeout: float) -> Answer:
        """Make a transient domain, paused; a persistent one of the same name and UUID gets this definition.

        Abandoning the question does not end it: libvirtd may carry it out at any time later.
        """

        def question(virt: Virt) -> dict[str, Any]:
            paused = virt.module.VIR_DOMAIN_START_PAUSED
            return virt.described(virt.connection.createXML(definition, paused))

        return self.ask(question, timeout)

    def resume(self, uuid: str, timeout: float) -> Answer:
        """Let a paused domain run; from before that on it is not one any more that an agent only created."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is not None:
                virt.unmark(domain)
                domain.resume()
            return virt.described(domain)

        return self.ask(question, timeout)

    def shut_down(self, uuid: str, mode: str, timeout: float) -> Answer:
        """Ask the guest to shut down by one of virsh's modes; a migration that somebody began is cancelled first."""

        def question(virt: Virt) -> dict[str, Any]:
            from backstay.host.libvirt_shutdown import request

            domain = virt.domain(uuid, "")
            if domain is not None:
                virt.cancel(domain)
                request(virt.module, domain, mode)
            return virt.described(domain)

        return self.ask(question, timeout)

    def destroy(self, uuid: str, timeout: float) -> Answer:
        """End the domain at once."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is not None and domain.isActive():
                domain.destroy()
            return virt.described(domain)

        return self.ask(question, timeout)

    def cancel(self, uuid: str, timeout: float) -> Answer:
        """Cancel the job (migration, save, dump) of the domain if there is one."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is not None:
                virt.cancel(domain)
            return virt.described(domain)

        return self.ask(question, timeout)

    def ask(self, question: Callable[[Virt], dict[str, Any]], timeout: float) -> Answer:
        """Ask something of one's own: `question` gets an open connection and gives the arguments of an Answer.

        It runs in a child, so it returns plain values and changes nothing here. `timeout` is in seconds.
        """
        return Answer(**asked(self._uri, question, timeout))


def asked(uri: str, question: Callable[[Virt], dict[str, Any]], timeout: float) -> dict[str, Any]:
    """Give what `question` gives of the libvirt at `uri`, or kind and text of what went wrong; see Libvirt.ask."""
    try:
        answer: dict[str, Any] = ask(lambda: in_child(uri, question), timeout)
    except NoAnswer as silence:
        return {"kind": HUNG, "text": str(silence)}
    except Broke as broke:
        return {"kind": ERROR, "text": str(broke)}
    return answer


class Virt:
    """An open connection with its module libvirt; lives in the child only."""

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

    def unmark(self, domain: Any) -> None:
        """Remove the mark of a domain that was not let run; without it nothing happens."""
        kind, live = self.module.VIR_DOMAIN_METADATA_ELEMENT, self.module.VIR_DOMAIN_AFFECT_LIVE
        try:
            domain.setMetadata(kind, None, "backstay", HELD, live)
        except self.module.libvirtError as error:
            if error.get_error_code() not in (
                self.module.VIR_ERR_NO_SUPPORT,
                self.module.VIR_ERR_NO_DOMAIN_METADATA,
            ):
                raise

    def cancel(self, domain: Any) -> None:
        """Cancel the job of an active domain, if it has one."""
        # it ended by itself; a driver without jobs
        harmless = (self.module.VIR_ERR_OPERATION_INVALID, self.module.VIR_ERR_NO_SUPPORT)
        try:
            if domain.isActive() and domain.jobInfo()[0] != self.module.VIR_DOMAIN_JOB_NONE:
                domain.abortJob()
        except self.module.libvirtError as error:
            if error.get_error_code() not in harmless:
                raise


def in_child(uri: str, question: Callable[[Virt], dict[str, Any]]) -> dict[str, Any]:
    """Connect to libvirt at `uri` and give what `question` gives, or kind and text of what went wrong.

    To be called in a child (host.child): it imports libvirt, and it may never return.
    """
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
        return question(Virt(libvirt, connection))
    except libvirt.libvirtError as error:
        return {"kind": ERROR, "text": str(error)}


def _reason(state: str, reason: int) -> str:
    words = {"paused": PAUSED_REASONS, "shutoff": SHUTOFF_REASONS}.get(state)
    return "" if words is None else _word(words, reason)


def _word(words: Sequence[str], number: int) -> str:
    return words[number] if 0 <= number < len(words) else f"number {number}"
