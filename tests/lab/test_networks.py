# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks fail: a switch that all hosts hang on, one ring of two, and the other half of a pair with a third vote.

What stands in corosync.conf is what `backstay render --directory` writes, what is in the CIB `backstay apply` loaded, and
Corosync, its qdevice and corosync-qnetd are the real ones.
"""

from __future__ import annotations

import json
import re
import time

import pytest

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, NotYet, pause, until
from backstay.lab import actions, cluster, network
from backstay.lab.layout import BRIDGE, SECOND_BRIDGE
from tests.lab import debs

pytestmark = pytest.mark.long
CONF = "/etc/corosync/corosync.conf"
DESCRIPTION = "/root/described.yaml"
AWAY = 25.0  # seconds without a switch: Corosync gives a host up after 3.65 s
HOSTS = ("n1", "n2", "n3")
PAIR = ("n1", "n2")
THIRD = "n3"
UNIT = "[Service]\nExecStart=/bin/sleep infinity\n"
DEVICE = "quorum: {device: {host: 10.77.0.13, tls: off}}\n"
# The certificates are left out (`tls: off`): two daemons of one package prove nothing about ours.
QNETD = """mkdir -p /run/corosync-qnetd
systemctl reset-failed qnetd; systemd-run --unit=qnetd --quiet corosync-qnetd -f -s off"""


def described(hosts, *, rings=1, more=""):
    """A description of hosts of the lab, with one service that runs on one of them."""
    lines = ["cluster: {name: backstay-lab}", f"{more}hosts:"]
    for host in hosts:
        number = host[1:]
        addresses = ", ".join(f"10.77.{ring}.1{number}" for ring in range(rings))
        bmc = f"address: 10.77.0.20{number}, username: fencer, password_file: /etc/backstay/bmc.password"
        lines.append(f"  {host}: {{address: 10.77.0.1{number}, rings: [{addresses}], bmc: {{{bmc}}}}}")
    front = "type: generic, profile: generic, units: [steady], address: 10.77.0.90, prefix: 24"
    return "\n".join([*lines, f"frontend: {{{front}}}", ""])


def rendered(node, description):
    """The corosync.conf of a description, rendered by the Backstay of the node."""
    node.write(DESCRIPTION, description)
    node.check(f"backstay render {DESCRIPTION} --directory /root/out", timeout=60)
    return node.read("/root/out/corosync.conf")


def loaded(lab, description, hosts):
    """The first of the hosts, after the description was applied there and its service runs."""
    for host in hosts:
        lab.node(host).write("/etc/systemd/system/steady.service", UNIT)
        lab.node(host).check("systemctl daemon-reload")
    first = lab.node(hosts[0])
    first.write(DESCRIPTION, description)
    done = first.run(f"backstay apply {DESCRIPTION} --yes --output json", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["settled"]
    until(lambda: len(serving(lab, hosts)) == 1 or None, Deadline(60), 0.5, "the frontend on one host")
    return first


def serving(lab, hosts):
    """The hosts on which the frontend's unit is active."""
    found = []
    for host in hosts:
        try:
            found += [host] if lab.node(host).run("systemctl is-active steady").ok else []
        except CannotAsk:
            continue
    return found


def deeds(lab, since):
    """What Pacemaker did on any host since then, by its own logs; what it did about fence devices is left out."""
    logs = []
    for host in HOSTS:
        lines = lab.node(host).read("/var/log/pacemaker/pacemaker.log").splitlines()
        logs.append(actions.parse_log(lines, near=time.time(), offset=0.0))
    return [
        str(deed)
        for deed in actions.merge(logs)
        if deed.at >= since and not getattr(deed, "resource", "").startswith("fence-")
    ]


def links(node, number):
    """What Corosync on a node says about one of its links to each other host."""
    said = node.check("corosync-cfgtool -s", timeout=30)
    _, _, rest = said.partition(f"LINK ID {number} ")
    return re.findall(r"nodeid:\s+\d+:\s+(\w+)", rest.partition("LINK ID")[0])


