# SPDX-License-Identifier: GPL-2.0-or-later
"""An agent that Pacemaker kills leaves nobody behind who still talks to the BMC, or still looks for the password."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.host.clock import Deadline, until

MOMENT = 3.0  # seconds; ipmitool alone would go on for five
BUSY = 30.0  # seconds that a busy machine may need to begin


def running(*words: str) -> list[str]:
    """The pids of the processes with these words among their arguments; one that is dead has none."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if {word.encode() for word in words} <= set(arguments):
            found.append(entry.name)
    return found


@pytest.mark.parametrize("what", ["ipmitool", "password_script"])
def test_who_kills_the_agent_ends_its_tools_as_well(bmc, repository, need, what) -> None:
    bmc.process.send_signal(
        signal.SIGSTOP
    )  # a BMC that says nothing: ipmitool alone would wait for it for seconds
    given = {"action": "off", "ip": "127.0.0.1", "ipport": str(bmc.port), **bmc.login}
    words = (need("ipmitool"), str(bmc.port))
    if what == "password_script":
        words = (need("sleep"), f"{600 + os.getpid() / 1e7:.7f}")
        given[what] = " ".join(words)
    agent = subprocess.Popen(
        [sys.executable, "-I", str(repository / "fencing" / "fence_backstay_ipmi")],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    agent.stdin.write("".join(f"{name}={value}\n" for name, value in given.items()).encode())
    agent.stdin.close()
    try:
        until(lambda: running(*words) or None, Deadline(BUSY), what=f"{what} to run")
    finally:
        os.killpg(agent.pid, signal.SIGKILL)  # as Pacemaker does at the end of its time
        agent.wait()
    try:
        until(lambda: not running(*words) or None, Deadline(MOMENT), what=f"{what} to be gone")
    finally:
        for pid in running(*words):
            os.kill(int(pid), signal.SIGKILL)
