# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:datastore on a real GlusterFS volume: a brick that is down, smaller, behind, a quota, a client that hangs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import wait
from tests.lab.gluster_pool import VOLUME, Pool, software

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def packages(need: Callable[..., str]) -> Path:
    need("unshare", "nsenter", "ip", "apt-get")
    return software(Path(os.environ.get("BACKSTAY_CACHE", "/var/cache/backstay")))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, packages: Path, repository: Path) -> Iterator[Pool]:
    made = Pool(tmp_path_factory.mktemp("pool"), packages, repository)
    yield made
    made.down()


def says(pool: Pool, number: int, what: str, code: int = codes.DEGRADED, **given: str) -> None:
    """The monitor at level 10 comes to that, once GlusterFS itself has noticed."""
    seen = []

    def look() -> bool:
        seen.append(pool.servers[number].look(**given))
        return seen[-1].code == code and what in seen[-1].err

    try:
        wait(look, what, 240)
    except AssertionError:
        pytest.fail(f"{what!r} was not said: {seen[-1]}")


def test_a_volume_that_is_well_and_then_is_not(pool: Pool) -> None:
    one, two, three = pool.servers
    for server in pool.servers:
        assert server.agent("start").code == codes.SUCCESS
    says(pool, 0, "", codes.SUCCESS)

    # A brick that is down: named, and the volume goes on.
    brick = two.check(f"cat /run/gluster/vols/{VOLUME}/*.pid").strip()
    two.check(f"kill -KILL {brick}")
    says(pool, 0, "the brick g2:/bricks/b/data is not online")
    assert one.agent("monitor", interval=20.0).code == codes.DEGRADED

    # What was written meanwhile is to be healed when it is back; with the healer off it stays so.
    one.gluster(f"volume set {VOLUME} cluster.self-heal-daemon off")
    one.check("for i in 1 2 3 4 5; do echo text >/srv/store/file$i; done")
    one.gluster(f"volume start {VOLUME} force")
    says(pool, 2, "still to be healed")
    one.gluster(f"volume set {VOLUME} cluster.self-heal-daemon on")
    one.gluster(f"volume heal {VOLUME}")
    says(pool, 2, "", codes.SUCCESS)

    # A brick that is smaller than its peers: a third of a replacement that looked fine.
    three.check("mount -o remount,size=24m /bricks/b")
    says(pool, 0, "the brick g3:/bricks/b/data has 24.0 MiB, its peers have 64.0 MiB")
    assert one.agent("validate-all", level=10, timeout=60.0).code == codes.ARGUMENTS
    three.check("mount -o remount,size=64m /bricks/b")
    says(pool, 0, "", codes.SUCCESS)


def test_a_quota_that_nobody_meant(pool: Pool) -> None:
    one = pool.servers[0]
    one.gluster(f"volume quota {VOLUME} enable")
    one.gluster(f"volume quota {VOLUME} limit-usage / 20MB")
    says(pool, 0, "a quota of 20.0 MiB on /")
    says(pool, 0, "", codes.SUCCESS, quota="allowed")
    one.gluster(f"volume quota {VOLUME} disable")
    says(pool, 0, "", codes.SUCCESS)


def test_a_client_that_hangs_and_one_that_is_gone(pool: Pool) -> None:
    three = pool.servers[2]
    client = three.check("pgrep -f -- '--process-name fuse'").split()[0]
    three.check(f"kill -STOP {client}")
    hung = three.agent("monitor", interval=20.0, answer_within="3s")
    assert (hung.code, "does not answer" in hung.err) == (codes.DEGRADED, True), hung
    again = three.agent("monitor", interval=20.0, answer_within="3s")
    assert again.seconds < hung.seconds
    three.check(f"kill -CONT {client}")
    wait(lambda: three.agent("monitor", interval=20.0).code == codes.SUCCESS, "it to answer again", 120)
    three.check(f"kill -KILL {client}")
    lost = three.agent("monitor", interval=20.0)
    assert (lost.code, "is disconnected" in lost.err) == (codes.DEGRADED, True), lost
    assert three.agent("stop").code == codes.SUCCESS
