# SPDX-License-Identifier: GPL-2.0-or-later
"""Which daemon serves qemu:///system, by what systemd really said about both families of units."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.host import systemd
from backstay.host.libvirt_units import UNITS, serving
from backstay.host.process import Completed
from backstay.host.systemd import Systemd, Unit

RECORD = Path(__file__).parent / "data/libvirt-units.txt"


def recorded(title: str) -> tuple[str, frozenset[str], dict[str, Unit]]:
    """What the client went to, the socket files that stood there, and the units."""
    part = RECORD.read_text().split(f"##### {title}\n")[1].split("\n#####")[0]
    client, files, shown = part.split("\n", 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(systemd, "run", lambda argv, timeout: Completed(argv, 0, shown, ""))
        units = Systemd().show(UNITS, 4)
    return client.split()[1], frozenset(files.split()[1:]), units


TITLES = [line[6:] for line in RECORD.read_text().splitlines() if line.startswith("##### ")]


@pytest.mark.parametrize(
    ("title", "daemon"),
    [
        ("only libvirtd is enabled, both are installed", "libvirtd"),
        ("modular, idle, libvirtd is masked", "virtqemud"),
        ("modular, running, libvirtd is masked", "virtqemud"),
        ("modular, stopped by an admin, libvirtd is masked", "virtqemud"),
        ("both stopped, both enabled", "libvirtd"),
        ("both installed, virtqemud listens", "virtqemud"),
        ("modular, crash loop, libvirtd stopped", "virtqemud"),
        ("both stopped, no socket file", "libvirtd"),
        ("libvirtd listens again, virtqemud stopped", "libvirtd"),
    ],
)
def test_who_serves(title: str, daemon: str) -> None:
    assert title in TITLES
    _, files, units = recorded(title)
    assert serving(units, lambda path: Path(path).name in files).daemon == daemon


@pytest.mark.parametrize("title", TITLES)
def test_it_is_the_one_that_libvirts_client_goes_to_unless_that_one_is_dead(title: str) -> None:
    client, files, units = recorded(title)
    family = serving(units, lambda path: Path(path).name in files)
    dead = units["libvirtd.socket"].down and units["libvirtd.service"].down
    assert family.socket_file == client or (client == "libvirt-sock" and dead)


NONE = {name: Unit(name, loaded="not-found") for name in UNITS}
MASKED = {name: Unit(name, loaded="masked") for name in UNITS}
INSTALLED = {name: Unit(name) for name in UNITS}


def only(daemon: str, units: dict[str, Unit], otherwise: dict[str, Unit]) -> dict[str, Unit]:
    return {name: (units if name.startswith(daemon) else otherwise)[name] for name in UNITS}


def enabled(daemon: str) -> dict[str, Unit]:
    return {**INSTALLED, f"{daemon}.socket": Unit(f"{daemon}.socket", enabled="enabled")}


@pytest.mark.parametrize(
    ("units", "daemon"),
    [
        (NONE, "libvirtd"),
        (MASKED, "libvirtd"),
        (INSTALLED, "libvirtd"),
        (only("virtqemud", INSTALLED, NONE), "virtqemud"),
        (only("virtqemud", INSTALLED, MASKED), "virtqemud"),
        (only("virtqemud", MASKED, NONE), "virtqemud"),
        (only("virtqemud", MASKED, INSTALLED), "libvirtd"),
        (only("libvirtd", MASKED, NONE), "libvirtd"),
        (enabled("virtqemud"), "virtqemud"),
        (enabled("libvirtd"), "libvirtd"),
    ],
)
def test_who_would_serve_when_nobody_does(units: dict[str, Unit], daemon: str) -> None:
    assert serving(units, lambda _path: False).daemon == daemon


def test_what_left_its_socket_file_behind_counts_when_it_is_the_first_that_is_tried() -> None:
    alive = {**INSTALLED, "libvirtd.service": Unit("libvirtd.service", active="active", pid=1)}
    assert serving(alive, lambda _path: True).daemon == "virtqemud"
    assert serving(alive, lambda path: path.endswith("libvirt-sock")).daemon == "libvirtd"
