# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a domain is known to libvirt on other hosts of the cluster: who can be asked, and what each one says.

Decides who is asked (hosts that may run guests as far as this partition of the cluster knows) and what kind of answer
came back. Decides nothing about the domain. All hosts are asked at once, in threads of one child that is abandoned at
the deadline: a child of its own for each would cost an import of libvirt for each, which is most of the price.
Source: crm_mon(8) of Pacemaker 2.1.5; libvirt 9.0.
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host.child import Broke, NoAnswer, ask
from backstay.host.libvirt import ABSENT, ERROR, HELD, HUNG, KNOWN, REFUSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Said = tuple[str, str, str, bool, str, bool]

OWN_TIME = 0.3  # seconds that the child keeps for handing over what it has got
QUIET = "no_tty=1"  # ssh must not ask for a password: nobody is there to type it
IDLE = 10_000_000  # nanoseconds, one tick of the kernel: what the creation of a CPU may cost
TOOL = ["crm_mon", "--one-shot", "--output-as=xml", "--include=none,nodes"]


class Sighting:
    """What one host's libvirt says; `kind`, `state` and `reason` are words as in host.libvirt.Answer.

    `busy`: a migration or another job of the domain is under way there, as far as can be told. `held`: an agent
    created it there and never let it run.
    """

    __slots__ = ("busy", "held", "host", "kind", "reason", "state", "text")

    def __init__(
        self,
        host: str,
        kind: str,
        state: str = "",
        reason: str = "",
        busy: bool = False,
        text: str = "",
        held: bool = False,
    ) -> None:
        self.held = held
        self.host = host
        self.kind = kind
        self.state = state
        self.reason = reason
        self.busy = busy
        self.text = text

    def __repr__(self) -> str:
        return (
            f"Sighting({self.host}: {self.kind} {self.state} {self.reason} {self.text}{' busy' * self.busy})"
        )


class Elsewhere:
    """The other hosts as this one (its name in the cluster is `own`) sees them; `uri_at` gives the way to a host's
    libvirt, `here` is the URI of this host's own.
    """

    __slots__ = ("_here", "_own", "_uri_at")

    def __init__(self, own: str, here: str, uri_at: Callable[[str], str]) -> None:
        self._own = own
        self._here = here
        self._uri_at = uri_at

    def hosts(self, timeout: float) -> tuple[str, ...]:
        """Give the other hosts that can be asked; raises CannotAsk. `timeout` is in seconds."""
        from backstay.host.process import run

        asked = run(TOOL, timeout=timeout)
        if not asked.ok:
            raise CannotAsk(f"{TOOL[0]}: {asked.complaint()}")
        return askable(asked.stdout, self._own)

    def look(self, hosts: Sequence[str], uuid: str, name: str, timeout: float) -> tuple[Sighting, ...]:
        """Ask these hosts at once; one that gave no answer in time is HUNG."""
        return sightings({host: self._uri_at(host) for host in hosts}, uuid, name, timeout)

    def here(self, uuid: str, name: str, timeout: float) -> Sighting:
        """Ask the libvirt of this host the same."""
        return sightings({self._own: self._here}, uuid, name, timeout)[0]

    def lock_manager(self) -> str:
        """Give libvirt's lock manager on this host: lockd, sanlock, or an empty text when there is none."""
        return lock_manager(self._here)


def askable(shown: str, own: str) -> tuple[str, ...]:
    """Give the hosts of crm_mon's XML that may run guests now; raises CannotAsk when it is none.

    Offline hosts are skipped: they are down or were fenced, and a dead host would cost the whole time for asking. One
    that is unclean is asked even when it is offline: with working fencing nothing starts before it is dead, so a start
    beside it means that nothing but this question protects the disks. Guest nodes are no hosts.
    """
    from xml.etree import ElementTree as ET

    try:
        nodes = [node.attrib for node in ET.fromstring(shown).iterfind("nodes/node")]
    except ET.ParseError as error:
        raise CannotAsk(f"{TOOL[0]} does not speak XML: {error}") from error
    found = [node for node in nodes if "true" in (node.get("online"), node.get("unclean"))]
    names = [node.get("name", "") for node in found if "id_as_resource" not in node]
    return tuple(sorted({name for name in names if name and name != own}))


