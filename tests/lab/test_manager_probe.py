# SPDX-License-Identifier: GPL-2.0-or-later
"""What the probe of a manager of virtual machines sees of a libvirtd in trouble: too little to call a machine gone.

OpenNebula's probe lists a host's machines, waits as long as that takes, and does so again 5 s later (monitord.conf, STATE_VM).
Up to 6.2 a list that fails counts as an empty one, and a machine that three lists in a row missed is called powered off
(probe_db.rb, times_missing). Here the same question is asked in the same rhythm; it may fail twice at most.
"""

from __future__ import annotations

import pytest

from backstay.host.clock import Deadline, until
from backstay.lab.faults import catalogue
from tests.lab.test_templates import HOSTS, by_cibadmin

VICTIM = "n3"
LOG = "/run/probe.log"
MISSES = 3
LIST = "virsh --connect qemu:///system --readonly list --name"
PROBE = f"while :; do {LIST}; echo $? >>{LOG}; sleep 5; done"
HEALTHY = f"attrd_updater --name backstay-libvirtd --query --node {VICTIM} | grep -q '\"healthy\"'"
SINCE = f"begun=$(date +%s%N); until timeout 1 {LIST} >/dev/null 2>&1; do sleep 0.1; done; echo $begun $(date +%s%N)"


@pytest.fixture
def host(lab):
    """A host whose libvirtd is watched as the template has it, and which a manager's probe asks."""
    first, node = lab.node("n1"), lab.node(VICTIM)
    for name in HOSTS:
        by_cibadmin(first, "fencing", host=name, address=f"bmc-{name}", username="fencer",
                    password_file="/etc/backstay/bmc.password")  # fmt: skip
    by_cibadmin(first, "properties")
    by_cibadmin(first, "libvirtd")
    until(lambda: node.run(HEALTHY).ok or None, Deadline(120), what="libvirtd to be healthy")
    node.check(["systemd-run", "--quiet", "--collect", "--unit=probe", "bash", "-c", PROBE])
    yield node
    node.run(f"systemctl stop probe; rm -f {LOG}")


def longest(words):
    """The most failures in a row."""
    return max(map(len, "".join("1" if word != "0" else " " for word in words).split()), default=0)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["crash-libvirtd", "hang-libvirtd"])
def test_a_probe_never_misses_a_machine_three_times_in_a_row(lab, host, fault):
    took = []
    for _ in range(3):
        catalogue.inject(lab.layout, fault, VICTIM)
        begun, answered = map(int, host.check(SINCE, timeout=180).split())
        took.append((answered - begun) / 1e9)
        until(lambda: host.run(HEALTHY).ok or None, Deadline(180), what="libvirtd to be healthy")
        catalogue.heal(lab.layout, fault, VICTIM)
    before = len(host.check(f"cat {LOG}").split())
    until(
        lambda: len(host.check(f"cat {LOG}").split()) > before + 1 or None,
        Deadline(60),
        what="two more lists",
    )
    seen = host.check(f"cat {LOG}").split()
    print(fault, "to the next answer", [round(each, 1) for each in took], "s; lists", seen)
    assert seen[-1] == "0"
    assert longest(seen) < MISSES
