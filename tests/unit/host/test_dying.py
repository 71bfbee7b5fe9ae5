# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left to know an emulator by when its arguments are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.host.dying import arguments_of
from backstay.host.emulator import Emulators, name_of, uuid_of
from backstay.host.proc import Proc

UUID = "11111111-2222-3333-4444-555555555501"
SCOPE = "0::/machine.slice/machine-qemu\\x2d12\\x2dweb\\x2d1.scope/libvirt/emulator\n"
KERNEL_THREAD, EXITING = 0x00200000, 0x00000004


def put(
    root: Path, pid: int, *, command: str = "qemu-system-x86", flags: int = EXITING, **files: str
) -> None:
    place = root / str(pid)
    place.mkdir(parents=True)
    fields = ["D", "1", "1", "1", "0", "-1", str(flags), *["0"] * 10, "1", "0", "777"]
    (place / "stat").write_text(f"{pid} ({command}) {' '.join(fields)}\n")
    (place / "comm").write_text(f"{command}\n")
    (place / "cmdline").write_text(files.pop("cmdline", ""))
    for name, text in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    for name in ("attr",):
        (place / name).mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("command", "cgroup", "name"),
    [
        ("qemu-system-x86", "", ""),
        ("kvm", "", ""),
        ("qemu-kvm", "0::/system.slice/x.service\n", ""),
        ("our-emulator", SCOPE, "web-1"),
        ("our-emulator", "1:cpu:/machine/qemu-1-web1.libvirt-qemu\n", None),
        ("kvm-nx-lpage", "", None),
        ("cp", "", None),
        ("qemu-img", "0::/system.slice/pacemaker.service\n", None),
        ("qemu-nbd", "", None),
        ("qemu-ga", "", None),
        ("our-emulator", "0::/machine.slice/machine-qemu.scope\n", None),
        ("our-emulator", "0::/machine.slice/machine-qemu\\x2dzz.scope\n", None),
    ],
)
def test_what_is_left(tmp_path: Path, command: str, cgroup: str, name: str | None) -> None:
    put(tmp_path, 7, command=command, cgroup=cgroup)
    found = arguments_of(str(tmp_path), 7, str(tmp_path / "run"))
    assert (found if found is None else name_of(found)) == name


def test_the_label_holds_the_uuid(tmp_path: Path) -> None:
    put(tmp_path, 7, command="our-emulator")
    (tmp_path / "7" / "attr" / "current").write_text(f"libvirt-{UUID} (enforce)\n")
    found = arguments_of(str(tmp_path), 7, str(tmp_path / "run"))
    assert found is not None
    assert uuid_of(found) == UUID


@pytest.mark.parametrize(
    "label", ["libvirtd (enforce)", f"libvirt-{'x' * 36}", "unconfined", "libvirt-dnsmasq (enforce)", ""]
)
def test_another_label_says_nothing(tmp_path: Path, label: str) -> None:
    put(tmp_path, 7, command="our-emulator")
    (tmp_path / "7" / "attr" / "current").write_text(label)
    assert arguments_of(str(tmp_path), 7, str(tmp_path / "run")) is None


def test_the_pid_file_says_the_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "db,1.pid").write_text("7\n")
    (run / "mail1.pid").write_text("77")
    put(tmp_path, 7, command="our-emulator")
    found = arguments_of(str(tmp_path), 7, str(run))
    assert found is not None
    assert name_of(found) == "db,1"


def test_a_scan_gives_the_living_and_the_ending_and_no_thread_of_the_kernel(tmp_path: Path) -> None:
    put(tmp_path, 1, command="init", cmdline="init\0")
    put(tmp_path, 2, command="qemu-thread", flags=KERNEL_THREAD)
    put(tmp_path, 3, flags=0, cmdline=f"/usr/bin/kvm\0-uuid\0{UUID}\0")
    put(tmp_path, 4)
    put(tmp_path, 5, flags=0, cmdline="qemu-img\0convert\0")
    put(tmp_path, 6, command="cp")
    found = {process.pid: process for process in Emulators(Proc(str(tmp_path))).all()}
    assert set(found) == {3, 4}
    assert found[4].arguments == ("qemu-system-x86",)
