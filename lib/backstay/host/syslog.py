# SPDX-License-Identifier: GPL-2.0-or-later
"""One line to this host's system log, without ever waiting for it.

Decides to lose a line rather than to wait. The C library's syslog(3) waits for ever once a log daemon that hangs has
its queue full (journald on a dead disk, say); a stop that has proven its guest gone would then be killed, and its
host fenced, for the sake of a log line. The journal's own socket takes fields beside the text; where it is not there,
the line goes to syslog without them. Source: RFC 3164, syslog(3), systemd's "Native Journal Protocol".
"""

from __future__ import annotations

import contextlib
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET = "/dev/log"
JOURNAL = "/run/systemd/journal/socket"
FACILITY = 3  # a daemon's
DAEMON = FACILITY << 3
BRIEFLY = 0.02  # seconds for a daemon that is only behind


def send(
    priority: int,
    tag: str,
    text: str,
    path: str = SOCKET,
    fields: Mapping[str, str] | None = None,
    journal: str = JOURNAL,
) -> None:
    """Send one line with a syslog priority (0 to 7); nothing happens when nobody takes it.

    `fields` are names in capitals with their values; an empty value is left out. A tag may end with [INSTANCE].
    """
    if fields and _sent(_entry(priority, tag, text, fields), journal):
        return
    when = time.strftime("%b %e %H:%M:%S")
    _sent(f"<{DAEMON | priority}>{when} {tag}: {text}".encode(), path)


def _sent(data: bytes, path: str) -> bool:
    """Whether a daemon is there; one that is and hangs is not tried in another way."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.settimeout(BRIEFLY)
        log.connect(path)
        with contextlib.suppress(OSError):
            log.send(data)
        return True
    return False


def _entry(priority: int, tag: str, text: str, fields: Mapping[str, str]) -> bytes:
    """The journal's datagram; a tag is taken apart as journald does with a line that comes by syslog."""
    name, bracket, instance = tag.partition("[")
    pairs = {
        "MESSAGE": text,
        "PRIORITY": str(priority),
        "SYSLOG_FACILITY": str(FACILITY),
        "SYSLOG_IDENTIFIER": name,
        "SYSLOG_PID": instance.removesuffix("]") if bracket else "",
        **fields,
    }
    # A value with a line break would need the protocol's other form: nobody here has one.
    lines = (f"{key}={' '.join(value.splitlines())}\n" for key, value in pairs.items() if value)
    return "".join(lines).encode("utf-8", "surrogateescape")
