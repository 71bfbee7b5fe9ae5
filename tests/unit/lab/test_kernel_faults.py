# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults that need a kernel of the host's own: refused where there is none, healed whether fencing was there or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.errors import BadInput
from backstay.host.clock import TimedOut
from backstay.lab.faults import catalogue, kernel, ledger
from backstay.lab.layout import Layout
from backstay.lab.node import Node
from backstay.lab.processes import Process

Patch = pytest.MonkeyPatch


@pytest.fixture
def node(tmp_path: Path) -> Node:
    layout = Layout(tmp_path, tmp_path)
    layout.node("n1").directory.mkdir(parents=True)
    return Node(layout, "n1")


@pytest.mark.parametrize("name", ["panic", "starve-watchdog", "fail-disk"])
def test_a_container_has_no_kernel_to_break(node: Node, name: str) -> None:
    with pytest.raises(BadInput, match=f"{name} cannot be done to n1, which is a container") as caught:
        catalogue.inject(node.layout, name, "n1")
    assert caught.value.hint == "backstay lab up --nodes vm"
    assert ledger.read(node.layout) == ()


class Machine:
    """Power as the healing of a fault sees it: when the emulator began (None: off), and what was done to it."""

    def __init__(self, monkeypatch: Patch, began: float | None, bmc_gives_power: bool) -> None:
        self.began, self.gives, self.done = began, bmc_gives_power, []
        monkeypatch.setattr(kernel.processes, "recorded", lambda *_: self.process())
        monkeypatch.setattr(kernel.os, "sysconf", lambda _: 100)
        monkeypatch.setattr(kernel.power, "cut", lambda *_: self.cut())
        monkeypatch.setattr(kernel.power, "boot", lambda *_: self.done.append("boot"))
        monkeypatch.setattr(kernel, "until", self.wait)

    def process(self) -> Process | None:
        return None if self.began is None else Process(7, int(self.began * 100))

    def cut(self) -> None:
        self.began = None
        self.done.append("cut")

    def wait(self, *_: object) -> bool:
        if self.began is None and not self.gives:
            raise TimedOut("power")
        return True


@pytest.mark.parametrize(
    ("began", "bmc_gives_power", "done"),
    [
        (50.0, False, ["cut", "boot"]),  # it still stands there and has said its last word
        (150.0, False, []),  # fenced meanwhile: it boots, or is back
        (None, True, []),  # being fenced just now
        (None, False, ["boot"]),  # off, and nobody fenced it
    ],
)
def test_healing_leaves_a_fenced_host_to_its_bmc(
    node: Node, monkeypatch: Patch, began: float | None, bmc_gives_power: bool, done: list[str]
) -> None:
    monkeypatch.setattr(ledger.time, "monotonic", lambda: 100.0)
    ledger.write(node.layout, ledger.INJECTED, "panic", "n1")
    machine = Machine(monkeypatch, began, bmc_gives_power)
    catalogue.find("panic").heal(node)
    assert machine.done == done
