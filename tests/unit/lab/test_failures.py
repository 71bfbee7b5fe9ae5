# SPDX-License-Identifier: GPL-2.0-or-later
"""Which failures are forgotten, and in which order."""

from __future__ import annotations

import pytest

from backstay.lab.cluster import Failure
from backstay.lab.failures import departures, of


def test_each_once_and_libvirtd_last():
    shown = [
        Failure("libvirtd_start_0", "n3", 1, "broken"),
        Failure("libvirtd:1_monitor_5000", "n1", 190, "degraded"),
        Failure("web1_migrate_to_0", "n3", 1, ""),
        Failure("web1_monitor_10000", "n3", 7, ""),
        Failure("fence-n1_monitor_120000", "n3", 1, ""),
    ]
    assert of(shown) == (("fence-n1", "n3"), ("web1", "n3"), ("libvirtd", "n1"), ("libvirtd", "n3"))


def test_none_is_nothing():
    assert of([]) == ()


@pytest.mark.parametrize(
    ("history", "hosts"),
    [
        ("", set()),
        ('<node_state id="3" uname="n3"><lrm id="3"/></node_state>', {"n3"}),
        ('<xpath-query><node_state uname="n1"/><node_state uname="n3"/></xpath-query>', {"n1", "n3"}),
    ],
)
def test_hosts_that_remember_a_departure(history, hosts):
    assert departures(history) == hosts
