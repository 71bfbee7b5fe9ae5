# SPDX-License-Identifier: GPL-2.0-or-later
"""A corner of this machine for tests of the agents: mounts, /run and network of its own, real file systems in it.

Everything that is mounted in it is gone with one process; no state and no cluster of the machine is seen.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.integration.agents.private_host import DOOR, PYTHON, Result, wait

SETUP = """
set -e
mount --make-rprivate /
mkdir -p /run /var/lib/backstay
mount -t tmpfs none /run
mount -t tmpfs none /var/lib/backstay
ip link set lo up
touch {ready}
exec sleep infinity
"""
SPACES = ("--mount", "--net", "--ipc")


class Corner:
    """One such corner; `place` is a directory of the machine that is the test's."""

    def __init__(self, place: Path, repository: Path) -> None:
        self.place = place
        self.repository = repository
        script = SETUP.format(ready=place / "ready")
        self.holder = subprocess.Popen(["unshare", *SPACES, "sh", "-c", script], stdin=subprocess.DEVNULL)
        wait((place / "ready").exists, "the corner to be set up")

    def argv(self, *command: str) -> list[str]:
        return ["nsenter", f"--target={self.holder.pid}", *SPACES, "--", *command]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            self.argv(*command), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def agent(
        self,
        agent: str,
        action: str,
        *,
        interval: float = 0.0,
        timeout: float = 60.0,
        level: int = 0,
        **given: str,
    ) -> Result:
        """Run an agent as Pacemaker would; an interval of 0 makes a monitor a probe."""
        environ = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "OCF_RESOURCE_INSTANCE": "store:0",
            "OCF_CHECK_LEVEL": str(level),
            "OCF_RESKEY_CRM_meta_timeout": str(int(timeout * 1000)),
            "OCF_RESKEY_CRM_meta_interval": str(int(interval * 1000)),
            "OCF_RESKEY_CRM_meta_on_node": "here",
            **{f"OCF_RESKEY_{name}": value for name, value in given.items()},
        }
        door = str(self.repository / "agents" / agent)
        code = DOOR.format(lib=str(self.repository / "lib"), argv=[door, action], door=door)
        began = time.monotonic()
        done = subprocess.run(
            self.argv(PYTHON, "-I", "-c", code),
            capture_output=True,
            text=True,
            env=environ,
            timeout=timeout + 60,
            stdin=subprocess.DEVNULL,
        )
        return Result(done, time.monotonic() - began)

    def down(self) -> None:
        self.holder.kill()
        self.holder.wait(30)


@contextlib.contextmanager
def corner(place: Path, repository: Path) -> Iterator[Corner]:
    """Give a corner for as long as it is needed."""
    made = Corner(place, repository)
    try:
        yield made
    finally:
        made.down()
