# SPDX-License-Identifier: GPL-2.0-or-later
"""Every action of ocf:backstay:libvirtd is killed at random moments and repeated, beside a guest that must not notice.

The repeated action gives the right answer, there is one libvirtd (none after a stop), and what the agent remembers can
still be read. No cluster watches here: only these calls act. Seed and number are those of the integration tests.
"""

from __future__ import annotations

import pytest

from backstay.agents.libvirtd import AGENT
from backstay.agents.libvirtd_memory import Memory
from backstay.host.clock import Deadline, until
from backstay.ocf import codes
from tests.integration.agents.kills import KILLS, SEED, moments
from tests.lab.test_libvirtd import mend, twin_on

DOOR = "/usr/lib/ocf/resource.d/backstay/libvirtd"
BUDGET = 60
CALLS = {  # how each action is called, and its latest moment in seconds
    "start": ("start", 0, 0, 1.5),
    "stop": ("stop", 0, 0, 0.8),
    "monitor": ("monitor", 10, 0, 0.5),
    "deep monitor": ("monitor", 60, 10, 0.8),
    "probe": ("monitor", 0, 0, 0.5),
    "reload-agent": ("reload-agent", 0, 0, 0.2),
    "validate-all": ("validate-all", 0, 0, 0.2),
    "deep validate-all": ("validate-all", 0, 10, 0.4),
}
QUIET = [name for name in CALLS if name not in ("start", "stop")]


def test_no_action_is_left_out():
    assert {action.name for action in AGENT.actions} <= {call[0] for call in CALLS.values()}


@pytest.fixture
def host(lab):
    """A node with a guest that the cluster knows nothing of, and a libvirtd that only the test's calls touch."""
    node = lab.node("n1")
    mend(node)
    pid = twin_on(node)
    yield node
    assert node.check("cat /run/libvirt/qemu/twin.pid").strip() == pid
    assert node.run(f"kill -0 {pid}").ok, "the guest that nobody asked about runs on"
    mend(node)
    node.run("attrd_updater --name backstay-libvirtd --delete; attrd_updater --name backstay-guests --delete")
    # A libvirtd that has just begun may lose the guest while it meets its emulator: that it is gone is what counts.
    until(
        lambda: node.run(f"virsh destroy twin; ! kill -0 {pid}").ok or None,
        Deadline(60),
        what="the guest to go",
    )


def call(node, action: str, prefix: str = ""):
    word, interval, level, _latest = CALLS[action]
    given = {
        "OCF_ROOT": "/usr/lib/ocf",
        "OCF_RESOURCE_INSTANCE": "libvirtd",
        "OCF_CHECK_LEVEL": level,
        "OCF_RESKEY_heal_budget": f"{BUDGET}s",
        "OCF_RESKEY_answer_within": "3s",
        "OCF_RESKEY_CRM_meta_interval": interval * 1000,
        "OCF_RESKEY_CRM_meta_timeout": 60000,
    }
    environment = " ".join(f"{name}={value}" for name, value in given.items())
    return node.run(f"{environment} {prefix}{DOOR} {word} 2>&1", timeout=90)


def killed(node, action: str, after: float) -> None:
    """Do an action that is killed, with its children, after some seconds, unless it has ended by itself."""
    print(f"seed {SEED}: {action} killed after {after} s")
    call(node, action, f"timeout --signal=KILL {after} ")


def fields(memory: str) -> list[str]:
    return [line.partition("=")[0] for line in memory.splitlines()]


def told(node, action: str) -> int:
    done = call(node, action)
    print(done.stdout)
    return done.returncode


def daemons(node) -> int:
    return len(node.run("pgrep -x libvirtd").stdout.split())


def remembers(node) -> None:
    """What the agent remembers is whole; a writer that was killed leaves its half beside it."""
    text = node.run("cat /run/backstay/libvirtd").stdout
    assert not text or fields(text) == fields(Memory().text()), text


def well(node) -> None:
    assert told(node, "monitor") == codes.SUCCESS
    assert daemons(node) == 1
    assert "twin" in node.check("virsh list --name")
    remembers(node)


def up_and_down(node, kills: int) -> None:
    for begin, end in zip(
        moments("stop", CALLS["stop"][3], kills), moments("start", CALLS["start"][3], kills), strict=True
    ):
        killed(node, "stop", begin)
        assert told(node, "stop") == codes.SUCCESS
        assert daemons(node) == 0
        remembers(node)
        assert told(node, "probe") == codes.NOT_RUNNING
        killed(node, "start", end)
        assert told(node, "start") == codes.SUCCESS
        well(node)


def looks(node, kills: int) -> None:
    for action in QUIET:
        for after in moments(f"libvirtd {action}", CALLS[action][3], kills):
            killed(node, action, after)
            assert told(node, action) == codes.SUCCESS, action
    well(node)


def test_one_kill_of_each_action(host):
    up_and_down(host, 1)
    looks(host, 1)


@pytest.mark.long
def test_many_kills_of_each_action(host):
    up_and_down(host, 2 * KILLS)
    looks(host, 2 * KILLS)


@pytest.mark.long
def test_monitors_that_are_killed_while_they_heal(host):
    """One that hangs is aborted once, by whichever monitor got so far; those after it follow what is under way."""
    host.check("kill -STOP $(systemctl show -P MainPID libvirtd.service)")
    for after in moments("healing", 9.0, KILLS):
        killed(host, "monitor", after)
        assert daemons(host) <= 1
        remembers(host)
    until(
        lambda: told(host, "monitor") == codes.SUCCESS or None, Deadline(BUDGET), what="libvirtd to be healed"
    )
    well(host)
    aborted = host.check(
        "journalctl --output=cat --identifier=backstay-heal-libvirtd | grep -c aborting || true"
    )
    assert int(aborted) == 1, aborted