def wait_for_links(lab, number, word):
    """Wait until every host says that of its link to every other one."""

    def look():
        said = {host: links(lab.node(host), number) for host in HOSTS}
        others = [word] * (len(HOSTS) - 1)
        if any([one for one in words if one != "localhost"] != others for words in said.values()):
            raise NotYet(str(said))
        return True

    until(look, Deadline(90), 0.5, f"link {number} to be {word} everywhere")


@pytest.fixture
def managed(lab):
    """Three hosts with a description loaded: libvirtd on each, a service and its address on one."""
    yield loaded(lab, described(HOSTS), HOSTS)
    for node in lab.nodes:
        node.check("rm -f /etc/systemd/system/steady.service")


def test_a_switch_that_all_hosts_lose_stops_nothing_while_it_is_away(lab, managed):
    place = serving(lab, HOSTS)
    since = time.time()
    network.switch_off(BRIDGE)
    try:
        for host in HOSTS:
            node = lab.node(host)
            until(
                lambda node=node: node.run("crm_node --quorum", timeout=30).stdout.strip() == "0" or None,
                Deadline(90),
                0.5,
                f"{host} to be without quorum",
            )
        pause(AWAY)
        assert serving(lab, HOSTS) == place
        # The BMCs are behind the same switch: that their monitors failed is no deed.
        assert deeds(lab, since) == []
    finally:
        network.switch_on(BRIDGE)
    lab.wait_for(cluster.all_online(HOSTS), 120, "the hosts to be a cluster again")
    managed.check("crm_resource --wait --timeout=90", timeout=100)
    # A host whose link is back a second after the others' may be fenced by them; then, and only then, something is done.
    done = deeds(lab, since)
    fenced = {host for host in HOSTS for deed in done if f"fencing (reboot) of {host} " in deed}
    assert len(fenced) <= 1
    if not fenced:
        assert done == []
        assert serving(lab, HOSTS) == place
    assert len(serving(lab, HOSTS)) == 1
    state = lab.ask()
    assert (state.quorate, state.unclean()) == (True, frozenset())
    assert state.running_on("libvirtd") == HOSTS
    assert "nothing changes" in managed.run(f"backstay plan {DESCRIPTION}", timeout=60).stdout


@pytest.fixture
def two_rings(lab, managed):
    """A second network, added while the cluster runs as an admin would: described, rendered, read anew."""
    network.create_second(lab.layout, HOSTS)
    old = {host: lab.node(host).read(CONF) for host in HOSTS}
    conf = rendered(managed, described(HOSTS, rings=2))
    assert conf.count("ring1_addr") == len(HOSTS)
    for host in HOSTS:
        lab.node(host).write(CONF, conf)
    managed.check("corosync-cfgtool -R", timeout=60)
    for number in (0, 1):
        wait_for_links(lab, number, "connected")
    yield
    for bridge in (BRIDGE, SECOND_BRIDGE):
        network.switch_on(bridge)
    for number in (0, 1):
        wait_for_links(lab, number, "connected")
    for host in HOSTS:
        lab.node(host).write(CONF, old[host])
    managed.check("corosync-cfgtool -R", timeout=60)
    network.remove_second(lab.layout)


def test_one_ring_of_two_is_lost_and_nothing_happens(lab, two_rings):
    place = serving(lab, HOSTS)
    since = time.time()
    for number, bridge in ((1, SECOND_BRIDGE), (0, BRIDGE)):
        network.switch_off(bridge)
        wait_for_links(lab, number, "disconnected")
        pause(10)
        for host in HOSTS:
            assert cluster.ask(lab.layout, (host,)).online() == set(HOSTS)
        network.switch_on(bridge)
        wait_for_links(lab, number, "connected")
    assert deeds(lab, since) == []
    assert serving(lab, HOSTS) == place


