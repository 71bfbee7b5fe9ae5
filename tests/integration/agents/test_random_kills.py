# SPDX-License-Identifier: GPL-2.0-or-later
"""Every action of ocf:backstay:domain is killed at random moments and repeated, on real guests.

The repeated action gives the right answer, there is exactly one emulator (none after a stop), and what the agent
keeps in /run/backstay can still be read. The libvirtd agent's actions need a systemd: tests/lab/test_libvirtd.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.agents.domain import AGENT
from backstay.host.state import LIMIT
from backstay.ocf import codes
from tests.integration.agents.kills import kill_after, moments
from tests.integration.agents.private_host import PrivateHost, Result, wait
from tests.integration.agents.test_domain_migration_live import Pair, two_hosts

pytestmark = pytest.mark.usefixtures("tools")
DISK = """<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/>
<target dev='vda' bus='virtio'/><iotune><total_iops_sec>900</total_iops_sec></iotune></disk></devices>"""
LIMITED, DEFINED = "total_bytes_sec: 52428800", "total_iops_sec : 900"
CALLS = {  # how each action that changes nothing is called
    "monitor": {"interval": 10.0},
    "deep monitor": {"interval": 60.0, "level": 10},
    "probe": {},
    "validate-all": {},
    "deep validate-all": {"level": 10},
    "meta-data": {},
}
TESTED = {"start", "stop", "monitor", "migrate_to", "migrate_from", "reload-agent"}


def test_no_action_is_left_out() -> None:
    assert {action.name for action in AGENT.actions} == TESTED


@pytest.fixture
def config(host: PrivateHost) -> Path:
    disk = host.shared / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    path = host.define()
    path.write_text(path.read_text().replace("</devices>", DISK.format(disk=disk)))
    return path


def word_of(action: str) -> str:
    """The action as the agent is called with it."""
    word = action.rpartition(" ")[2]
    return "monitor" if word == "probe" else word


def do(host: PrivateHost, action: str, config: Path, **more: object) -> Result:
    call = {"timeout": 20, **CALLS.get(action, {}), **more}
    return host.agent(word_of(action), config, force_stop="true", **call)


def killed(host: PrivateHost, action: str, after: float, config: Path, **more: object) -> None:
    call = {"timeout": 20, **CALLS.get(action, {}), **more}
    kill_after(host.begin(word_of(action), config, force_stop="true", **call), after)


def kept_texts(host: PrivateHost) -> None:
    """Every text that the agent keeps is whole; half of one stands only beside it, in what a killed writer left."""
    names = host.run("find", "/run", "-path", "/run/backstay/*", "-type", "f").split()
    for name in [name for name in names if not name.rpartition(".")[2].isdecimal()]:
        text = host.run("cat", name)
        assert len(text) < LIMIT, name
        if name.startswith("/run/backstay/domain/"):
            assert len(text.splitlines()) == 5, (name, text)
            assert text.splitlines()[3] in map(str, host.emulators()) or not host.emulators(), (name, text)


def runs_once(host: PrivateHost) -> None:
    assert len(host.emulators()) == 1
    wait(lambda: host.virsh("domstate", "web1").stdout.strip() == "running", "the guest to run", 10)
    kept_texts(host)


@pytest.mark.parametrize("after", moments("start", 0.9))
def test_a_start(host: PrivateHost, config: Path, after: float) -> None:
    killed(host, "start", after, config)
    again = do(host, "start", config)
    assert again.code == codes.SUCCESS, again  # what a killed start left paused is ended, and never let run
    runs_once(host)
    assert do(host, "monitor", config).code == codes.SUCCESS


@pytest.mark.parametrize("after", moments("start and stop", 0.9))
def test_a_start_and_then_a_stop(host: PrivateHost, config: Path, after: float) -> None:
    killed(host, "start", after, config)
    assert do(host, "stop", config).code == codes.SUCCESS
    try:
        wait(lambda: host.emulators() != [], "libvirtd to carry out the killed start now", 1.0)
    except AssertionError:
        kept_texts(host)
        return
    wait(lambda: host.virsh("domstate", "web1").stdout.strip() != "no state", "libvirtd to know it")
    assert host.run("virsh", "domstate", "--reason", "web1").strip().startswith("paused")


def test_a_stop(host: PrivateHost, config: Path) -> None:
    for after in moments("stop", 0.6):
        assert do(host, "start", config).code == codes.SUCCESS
        killed(host, "stop", after, config)
        assert len(host.emulators()) <= 1
        assert do(host, "stop", config).code == codes.SUCCESS
        assert host.emulators() == []
        kept_texts(host)
        assert do(host, "probe", config).code == codes.NOT_RUNNING


def test_an_action_that_looks(host: PrivateHost, config: Path) -> None:
    assert do(host, "start", config).code == codes.SUCCESS
    pids = host.emulators()
    for action in CALLS:
        for after in moments(action, 0.4):
            killed(host, action, after, config)
            assert do(host, action, config).code == codes.SUCCESS, action
    assert host.emulators() == pids
    runs_once(host)
    assert do(host, "stop", config).code == codes.SUCCESS
    for after in moments("probe of nothing", 0.4):
        killed(host, "probe", after, config)
        assert do(host, "probe", config).code == codes.NOT_RUNNING
    kept_texts(host)


def test_a_reload(host: PrivateHost, config: Path) -> None:
    """The limit is set by the second one, and what the first one had set can be lifted."""

    def tuned() -> str:
        return host.run("virsh", "blkdeviotune", "web1", "vda")

    assert do(host, "start", config).code == codes.SUCCESS
    pids = host.emulators()
    for after in moments("reload-agent", 0.5):
        killed(host, "reload-agent", after, config, limit_disk="50MiB/s")
        assert do(host, "reload-agent", config, limit_disk="50MiB/s").code == codes.SUCCESS
        assert LIMITED in tuned()
        assert do(host, "monitor", config, limit_disk="50MiB/s").code == codes.SUCCESS
        killed(host, "reload-agent", after, config)
        assert do(host, "reload-agent", config).code == codes.SUCCESS
        assert LIMITED not in tuned()
        assert DEFINED in tuned()
    assert host.emulators() == pids
    runs_once(host)


# ---- the two halves of a migration


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Pair]:
    with two_hosts(tmp_path_factory.mktemp("pair"), repository) as both:
        yield both


@pytest.fixture
def guest(pair: Pair) -> Iterator[Path]:
    """The definition of a guest; gone from both hosts afterwards."""
    yield pair[0].define()
    for host in pair:
        host.clear()


@pytest.mark.parametrize("after", moments("migrate_to", 1.2))
def test_a_migrate_to(pair: Pair, guest: Path, after: float) -> None:
    """Pacemaker stops both sides after that; who repeats it instead finds it done, or does it."""
    source, target = pair
    way: dict[str, object] = {"target": target.name, "migration_transport": "tcp", "timeout": 60}
    assert do(source, "start", guest).code == codes.SUCCESS
    killed(source, "migrate_to", after, guest, **way)
    assert source.emulators() + target.emulators()
    again = do(source, "migrate_to", guest, **way)
    if again.code != codes.SUCCESS:
        assert again.code == codes.GENERIC, again
        # it had gone already, or was about to: libvirt here lets go of it before its emulator ends
        assert any(words in again.err for words in ("it is stopped here", "does not know that it runs")), (
            again
        )
    wait(lambda: source.emulators() == [], "the emulator here to end")
    assert do(target, "migrate_from", guest, target=source.name).code == codes.SUCCESS
    runs_once(target)
    assert do(target, "monitor", guest).code == codes.SUCCESS
    assert do(source, "probe", guest).code == codes.NOT_RUNNING
    kept_texts(source)


@pytest.mark.parametrize("after", moments("migrate_to and stop", 1.2))
def test_a_migrate_to_and_then_both_stops(pair: Pair, guest: Path, after: float) -> None:
    """What Pacemaker does: it is stopped at the target, then at the source, and nothing of it comes back."""
    source, target = pair
    assert do(source, "start", guest).code == codes.SUCCESS
    killed(source, "migrate_to", after, guest, target=target.name, migration_transport="tcp", timeout=60)
    for host in (target, source):
        assert do(host, "stop", guest).code == codes.SUCCESS
    assert source.emulators() == []
    wait(lambda: target.emulators() == [], "what the source had still sent to go", 5)
    for host in pair:
        kept_texts(host)
        assert do(host, "probe", guest).code == codes.NOT_RUNNING


def test_a_migrate_from(pair: Pair, guest: Path) -> None:
    source, target = pair
    assert do(source, "start", guest).code == codes.SUCCESS
    for after in moments("migrate_from", 0.5):
        assert (
            do(source, "migrate_to", guest, target=target.name, migration_transport="tcp", timeout=60).code
            == codes.SUCCESS
        )
        killed(target, "migrate_from", after, guest, target=source.name)
        assert do(target, "migrate_from", guest, target=source.name).code == codes.SUCCESS
        assert source.emulators() == []
        runs_once(target)
        source, target = target, source
