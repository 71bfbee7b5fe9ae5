# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine after a lab is the machine before it, however the lab ended.

These tests take the run's lab away; whoever needs it next builds it again.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.errors import CannotAsk, Refused
from backstay.host.clock import Deadline, until
from backstay.lab import circumstances, kinds, mounts, network, power
from backstay.lab import lab as the_lab
from backstay.lab.layout import Layout
from backstay.lab.node import Node
from backstay.lab.progress import Progress

UP_SECONDS = 150.0
NEEDS = kinds.named(kinds.CONTAINER).needs()


def lines(*argv: str) -> set[str]:
    return set(
        subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    )


def strangers(layout: Layout) -> set[str]:
    """Processes that name the lab anywhere: their command, their environment, or what is mounted around them."""
    found, named = set(), str(layout.directory).encode()
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) in (os.getpid(), os.getppid()):
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            seen = command + (entry / "environ").read_bytes() + (entry / "mountinfo").read_bytes()
        except OSError:
            continue
        if named in seen:
            found.add(f"{entry.name} {command.decode(errors='replace')}")
    return found


def machine(layout: Layout) -> dict[str, set[str]]:
    """Everything that a lab changes on a machine."""
    return {
        "links": lines("ip", "-brief", "link"),
        "addresses": lines("ip", "-brief", "address"),
        "namespaces": lines("ip", "netns"),
        "mounts": {f"{m.type} {m.point}" for m in mounts.of()},
        "processes": strangers(layout),
        "directory": {str(p) for p in (layout.directory,) if p.exists()},
        "cgroups": {str(p) for p in Path("/sys/fs/cgroup").glob("**/backstay-lab*")},
    }


@pytest.fixture
def layout(running_lab) -> Iterator[Layout]:
    """A machine without a lab, before and after."""
    the_lab.down(running_lab.layout, Progress())
    before = machine(running_lab.layout)
    yield running_lab.layout
    the_lab.down(running_lab.layout, Progress())
    assert machine(running_lab.layout) == before


def start(repository: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "backstay", "lab", "up", "--source", str(repository)]
    environment = {**os.environ, "PYTHONPATH": str(repository / "lib")}
    return subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


STAGES: dict[str, Callable[[Layout], bool]] = {
    "network": lambda layout: network.owner() == str(layout.directory),
    "first node": lambda layout: "n1" in layout.names() and power.is_on(layout, "n1"),
    "all nodes": lambda layout: len(layout.names()) == 3 and Node(layout, "n3").leader() is not None,
}


def reach(stage: str, layout: Layout) -> None:
    until(lambda: STAGES[stage](layout) or None, Deadline(UP_SECONDS), every=0.01, what=f"the stage {stage}")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_removes_what_it_began(
    layout: Layout, repository: Path, stage: str, number: signal.Signals
) -> None:
    before = machine(layout)
    running = start(repository)
    reach(stage, layout)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 3
    assert f"interrupted ({number.name})" in said
    assert machine(layout) == before


@pytest.mark.parametrize("stage", STAGES)
def test_killed_it_is_removed_by_down(layout: Layout, repository: Path, stage: str) -> None:
    before = machine(layout)
    running = start(repository)
    reach(stage, layout)
    running.kill()
    running.communicate(timeout=60)
    the_lab.down(layout, Progress())
    assert machine(layout) == before


def test_a_second_lab_is_refused_and_the_first_lives(layout: Layout, repository: Path) -> None:
    running = start(repository)
    reach("first node", layout)
    with pytest.raises(Refused, match=f"a lab is there already, in {layout.directory}"):
        circumstances.check(layout, NEEDS, 3)
    with pytest.raises(Refused, match=f"a lab is there already, in {layout.directory}"):
        circumstances.check(Layout(Path("/var/lib/backstay-another"), layout.cache), NEEDS, 3)
    assert power.is_on(layout, "n1")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)


def test_addresses_in_use_are_refused(layout: Layout) -> None:
    lines("ip", "link", "add", "bktaken", "type", "bridge")
    try:
        lines("ip", "addr", "add", "10.77.0.9/24", "dev", "bktaken")
        with pytest.raises(
            CannotAsk, match=r"10\.77\.0\.0/24, which the lab needs, are in use here: .*bktaken"
        ):
            circumstances.check(layout, NEEDS, 3)
    finally:
        lines("ip", "link", "del", "bktaken")


def hang(node: Node) -> tuple[int, subprocess.Popen[bytes]]:
    """A FUSE mount in a node whose server, on the machine, reads a request and never answers it: D state."""
    node.check("mkdir -p /mnt/hung")
    enter = ["nsenter", f"--target={node.leader()}", "--mount", "--pid", "--"]
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    mount = [*enter, "mount", "-i", "-t", "fuse", "-o", options, "hung", "/mnt/hung"]
    subprocess.run(mount, pass_fds=[device], check=True, timeout=20)
    _, _, unique = struct.unpack_from("=IIQ", os.read(device, 1 << 17))  # FUSE_INIT
    os.write(device, struct.pack("=IiQ", 80, 0, unique) + struct.pack("=II56x", 7, 31))
    user = subprocess.Popen([*enter, "ls", "/mnt/hung"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.read(device, 1 << 17)
    return device, user


@pytest.mark.parametrize("end", ["down", "cut"])
def test_a_hung_fuse_pool_does_not_keep_the_lab(layout: Layout, running_lab, end: str) -> None:
    """Its users cannot be killed, and whoever should answer them lives outside the nodes."""
    before = machine(layout)
    running_lab.build()
    device, user = hang(running_lab.node("n1"))
    try:
        begin = time.monotonic()
        running_lab.cut("n1") if end == "cut" else the_lab.down(layout, Progress())
        assert time.monotonic() - begin < 20
        user.wait(20)
    finally:
        os.close(device)
    the_lab.down(layout, Progress())
    assert machine(layout) == before


def test_down_without_a_lab_is_as_good(layout: Layout) -> None:
    before = machine(layout)
    for _ in range(2):
        the_lab.down(layout, Progress())
    assert machine(layout) == before
