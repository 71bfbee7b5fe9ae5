# SPDX-License-Identifier: GPL-2.0-or-later
"""Which nodes an admin's words ask for, and what each kind is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.errors import BadInput
from backstay.lab import configuration, kinds
from backstay.lab.configuration import Absent, File, Link
from backstay.lab.layout import Layout
from backstay.lab.vm import qemu

LAYOUT = Layout(Path("/lab"), Path("/cache"))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("3", ("container", 3)),
        ("vm", ("vm", 2)),
        ("vm:3", ("vm", 3)),
        ("container", ("container", 3)),
        ("container:1", ("container", 1)),
    ],
)
def test_words_for_nodes(words: str, meant: tuple[str, int]) -> None:
    assert kinds.wish(words) == meant


@pytest.mark.parametrize("words", ["many", "vm:x", "-1", "", "lxc:2", "vm:2:2"])
def test_words_that_are_none(words: str) -> None:
    with pytest.raises(BadInput):
        kinds.wish(words)


def test_a_lab_that_says_nothing_is_one_of_containers(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path)
    assert kinds.of(layout).name == "container"
    layout.kind.write_text("vm\n")
    assert kinds.of(layout).name == "vm"


def masked(traits: configuration.Traits) -> set[str]:
    made = configuration.common(LAYOUT, ["n1"], b"k", "secret", traits=traits)
    return {e.path.rpartition("/")[2] for e in made if isinstance(e, Link) and e.target == "/dev/null"}


def test_a_machine_has_its_hardware_found_and_its_console_logged() -> None:
    containers, machines = (masked(kinds.named(name).traits) for name in kinds.NAMES)
    assert "systemd-udevd.service" in containers - machines
    assert "serial-getty@ttyS0.service" in machines - containers


def test_what_a_package_enabled_can_be_taken_back(tmp_path: Path) -> None:
    wanted = tmp_path / "etc/systemd/system/multi-user.target.wants/libvirtd.service"
    wanted.parent.mkdir(parents=True)
    wanted.touch()
    gone = [
        e
        for e in configuration.common(LAYOUT, ["n1"], b"k", "s", traits=kinds.named("vm").traits)
        if isinstance(e, Absent)
    ]
    configuration.write(tmp_path, gone)
    assert not wanted.exists()
    configuration.write(tmp_path, gone)


def test_machines_wait_longer_for_a_token() -> None:
    tokens = [kinds.named(name).traits.token for name in kinds.NAMES]
    assert tokens == [3000, 10000]
    assert "token: 10000" in configuration.corosync(LAYOUT, ["n1"], tokens[1])


def test_a_machine_is_given_its_address_and_its_agent() -> None:
    made = {e.path: e for e in kinds.named("vm").own(LAYOUT, LAYOUT.node("n2"))}
    network = made["/etc/systemd/system/backstay-lab-network.service"]
    assert isinstance(network, File)
    assert "10.77.0.12/24 dev eth0" in str(network.content)
    agent = made["/usr/local/lib/backstay-lab/agent.py"]
    assert isinstance(agent, File)
    compile(agent.content, agent.path, "exec")
    table = made["/etc/fstab"]
    assert isinstance(table, File)
    assert str(table.content).startswith("shared /srv/vm 9p ")


def test_an_emulator_ends_where_a_machine_would_start_again() -> None:
    node = LAYOUT.node("n1")
    argv = qemu.arguments(LAYOUT, node, Path("/image"), qemu.TCG, [node.disks / "disk1"])
    assert "-no-reboot" in argv
    joined = " ".join(argv)
    assert "ifname=bkn1,script=no,downscript=no" in joined
    assert "mac=02:77:10:77:00:01" in joined
    assert "path=/lab/nodes/n1/console.log,append=on" in joined
    assert '"filename": "/lab/nodes/n1/disks/disk1"' in joined
    assert joined.count("virtserialport") == 8
    assert qemu.identity(LAYOUT, node) != qemu.identity(LAYOUT, LAYOUT.node("n2"))
