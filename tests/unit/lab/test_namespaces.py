# SPDX-License-Identifier: GPL-2.0-or-later
"""The place of named network namespaces is left as it was found: ip(8) mounts it for the first one and leaves it."""

from __future__ import annotations

import pytest

from backstay.lab import network
from backstay.lab.layout import Layout


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine whose network commands do nothing; `mounted` says what it had, `unmounted` what was taken away."""

    class Machine:
        layout = Layout(tmp_path / "lab", tmp_path)
        namespaces = tmp_path / "netns"
        mounted = False

        def __init__(self):
            self.unmounted = []
            (tmp_path / "lab").mkdir()

        def live(self):
            network.create(self.layout, ["n1"])
            self.namespaces.mkdir(exist_ok=True)  # as ip(8) does

    machine = Machine()
    monkeypatch.setattr(network, "NAMESPACES", machine.namespaces)
    monkeypatch.setattr(network, "_batch", lambda lines, namespace="": None)
    monkeypatch.setattr(network, "_quietly", lambda argv: None)
    monkeypatch.setattr(network, "owner", lambda bridge="": None)
    monkeypatch.setattr(network.mounts, "is_mounted", lambda place: machine.mounted)
    monkeypatch.setattr(network.mounts, "unmount", machine.unmounted.append)
    return machine


def test_what_came_with_the_lab_goes_with_it(machine):
    machine.live()
    network.remove(machine.layout)
    assert machine.unmounted == [machine.namespaces]
    assert not machine.namespaces.exists()


def test_what_was_there_before_stays(machine):
    machine.mounted = True
    machine.live()
    network.remove(machine.layout)
    assert machine.unmounted == []
    assert machine.namespaces.exists()


def test_what_somebody_else_uses_by_now_stays(machine):
    machine.live()
    (machine.namespaces / "theirs").touch()
    network.remove(machine.layout)
    assert machine.unmounted == []


def test_a_lab_that_never_got_that_far_is_removed(machine):
    network.create(machine.layout, ["n1"])
    network.remove(machine.layout)
    assert machine.unmounted == []
