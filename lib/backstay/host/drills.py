# SPDX-License-Identifier: GPL-2.0-or-later
"""How a drill touches the cluster: node attributes, and the order to fence that is given to Pacemaker's fencer.

Decides nothing. What must outlast a membership is a permanent attribute (CIB), standby is a transient one. Source:
crm_attribute(8), attrd_updater(8), stonith_admin(8) of Pacemaker 2.1.5.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lxml import etree

from backstay.errors import BackstayError, CannotAsk
from backstay.host.crm_mon import cluster
from backstay.host.process import run

LOCK = "/run/backstay/drill.lock"
STANDBY = "standby"
TAG = "backstay-drill"
TOOL_TIME = 30.0  # seconds for a tool of the cluster
AGENTS_TIME = 120  # seconds that stonith_admin gives a device that has no time of its own
ORDER_TIME = 900.0  # seconds after which nobody waits for stonith_admin any more


def remember(host: str, name: str, value: str) -> None:
    """Give a host a permanent attribute; CannotAsk when the cluster does not take it."""
    _tell(["crm_attribute", "--type", "nodes", "--node", host, "--name", name, "--update", value])


def forget(host: str, name: str) -> None:
    """Take a permanent attribute away."""
    _tell(["crm_attribute", "--type", "nodes", "--node", host, "--name", name, "--delete"])


def permanent(cib: etree._Element, name: str) -> dict[str, str]:
    """The values of a permanent attribute by host."""
    pairs = cib.iterfind(f"configuration/nodes/node/instance_attributes/nvpair[@name='{name}']")
    holders = ((next(pair.iterancestors("node")), pair) for pair in pairs)
    return {node.get("uname", ""): pair.get("value", "") for node, pair in holders}


def set_aside(host: str) -> None:
    """Set a host aside (standby) until it leaves the cluster."""
    _tell(["attrd_updater", "--node", host, "--name", STANDBY, "--update", "on"])


def bring_back(host: str) -> None:
    """End the standby that `set_aside` began; an admin's own, which is permanent, stays."""
    _tell(["attrd_updater", "--node", host, "--name", STANDBY, "--delete"])


class Order:
    """An order to reboot, given to the fencer; it goes on there whatever becomes of this process."""

    def __init__(self, host: str) -> None:
        self._argv = ["stonith_admin", "--reboot", host, "--tag", TAG, "--timeout", str(AGENTS_TIME)]
        self._answer: list[str] = []
        # A daemon: whoever is interrupted does not wait for it.
        threading.Thread(target=self._give, daemon=True).start()

    def _give(self) -> None:
        said = _order(self._argv)
        self._answer.append(f"{said}{_words(self._argv[2])}" if said else "")

    def ended(self) -> str | None:
        """None while it is under way, empty when the fencer is sure that the host is off, else why it failed."""
        return self._answer[0] if self._answer else None


def _order(argv: list[str]) -> str:
    try:
        done = run(argv, timeout=ORDER_TIME)
    except BackstayError as error:
        return str(error)
    return "" if done.ok else done.complaint()


def _words(host: str) -> str:
    """What the fencer's history says of the last fencing of a host that failed, and where its log is."""
    try:
        failed = [
            event for event in cluster(TOOL_TIME).events if (event.target, event.status) == (host, "failed")
        ]
    except BackstayError:
        return ""
    if not failed:
        return ""
    last = max(failed, key=lambda event: event.completed)
    why = f" ({last.reason})" if last.reason else ""
    return f"{why}; the log of {last.delegate} has the device's words" if last.delegate else why


def _tell(argv: list[str]) -> None:
    done = run(argv, timeout=TOOL_TIME)
    if not done.ok:
        raise CannotAsk(f"{argv[0]}: {done.complaint()}")


@contextmanager
def alone(path: str = LOCK) -> Iterator[bool]:
    """Hold the lock of this host's drill; False when another process has it. It ends with the process that holds it.

    CannotAsk where it cannot be made: to somebody who is not root, most often.
    """
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)  # noqa: PTH103, PTH120
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotAsk(f"{path} cannot be opened: {error.strerror}", hint="run it as root") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
