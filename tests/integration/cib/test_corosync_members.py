# SPDX-License-Identifier: GPL-2.0-or-later
"""Real Corosync, in network namespaces, reads what Backstay renders when another machine takes the place of a member."""

from __future__ import annotations

import os
import secrets
import subprocess
from contextlib import suppress
from functools import partial
from itertools import count

import pytest

from backstay.cib import corosync_text
from backstay.cib.corosync import corosync_conf
from backstay.cloud.parse import parse
from backstay.host.clock import Deadline, until

NETWORKS = ("10.66.0", "10.68.0")
HOST = "  n{0}: {{address: {1}, rings: [{2}], bmc: {{address: 10.67.0.{0}, username: f, password_file: /etc/pw}}}}\n"
DOMAIN = "  web1: {config: /srv/w.xml, memory: 1 GiB, vcpus: 2, uuid: 5a3c1f0e-7d64-4b51-9a0e-0d1b00000001}\n"
# Its own /etc/corosync, /var/lib/corosync, /var/log/corosync and /run, so that nothing of this machine's is touched.
START = """
for d in etc/corosync var/lib/corosync var/log/corosync run; do
    mkdir -p "$1/$d" "/$d"; mount --bind "$1/$d" "/$d"
done
mkdir -p /run/corosync-qdevice /run/corosync-qnetd
shift
exec "$@"
"""
COUNT = count()  # what was deleted may still be there for a moment
COROSYNC = ("corosync", "-f")
THIRD = 100  # the last part of the address of the machine that has a vote and nothing else
NEW = 9  # the last part of the new machine's address
JOINS = 60.0  # seconds; it takes about five


def description(hosts, rings=1, second=2, algorithm=""):
    """A cloud of so many hosts in so many networks, the second one at other addresses."""

    def line(number):
        last = second if number == 2 else number
        addresses = [f"{network}.{last}" for network in NETWORKS[:rings]]
        return HOST.format(number, addresses[0], ", ".join(addresses))

    lines = "".join(map(line, range(1, hosts + 1)))
    device = f"{{host: {NETWORKS[0]}.{THIRD}, algorithm: {algorithm}, tls: off}}"
    more = f"quorum: {{device: {device}}}\n" if algorithm else ""
    return parse(f"cluster: {{name: demo}}\n{more}hosts:\n{lines}domains:\n{DOMAIN}".encode(), "c.yaml")


