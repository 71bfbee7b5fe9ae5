# SPDX-License-Identifier: GPL-2.0-or-later
"""The look at what lies below a DRBD resource, in a real shell on a real block device, with DRBD's own tools."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.host import drbd_far
from backstay.host.drbd_far import Below
from backstay.host.ssh import Host
from backstay.mirror.sides import FRESH

HERE = Host("here")
SIZE = 64 << 20
MINOR = 4711


def tool(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    """A loop device of 64 MiB without anything on it."""
    image = tmp_path / "disk"
    image.touch()
    with image.open("r+b") as file:
        file.truncate(SIZE)
    name = tool("losetup", "--find", "--show", str(image))
    try:
        yield name
    finally:
        tool("losetup", "--detach", name)


@pytest.fixture
def below(device: str) -> Callable[[int], Below]:
    """What is seen of it, for DRBD of that generation."""

    def look(generation: int) -> Below:
        seen = drbd_far.look(HERE, "no-such-resource", generation, [(0, MINOR, device)])
        assert (seen.file, seen.state) == (None, None)
        return seen.below[0]

    return look


def test_an_empty_device_is_empty(below) -> None:
    assert below(8) == Below(SIZE, "", 0, None, 1)


@pytest.mark.parametrize("generation", [8, 9])
def test_metadata_that_were_never_used_are_known(below, device: str, generation: int) -> None:
    more = ("1",) if generation == 9 else ()
    tool("drbdmeta", "--force", str(MINOR), f"v{generation:02}", device, "internal", "create-md", *more)
    assert below(generation) == Below(SIZE, "", FRESH, None, 1)


def test_a_file_system_is_named_with_metadata_behind_it_too(below, device: str) -> None:
    tool("mkfs.ext4", "-q", "-F", device, "60M")
    assert below(8) == Below(SIZE, "ext4", 0, None, 1)
    tool("drbdmeta", "--force", str(MINOR), "v08", device, "internal", "create-md")
    assert below(8) == Below(SIZE, "ext4", FRESH, None, 1)


def test_a_device_that_is_not_there_has_no_size() -> None:
    seen = drbd_far.look(HERE, "no-such-resource", 8, [(0, MINOR, "/dev/no/such/device")])
    assert seen.below == {0: Below(0, "", 0, None, 1)}