def sightings(uris: Mapping[str, str], uuid: str, name: str, timeout: float) -> tuple[Sighting, ...]:
    """Ask the libvirt behind each URI for the domain of that UUID, or of that name when there is no UUID."""
    if not uris:
        return ()
    said: dict[str, Said] = {}
    silence: Said = (HUNG, "", "", False, f"no answer within {timeout:.1f} s", False)
    try:
        said = ask(lambda: _in_child(uris, uuid, name, max(0.1, timeout - OWN_TIME)), timeout)
    except NoAnswer:
        pass
    except Broke as broke:
        silence = (ERROR, "", "", False, str(broke), False)
    return tuple(Sighting(host, *said.get(host, silence)) for host in uris)


def _in_child(uris: Mapping[str, str], uuid: str, name: str, timeout: float) -> dict[str, Said]:
    import threading
    import time

    try:
        import libvirt
    except ImportError as error:
        return dict.fromkeys(
            uris, (REFUSED, "", "", False, f"python3-libvirt cannot be used: {error}", False)
        )
    libvirt.registerErrorHandler(lambda *_ignored: None, None)
    said: dict[str, Said] = {}

    def one(host: str, uri: str) -> None:
        said[host] = _said(libvirt, quiet(uri), uuid, name)

    threads = [threading.Thread(target=one, args=item, daemon=True) for item in uris.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(said)


def _said(libvirt: Any, uri: str, uuid: str, name: str) -> Said:
    from backstay.host.libvirt import Virt

    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        return REFUSED, "", "", False, str(error), False
    try:
        virt = Virt(libvirt, connection)
        domain = virt.domain(uuid, "" if uuid else name)
        facts = virt.described(domain)
        if facts["kind"] != KNOWN:
            return ABSENT, "", "", False, "", False
        held = facts["state"] == "paused" and _held(libvirt, domain)
        return KNOWN, facts["state"], facts["reason"], _busy(libvirt, domain), "", held
    except libvirt.libvirtError as error:
        return ERROR, "", "", False, str(error), False


def _busy(libvirt: Any, domain: Any) -> bool:
    """Whether a job is under way; the target of a migration has one that libvirt refuses to describe."""
    try:
        return bool(domain.isActive() and domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
    except libvirt.libvirtError as error:
        return error.get_error_code() not in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_SUPPORT)


def _held(libvirt: Any, domain: Any) -> bool:
    """Whether the paused domain was created by an agent and never let run, by that agent or by anybody.

    Its mark is removed before an agent lets it run. Somebody else who did would not remove it; but a CPU of a guest
    that ever ran has used time (measured: 20 ms after 50 ms, none at all while it is held, whatever the time).
    """
    try:
        domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, HELD, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        cpus = domain.vcpus()[0]
    except libvirt.libvirtError:
        return False
    return bool(cpus) and all(cpu[2] <= IDLE for cpu in cpus)


def quiet(uri: str) -> str:
    """Give the URI for a question that nobody sits in front of."""
    if "+ssh" not in uri.partition("://")[0] or "no_tty=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{QUIET}"


def lock_manager(uri: str) -> str:
    """Read libvirt's own configuration of the QEMU driver that the URI means; the last line counts."""
    import os

    place = "/etc/libvirt/qemu.conf"
    if uri.partition("?")[0].endswith("/session"):
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
        place = f"{home}/libvirt/qemu.conf"
    try:
        with open(place, encoding="utf-8", errors="replace") as text:  # noqa: PTH123
            return configured(text.read())
    except OSError:
        return ""


def configured(text: str) -> str:
    """Give the lock manager that a qemu.conf names."""
    found = ""
    for line in text.splitlines():
        name, is_set, value = line.partition("=")
        if is_set and name.strip() == "lock_manager":
            found = value.partition("#")[0].strip().strip("\"'")
    return "" if found == "nop" else found
