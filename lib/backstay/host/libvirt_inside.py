# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt knows of the inside of a domain: its monitor connection, disks, block jobs, guest agent.

Decides which kind of answer came, nothing about the domain. Two questions, because the first needs no word from the
emulator and the second does: so an emulator that does not answer is told apart from a libvirtd that does not. Asking
the guest agent taints the domain once in libvirt's log (custom-ga-command); in return libvirtd itself gives up in time.
"""

from __future__ import annotations

from backstay.host import libvirt
from backstay.host.libvirt import asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from backstay.host.libvirt import Virt

CONTROLS = ("ok", "job", "occupied", "error")  # virDomainControlState
ERRORS = ("none", "unspecified", "no space")  # virDomainDiskErrorCode
JOBS = ("unknown job", "pull", "copy", "commit", "active commit", "backup")  # virDomainBlockJobType
QUICK = 0.4  # of the time, for the question that needs no emulator
PING = '{"execute":"guest-ping"}'
CHANNEL = "org.qemu.guest_agent.0"
SYNC = 5.0  # seconds in which libvirtd itself gives up an agent that does not even synchronise (libvirt 9.0)
REPLY = 1.0  # seconds that libvirtd gets besides those of the guest


class Inside:
    """What libvirt said; `kind` is a word of host.libvirt.

    `control` is how its connection to the emulator is (a word of CONTROLS, empty when it did not say) and `seconds` for
    how long it has been so; `errors` are disks with an error, `jobs` block jobs as (disk, kind, done, total bytes).
    """

    __slots__ = ("control", "errors", "jobs", "kind", "seconds", "text")

    def __init__(
        self,
        kind: str,
        *,
        text: str = "",
        control: str = "",
        seconds: float = 0.0,
        errors: dict[str, str] | None = None,
        jobs: tuple[tuple[str, str, int, int], ...] = (),
    ) -> None:
        self.kind = kind
        self.text = text
        self.control = control
        self.seconds = seconds
        self.errors = errors or {}
        self.jobs = jobs


class AgentAnswer:
    """What came from a guest agent. `kind` is answered, none (the definition has none), disconnected (nobody in the
    guest has opened its channel), silent, or unasked; `text` says why.
    """

    __slots__ = ("kind", "text")

    def __init__(self, kind: str, text: str = "") -> None:
        self.kind = kind
        self.text = text


class LibvirtInside:
    """The libvirt of this host at `uri`. No method raises for what libvirt does."""

    __slots__ = ("_uri",)

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def look(self, uuid: str, timeout: float) -> Inside:
        """Look at the active domain of that UUID, within `timeout` seconds."""
        control = asked(self._uri, lambda virt: _control(virt, uuid), timeout * QUICK)
        if control["kind"] != libvirt.KNOWN or control["control"] == "error":
            return Inside(**control)
        return Inside(
            **{**control, **asked(self._uri, lambda virt: _disks(virt, uuid), timeout * (1 - QUICK))}
        )

    def ping_agent(self, uuid: str, timeout: float) -> AgentAnswer:
        """Ask the guest agent whether it is there, in `timeout` seconds; with less than 7 silence is unasked."""
        seconds = max(1, int(timeout - SYNC - REPLY))
        answer = asked(self._uri, lambda virt: _ping(virt, uuid, seconds), timeout)
        if answer["kind"] != libvirt.KNOWN:
            return AgentAnswer("unasked", str(answer.get("text", answer["kind"])))
        return AgentAnswer(str(answer["agent"]), str(answer.get("text", "")))


def _control(virt: Virt, uuid: str) -> dict[str, Any]:
    domain = virt.domain(uuid, "")
    if domain is None:
        return {"kind": libvirt.ABSENT}
    state, _details, milliseconds = domain.controlInfo()
    word = CONTROLS[state] if 0 <= state < len(CONTROLS) else f"number {state}"
    return {"kind": libvirt.KNOWN, "control": word, "seconds": milliseconds / 1000}


def _disks(virt: Virt, uuid: str) -> dict[str, Any]:
    domain = virt.domain(uuid, "")
    if domain is None:
        return {"kind": libvirt.ABSENT}
    errors = {disk: ERRORS[min(code, 2)] for disk, code in domain.diskErrors().items() if code}
    jobs = []
    for disk in _targets(domain.XMLDesc()):
        try:
            job = domain.blockJobInfo(disk)
        except virt.module.libvirtError:  # an empty drive has none and says so
            continue
        if job:
            kind = JOBS[job["type"]] if job["type"] < len(JOBS) else JOBS[0]
            jobs.append((disk, kind, int(job["cur"]), int(job["end"])))
    return {"kind": libvirt.KNOWN, "errors": errors, "jobs": tuple(jobs)}


def _ping(virt: Virt, uuid: str, seconds: int) -> dict[str, Any]:
    import libvirt_qemu

    domain = virt.domain(uuid, "")
    if domain is None:
        return {"kind": libvirt.ABSENT, "text": "libvirt does not know the domain"}
    state = _agent_channel(domain.XMLDesc())
    if state is None:
        return {"kind": libvirt.KNOWN, "agent": "none"}
    if state != "connected":
        return {"kind": libvirt.KNOWN, "agent": "disconnected"}
    try:
        libvirt_qemu.qemuAgentCommand(domain, PING, seconds, 0)
    except virt.module.libvirtError as error:
        if error.get_error_code() != virt.module.VIR_ERR_AGENT_UNRESPONSIVE:
            raise
        return {"kind": libvirt.KNOWN, "agent": "silent", "text": str(error)}
    return {"kind": libvirt.KNOWN, "agent": "answered"}


def _targets(xml: str) -> list[str]:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(xml)
    return [target.get("dev", "") for target in root.iterfind("devices/disk/target")]


def _agent_channel(xml: str) -> str | None:
    """Give the state of the guest agent's channel (connected, disconnected); None when there is no such channel."""
    from xml.etree import ElementTree

    root = ElementTree.fromstring(xml)
    for target in root.iterfind("devices/channel/target"):
        if target.get("name") == CHANNEL:
            return target.get("state", "disconnected")
    return None