class Machines:
    """Machines on two bridges, by the last part of their addresses; each may run Corosync."""

    def __init__(self, place):
        self.place, self.mark = place, f"bk{os.getpid() % 10000}{next(COUNT)}"
        self.key, self.running, self.made = secrets.token_bytes(128), {}, []
        self.bridges = [f"{self.mark}{letter}" for letter in "ab"]
        for bridge in self.bridges:
            ip("link", "add", bridge, "type", "bridge")
            ip("link", "set", bridge, "up")

    def make(self, number):
        space = f"{self.mark}-{number}"
        ip("netns", "add", space)
        self.made.append(space)
        ip("-n", space, "link", "set", "lo", "up")
        for card, (bridge, network) in enumerate(zip(self.bridges, NETWORKS, strict=True)):
            link = f"{bridge}v{number}"
            ip("link", "add", link, "type", "veth", "peer", "name", f"eth{card}", "netns", space)
            ip(*f"link set {link} master {bridge} up".split())
            ip("-n", space, "address", "add", f"{network}.{number}/24", "dev", f"eth{card}")
            ip("-n", space, "link", "set", f"eth{card}", "up")
        (self.place / str(number) / "etc/corosync").mkdir(parents=True)
        (self.place / str(number) / "etc/corosync/authkey").write_bytes(self.key)

    def inside(self, number, *argv):
        return ["ip", "netns", "exec", f"{self.mark}-{number}", *argv]

    def ask(self, number, *argv):
        return subprocess.run(
            self.inside(number, *argv), capture_output=True, text=True, timeout=60, check=False
        )

    def write(self, number, text):
        (self.place / str(number) / "etc/corosync/corosync.conf").write_text(text)

    def start(self, number, *program):
        """Start a program there; Corosync when none is named."""
        argv = (
            "unshare",
            "--mount",
            "sh",
            "-euc",
            START,
            "sh",
            self.place / str(number),
            *(program or COROSYNC),
        )
        process = subprocess.Popen(
            self.inside(number, *map(str, argv)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.running.setdefault(number, []).append(process)

    def cut(self, number):
        for process in self.running.pop(number):
            process.kill()
            process.wait(60)

    def quorum(self, number):
        """Whether it has a quorum, of how many votes, and who is there."""
        text = self.ask(number, "corosync-quorumtool", "-s").stdout
        said = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        found = {key: said.get(key, "").strip() for key in ("Quorate", "Expected votes", "Total votes")}
        return tuple(found.values())

    def linked(self, number, ring, network):
        """Whether it reaches the new machine through one ring."""
        text = self.ask(number, "corosync-cfgtool", "-n").stdout
        way = f"LINK: {ring} udp ({network}.{number}->{network}.{NEW}) enabled connected"
        return way in " ".join(text.split())

    def reload(self, number):
        """What Corosync says to a reload, when it is not busy with who is there."""

        def look():
            done = self.ask(number, "corosync-cfgtool", "-R")
            return (
                None
                if "TRY_AGAIN" in done.stdout + done.stderr
                else (done.returncode == 0, done.stdout + done.stderr)
            )

        return until(look, Deadline(JOINS), 1.0, "Corosync to read its configuration")

    def end(self):
        for number in list(self.running):
            self.cut(number)
        for space in self.made:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", space)
        for bridge in self.bridges:
            ip("link", "delete", bridge)


def ip(*words):
    subprocess.run(["ip", *words], check=True, timeout=60)


@pytest.fixture
def machines(need, tmp_path):
    need("corosync", "ip")
    found = Machines(tmp_path)
    yield found
    found.end()


@pytest.fixture
def device(fetched):
    """The programs of a quorum device: that of the third machine, and that of a member."""
    return [fetched("corosync-qnetd"), "-f", "-s", "off"], [fetched("corosync-qdevice"), "-f"]


def becomes_a_member(machines, old, new, start=lambda number: None):
    """The second host of `old` is cut, and the one of `new` joins; `start` starts what runs beside Corosync.

    Gives what each of the others says of the quorum before, between and after.
    """
    first, hosts = corosync_conf(old), len(old.members)
    there = [number for number in range(1, hosts + 1) if number != 2]
    device = new.quorum.device
    more = 0 if device is None else 1 if device.algorithm == "ffsplit" else hosts - 1
    for number in (*there, 2):
        machines.make(number)
        machines.write(number, first)
        machines.start(number)
        start(number)

    def all_say(said, numbers):
        return lambda: all(machines.quorum(number) == said for number in numbers) or None

    whole = ("Yes", str(hosts + more), str(hosts + more))
    until(all_say(whole, [*there, 2]), Deadline(JOINS), what="all to be members")
    machines.cut(2)
    alone = ("Yes", str(hosts + more), str(hosts + more - 1))
    until(all_say(alone, there), Deadline(JOINS), what="the second one to be gone")

    def everywhere(away, version):
        text = corosync_text.renewed(first, corosync_conf(new, away), version)
        for number in there:
            machines.write(number, text)
        return text

    everywhere("", 1)
    good, said = machines.reload(1)
    assert (good, "INVALID_PARAM" in said) == (False, True), (
        said
    )  # it would be taken: the step between can go
    everywhere("n2", 2)
    assert machines.reload(1)[0]
    between = alone if device is None else ("Yes", str(hosts + more - 1), str(hosts + more - 1))
    until(all_say(between, there), Deadline(JOINS), what="the quorum without it")
    last = everywhere("", 3)
    assert machines.reload(1)[0]
    # With a device nobody counts the new one before it is there: the votes are those that are there, and it is off.
    until(all_say(between, there), Deadline(JOINS), what="the same quorum with the new one")
    assert all(
        f"{NETWORKS[0]}.{NEW}" in machines.ask(n, "corosync-cmapctl", "nodelist.").stdout for n in there
    )
    machines.make(NEW)
    machines.write(NEW, last)
    machines.start(NEW)
    start(NEW)
    until(all_say(whole, [*there, NEW]), Deadline(JOINS), what="the new one to be a member")


@pytest.mark.long
@pytest.mark.parametrize(("hosts", "rings"), [(2, 1), (3, 1), (2, 2), (3, 2)])
def test_a_machine_with_another_address_becomes_the_member_and_quorum_stays(machines, hosts, rings):
    becomes_a_member(machines, description(hosts, rings), description(hosts, rings, second=NEW))
    known = machines.ask(1, "corosync-cmapctl", "nodelist.").stdout
    assert [f"{network}.{NEW}" in known for network in NETWORKS] == [True, rings == 2]
    for number in range(rings):
        linked = partial(machines.linked, 1, number, NETWORKS[number])
        until(lambda linked=linked: linked() or None, Deadline(JOINS), what=f"link {number} to the new one")


@pytest.mark.long
@pytest.mark.parametrize(("hosts", "algorithm"), [(2, "ffsplit"), (4, "lms")])
def test_so_it_does_where_a_third_place_has_a_vote(machines, device, hosts, algorithm):
    server, client = device
    machines.make(THIRD)
    machines.start(THIRD, *server)
    old, new = (description(hosts, second=second, algorithm=algorithm) for second in (2, NEW))

    def vote_too(number):
        until(lambda: machines.quorum(number)[1] or None, Deadline(JOINS), what="Corosync to answer")
        machines.start(number, *client)

    becomes_a_member(machines, old, new, vote_too)
