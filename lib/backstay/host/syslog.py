# SPDX-License-Identifier: GPL-2.0-or-later
"""One line to this host's system log, without ever waiting for it.

Decides to lose a line rather than to wait. The C library's syslog(3) waits for ever once a log daemon that hangs has
its queue full (journald on a dead disk, say); a stop that has proven its guest gone would then be killed, and its
host fenced, for the sake of a log line. Source: RFC 3164, syslog(3).
"""

from __future__ import annotations

import contextlib
import socket
import time

SOCKET = "/dev/log"
DAEMON = 3 << 3  # the facility
BRIEFLY = 0.02  # seconds for a daemon that is only behind


def send(priority: int, tag: str, text: str, path: str = SOCKET) -> None:
    """Send one line with a syslog priority (0 to 7); nothing happens when nobody takes it."""
    when = time.strftime("%b %e %H:%M:%S")
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.settimeout(BRIEFLY)
        log.connect(path)
        log.send(f"<{DAEMON | priority}>{when} {tag}: {text}".encode())
