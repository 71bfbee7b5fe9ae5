# SPDX-License-Identifier: GPL-2.0-or-later
"""Who holds a device open, in a proc and a sysfs that are made up. The device is /dev/null: it has a number as well."""

from __future__ import annotations

import pytest

from backstay.host.holders import Holders, said

NULL = (1, 3)
MOUNT = "36 35 1:3 / /srv/vm\\040one rw,noatime - ext4 /dev/drbd10 rw\n"
UUID = "6261636b-7374-4179-8000-000000000009"


@pytest.fixture
def host(tmp_path):
    """`host.process(7, "dd", opens="/dev/null")` adds a process."""

    class Host:
        root = tmp_path

        def process(self, pid, command, *arguments, opens="", space="mnt:[1]", mounts=""):
            base = tmp_path / "proc" / str(pid)
            (base / "fd").mkdir(parents=True)
            (base / "ns").mkdir()
            (base / "ns/mnt").symlink_to(space)
            (base / "comm").write_text(f"{command}\n")
            (base / "cmdline").write_text("\0".join([command, *arguments, ""]))
            (base / "stat").write_text(f"{pid} ({command}) S " + "0 " * 18 + "77 0\n")
            (base / "mountinfo").write_text(mounts)
            if opens:
                (base / "fd/3").symlink_to(opens)

        def holders(self, *ours):
            return Holders(str(tmp_path)).of([NULL], ours)

    made = Host()
    made.process(1, "init")
    return made


def test_nobody(host):
    assert host.holders() == []
    assert said([]) == "nobody who could be seen"


def test_a_process_and_a_domain(host):
    host.process(7, "dd", "of=/dev/drbd10", opens="/dev/null")
    host.process(
        8, "qemu-system-x86", "-name", "guest=web1,debug-threads=on", "-uuid", UUID, opens="/dev/null"
    )
    host.process(9, "cat", opens="/dev/zero")
    assert host.holders() == ["the process 7 (dd)", "the domain web1 (its emulator is process 8)"]


def test_a_mount_in_any_namespace_is_named_once(host):
    host.process(7, "sh", space="mnt:[2]", mounts=MOUNT)
    host.process(8, "sh", space="mnt:[2]", mounts=MOUNT)
    assert host.holders() == ["the mount /srv/vm one"]


def test_swap(host):
    (host.root / "dev").mkdir()
    (host.root / "dev/drbd10").symlink_to("/dev/null")
    (host.root / "proc/swaps").write_text(
        "Filename Type Size\n/dev/drbd10 partition 1\n/dev/sda partition 1\n"
    )
    assert host.holders() == ["swap"]


def test_devices_upon_it_and_who_holds_those(host):
    sys = host.root / "sys"
    (sys / "dev/block/1:3/holders").mkdir(parents=True)
    (sys / "dev/block/1:3/holders/dm-0").touch()
    (sys / "class/block/dm-0/dm").mkdir(parents=True)
    (sys / "class/block/dm-0/dm/name").write_text("vg-home\n")
    (sys / "class/block/dm-0/dev").write_text("1:5\n")  # /dev/zero
    host.process(7, "cat", opens="/dev/zero")
    assert host.holders() == ["the device vg-home (device-mapper)", "the process 7 (cat)"]


def test_a_proc_that_hides_processes_is_no_absence(host):
    (host.root / "proc/1").rename(host.root / "proc/77")
    with pytest.raises(PermissionError):
        host.holders()


def test_many_are_shortened():
    assert said([f"p{number}" for number in range(9)]) == "p0, p1, p2, p3 and 5 more"


def test_who_only_looks_is_no_holder(host):
    """An agent that was started with the device open has it open as well, and so has the child that looks."""
    host.process(7, "sh", opens="/dev/null")
    host.process(8, "drbd", opens="/dev/null")
    host.process(9, "drbd", opens="/dev/null")
    assert host.holders(8, 9) == ["the process 7 (sh)"]


def test_a_device_upon_it_that_is_gone_again_names_nobody_else(host):
    sys = host.root / "sys"
    (sys / "dev/block/1:3/holders").mkdir(parents=True)
    (sys / "dev/block/1:3/holders/dm-0").touch()
    (host.root / "dev").mkdir()
    (host.root / "dev/plain").write_text("has no number either")
    host.process(7, "cat", opens=str(host.root / "dev/plain"))
    assert host.holders() == ["the device dm-0"]
