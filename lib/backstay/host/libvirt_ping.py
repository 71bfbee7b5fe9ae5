# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether libvirtd works: one question that goes all the way, with a deadline.

Decides which kind of answer came back. The question is `getAllDomainStats` for the state of each domain. Unlike most
cheap calls it has no high priority in libvirt's protocol (remote_protocol.x), so it needs one of the ordinary
workers: calls of high priority are answered even when those are all stuck. (libvirt 9.0 needs one already to open a
connection; that is nothing to rely on.) It also needs the hypervisor driver and each domain's lock, it changes
nothing and talks to no emulator.

It is asked on the socket for reading and writing, because that is what whoever manages domains needs.
"""

from __future__ import annotations

import time

from backstay.host.child import Broke, NoAnswer, ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ANSWERED, REFUSED, SILENT, DRIVERLESS, UNASKED = "answered", "refused", "silent", "driverless", "unasked"
URI = "qemu:///system"
VIR_ERR_NO_CONNECT = 5
NOT_FOR_US = (
    29,
    45,
    79,
    94,
    88,
)  # operation denied; authentication failed, cancelled, unavailable; access denied


class Ping:
    """What became of the question. `seconds` is how long it took, `domains` the names of those that run.

    UNASKED means that this host cannot ask at all (no usable python3-libvirt, a child that was killed, or a libvirtd
    that wants a password of root), which says nothing about whether libvirtd works.
    """

    __slots__ = ("domains", "kind", "seconds", "text")

    def __init__(
        self, kind: str, text: str = "", seconds: float = 0.0, domains: tuple[str, ...] = ()
    ) -> None:
        self.kind = kind
        self.text = text
        self.seconds = seconds
        self.domains = domains

    def __repr__(self) -> str:
        return f"Ping({self.kind} {self.text!r} {self.seconds:.3f}s {self.domains!r})"


def ping(timeout: float, uri: str = URI) -> Ping:
    """Ask, in a child that is abandoned after `timeout` seconds; never raises for what libvirtd does."""
    began = time.monotonic()
    try:
        kind, text, domains = ask(lambda: _in_child(uri), timeout)
    except NoAnswer as silence:
        return Ping(SILENT, str(silence), time.monotonic() - began)
    except Broke as broke:
        return Ping(UNASKED, str(broke), time.monotonic() - began)
    return Ping(kind, text, time.monotonic() - began, domains)


def _in_child(uri: str) -> tuple[str, str, tuple[str, ...]]:
    try:
        import libvirt
    except ImportError as error:
        return UNASKED, f"python3-libvirt cannot be used: {error}", ()
    libvirt.registerErrorHandler(lambda *_ignored: None, None)
    try:
        connection = libvirt.open(uri)
        states = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
    except libvirt.libvirtError as error:
        return _refusal(error), str(error), ()
    return ANSWERED, "", tuple(domain.name() for domain, facts in states if _active(libvirt, facts))


def _refusal(error: Any) -> str:
    """Tell a libvirtd without the hypervisor's driver, or one that wants a password, from one that is not there."""
    code = error.get_error_code()
    if code in NOT_FOR_US:
        return UNASKED
    return DRIVERLESS if code == VIR_ERR_NO_CONNECT else REFUSED


def _active(libvirt: Any, facts: dict[str, Any]) -> bool:
    return facts.get("state.state") not in (
        libvirt.VIR_DOMAIN_NOSTATE, libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED,
    )  # fmt: skip