@pytest.fixture
def pair(lab):
    """Two of the three nodes as a cluster of their own, with the third vote from a daemon on the third node."""
    debs.unpack(lab, lab.nodes, ("corosync-qdevice", "corosync-qnetd", "libnss3", "libnspr4"))
    for node in lab.nodes:
        node.check("systemctl stop pacemaker; systemctl stop corosync", timeout=120)
    lab.node(THIRD).check(QNETD)
    description = described(PAIR, more=DEVICE)
    conf = rendered(lab.node("n1"), description)
    for host in PAIR:
        node = lab.node(host)
        node.write(CONF, conf)
        node.check("rm -f /var/lib/pacemaker/cib/*")
        node.check("systemctl enable --now corosync corosync-qdevice pacemaker", timeout=120)
    lab.wait_for(cluster.all_online(PAIR), 120, "the pair to be a cluster")
    wait_for_votes(lab, PAIR, 3)
    yield loaded(lab, description, PAIR)
    lab.build()


def votes(node):
    """The votes that a node counts, and whether it has quorum."""
    said = node.run("corosync-quorumtool -s", timeout=30).stdout
    total = re.search(r"^Total votes:\s+(\d+)$", said, re.MULTILINE)
    return int(total[1]) if total else 0, re.search(r"^Quorate:\s+Yes$", said, re.MULTILINE) is not None


def wait_for_votes(lab, hosts, count):
    """Wait until each of the hosts counts so many votes."""

    def look():
        found = {host: votes(lab.node(host)) for host in hosts}
        if {total for total, _ in found.values()} != {count}:
            raise NotYet(str(found))
        return found

    return until(look, Deadline(90), 0.5, f"{count} votes on {' and '.join(hosts)}")


def fenced(lab, host):
    """The hosts that were fenced, newest first, as a host remembers."""
    return [event.target for event in cluster.ask(lab.layout, (host,)).fencing if event.status == "success"]


def wait_for_service(lab, host):
    until(lambda: serving(lab, PAIR) == [host] or None, Deadline(120), 0.5, f"the frontend on {host} alone")


def test_a_pair_with_a_third_vote_survives_each_loss(lab, pair):
    (host,) = serving(lab, PAIR)
    other = next(name for name in PAIR if name != host)

    # The third place is lost: two votes of three are still most of them.
    lab.node(THIRD).check("systemctl stop qnetd")
    wait_for_votes(lab, PAIR, 2)
    pause(10)
    assert {votes(lab.node(name)) for name in PAIR} == {(2, True)}
    assert (serving(lab, PAIR), fenced(lab, host), lab.ask().failures) == ([host], [], ())
    lab.node(THIRD).check(QNETD)
    wait_for_votes(lab, PAIR, 3)

    # The two lose sight of each other, and both see the third place: one half goes on, and it fences the other.
    for name, peer in ((host, other), (other, host)):
        lab.node(name).check(f"ip route add blackhole {lab.layout.node(peer).address}/32")
    winner = until(
        lambda: next((name for name in PAIR if _fenced_the_other(lab, name)), None),
        Deadline(120),
        0.5,
        "one half to fence the other",
    )
    loser = next(name for name in PAIR if name != winner)
    lab.node(winner).check(f"ip route del blackhole {lab.layout.node(loser).address}/32")
    wait_for_service(lab, winner)
    lab.wait_for(cluster.all_online(PAIR), 150, f"{loser} to come back")
    wait_for_votes(lab, PAIR, 3)
    assert fenced(lab, winner) == [loser]

    # One host loses its power: the other one and the third vote are most of them.
    lab.cut(winner)
    wait_for_service(lab, loser)
    assert votes(lab.node(loser)) == (2, True)
    assert winner in fenced(lab, loser)
    lab.wait_for(cluster.all_online(PAIR), 150, f"{winner} to come back")


def _fenced_the_other(lab, name):
    try:
        return bool(fenced(lab, name))
    except CannotAsk:
        return False
