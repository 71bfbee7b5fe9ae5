# SPDX-License-Identifier: GPL-2.0-or-later
"""Look at libvirtd as far as is needed to name its trouble; shared by the agent and the healer.

Decides how often to ask and when to look at the daemon. Never changes anything, except that a question to a
listening socket makes systemd start an idle libvirtd, which proves that it can start.
"""

from __future__ import annotations

from backstay.agents.libvirtd_health import Seen, advancing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from backstay.host.clock import Deadline
    from backstay.host.daemon import Daemon
    from backstay.host.jobs import Job
    from backstay.host.libvirt_ping import Ping
    from backstay.host.systemd import Unit

    class Watched(Protocol):
        """What can be looked at (host.libvirtd.Host)."""

        def ping(self, timeout: float) -> Ping: ...
        def units(self, timeout: float) -> tuple[Unit, tuple[Unit, ...]]: ...
        def look(self, pid: int) -> Daemon | None: ...
        def jobs(self) -> Sequence[Job]: ...
        def pause(self, seconds: float) -> None: ...


SYSTEMD_TIME = 4.0  # seconds that systemd gets to describe its units
JOB_LOOK = 1.0  # seconds between two looks at the guests' jobs when no question lies between them
RESERVE = 3.0  # seconds of an action that are kept for what follows from the observation


def observe(host: Watched, answer_within: float, deadline: Deadline, earlier: Daemon | None = None) -> Seen:
    """Ask; when there is no answer, look closer, and ask again unless somebody asked in vain before.

    `earlier` is a look at the daemon from after an earlier question without an answer.
    Raises CannotAsk when systemd does not answer.
    """
    ping = host.ping(min(answer_within, deadline.left()))
    if ping.kind in ("answered", "unasked"):
        return Seen(ping)
    service, sockets = host.units(min(SYSTEMD_TIME, deadline.left()))
    now = host.look(service.pid)
    if now is None:
        return Seen(ping, service, sockets, asked=1)
    jobs = host.jobs()
    if (
        ping.kind != "silent"
        or now.same_as(earlier)
        or deadline.left() < answer_within + SYSTEMD_TIME + RESERVE
    ):
        host.pause(JOB_LOOK if jobs else 0.0)
        asked = 2 if now.same_as(earlier) else 1
        return Seen(ping, service, sockets, earlier, now, asked, advancing(jobs, host.jobs()))
    ping = host.ping(answer_within)
    if ping.kind == "answered":
        return Seen(ping, service, sockets, now, now, asked=1)
    service, sockets = host.units(min(SYSTEMD_TIME, deadline.left()))
    return Seen(ping, service, sockets, now, host.look(service.pid), 2, advancing(jobs, host.jobs()))
