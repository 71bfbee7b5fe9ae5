# SPDX-License-Identifier: GPL-2.0-or-later
"""Who waits for the stalled file system is in D state, survives SIGKILL, and goes on when the storage is back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.host.clock import Deadline, until
from backstay.lab import stallfs

PATIENCE = 30.0


def state(pid):
    """The letter that ps shows."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def stalled(tmp_path):
    """A mounted file system: (mount point, switch)."""
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.fail("this test mounts a FUSE file system: run it as root on a kernel with FUSE")
    point, switch = tmp_path / "point", tmp_path / "switch"
    point.mkdir()
    server = subprocess.Popen([sys.executable, stallfs.__file__, str(point), str(switch)])
    until(
        lambda: (point.is_mount() and (point / "base.img").exists()) or None,
        Deadline(PATIENCE),
        what="the mount",
    )
    yield point, switch
    switch.unlink(missing_ok=True)
    subprocess.run(["umount", "--lazy", str(point)], check=True)
    # A private host of another test may have copied the mount into its namespaces, and holds it while it lives.
    assert server.wait(4 * PATIENCE) == 0


def test_it_is_an_ordinary_datastore_while_it_answers(stalled):
    point, _ = stalled
    assert sorted(path.name for path in point.iterdir()) == ["base.img", "data.img"]
    assert (point / "data.img").read_bytes() == bytes(1 << 20)
    assert os.statvfs(point).f_blocks > 0


def test_nobody_who_waits_for_it_can_be_killed(stalled):
    point, switch = stalled
    switch.touch()
    reader = subprocess.Popen(["cat", str(point / "base.img")], stdout=subprocess.DEVNULL)
    until(lambda: state(reader.pid) == "D" or None, Deadline(PATIENCE), what="D state")
    reader.send_signal(signal.SIGKILL)
    with pytest.raises(subprocess.TimeoutExpired):
        reader.wait(1)
    assert state(reader.pid) == "D"
    switch.unlink()
    assert reader.wait(PATIENCE) == -signal.SIGKILL


def test_who_was_not_killed_gets_its_answer(stalled):
    point, switch = stalled
    switch.touch()
    reader = subprocess.Popen(["stat", "-c", "%s", str(point / "base.img")], stdout=subprocess.PIPE)
    until(lambda: state(reader.pid) == "D" or None, Deadline(PATIENCE), what="D state")
    switch.unlink()
    assert reader.communicate(timeout=PATIENCE)[0] == b"1048576\n"
