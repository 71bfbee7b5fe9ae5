# SPDX-License-Identifier: GPL-2.0-or-later
"""Metadata of a resource with two volumes, by the real drbdadm on real block devices: why each volume is named."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SIZE = 32 << 20
TEXT = """\
global {{ usage-count no; }}
resource web1 {{
  volume 0 {{ device minor 4710; disk {0}; meta-disk internal; }}
  volume 1 {{ device minor 4711; disk {1}; meta-disk internal; }}
  on n1 {{ {2} address 192.0.2.1:7790; }}
  on n2 {{ {3} address 192.0.2.2:7790; }}
}}
"""
GENERATIONS = {"8.4": ("drbdadm-84", ("", "")), "9": ("drbdadm", ("node-id 0;", "node-id 1;"))}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[list[str]]:
    """Two empty loop devices."""
    made: list[str] = []
    try:
        for name in ("a", "b"):
            with (tmp_path / name).open("wb") as file:
                file.truncate(SIZE)
            argv = ["losetup", "--find", "--show", str(tmp_path / name)]
            made.append(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip())
        yield made
    finally:
        for device in made:
            subprocess.run(["losetup", "--detach", device], check=True)


@pytest.fixture(params=sorted(GENERATIONS))
def create(request: pytest.FixtureRequest, fetched, tmp_path: Path, devices: list[str]) -> Run:
    """`create("web1/0")` makes metadata, and nobody answers a question."""
    tool, numbers = GENERATIONS[request.param]
    file = tmp_path / "drbd.conf"
    file.write_text(TEXT.format(*devices, *numbers), encoding="utf-8")
    alone = ["unshare", "--uts", "--net", "sh", "-c", 'hostname n1; exec "$@"', "sh", fetched(tool)]

    def run(what: str) -> subprocess.CompletedProcess[str]:
        argv = [*alone, "--config-file", file, "create-md", what]
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )

    return run


def test_a_volume_that_has_them_is_no_obstacle_to_the_other_one(create: Run) -> None:
    assert create("web1/0").returncode == 0
    whole = create("web1")
    assert whole.returncode != 0
    assert "overwrite the existing meta-data" in whole.stdout + whole.stderr
    assert create("web1/1").returncode == 0
