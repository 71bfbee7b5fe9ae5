# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts come and go while guests run: a member, a remote host, another machine in an old one's place; none is restarted.

A lab of its own: two members, and a machine that belongs to no cluster.
"""

from __future__ import annotations

import json
import shlex
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from backstay.cloud import entry
from backstay.host.clock import Deadline, NotYet, pause, until
from backstay.lab import cluster, root
from backstay.lab import lab as the_lab
from backstay.lab.demo import CALM_SECONDS
from backstay.lab.furnish import DESCRIPTION, example, furnish
from backstay.lab.layout import Layout
from backstay.lab.node import Node
from backstay.lab.progress import Progress
from tests.lab.cloud import Cloud, payload

pytestmark = pytest.mark.long

ADMIN, SECOND, NEW = "n1", "n2", "n3"
SECONDS = 600.0
CONF = "/etc/corosync/corosync.conf"


def small():
    """The lab's description, with two hosts and the two guests that prefer one each."""
    text = example()
    for guest in ("web1", "web2", "mail1", "mail2"):
        assert f"  {guest}:" in text
    return entry.without_host(text[: text.index("  web1:")], NEW, {})


class SmallCloud(Cloud):
    """Two members that run two guests, and a machine that belongs to no cluster."""

    def build(self):
        layout = self.lab.layout
        the_lab.down(layout, Progress())
        the_lab.up(layout, 2, self.lab.payload, Progress(sys.__stderr__), spare=1)
        self.stage = furnish(layout, Progress(sys.__stderr__), description=small())
        trust(self.lab)
        begin = time.monotonic()
        pause(CALM_SECONDS)
        self.calm = (begin, time.monotonic())
        self.used = False


def trust(lab):
    """What an admin does: root's key is known on every host, and sshd runs."""
    first = lab.node(ADMIN)
    first.check("mkdir -p -m 700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
    public, private = (first.read(f"/root/.ssh/id_ed25519{end}") for end in (".pub", ""))
    for name in lab.layout.names():
        node = lab.node(name)
        node.check("mkdir -p -m 700 /root/.ssh")
        node.write("/root/.ssh/id_ed25519", private, 0o600)
        node.write("/root/.ssh/authorized_keys", public, 0o600)
        node.write("/root/.ssh/config", "Host *\n  StrictHostKeyChecking accept-new\n", 0o600)
        serve(node)


def serve(node):
    node.check("mkdir -p /run/sshd && /usr/sbin/sshd")


@pytest.fixture(scope="module")
def built():
    layout = Layout.from_environment()
    lab = SimpleNamespace(layout=layout, payload=payload(), node=lambda name: Node(layout, name))
    yield SmallCloud(lab)
    the_lab.down(layout, Progress())


@pytest.fixture
def small_cloud(built):
    """The cloud with a machine that nobody has touched."""
    if built.used:
        built.build()
    built.used = True
    return built


def words(*more):
    """The words that describe the machine."""
    said = {
        "address": "10.77.0.13",
        "bmc.address": "10.77.0.203",
        "bmc.username": "fencer",
        "bmc.password_file": "/etc/backstay/bmc.password",
    }
    return [*(f"--set={key}={value}" for key, value in said.items()), *more]


def command(verb, host, *options):
    return ["backstay", "host", verb, host, "--yes", "--output", "json", *options]


def host(cloud, verb, name, *options):
    """What the command came to: its exit code, its answer, what it said."""
    done = cloud.node(ADMIN).run(command(verb, name, *options), timeout=SECONDS)
    print(done.stderr)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def members(cloud, *hosts):
    """The members as each of these hosts sees them."""
    seen = {tuple(sorted(cluster.ask(cloud.lab.layout, (host,)).online())) for host in hosts}
    assert len(seen) == 1, seen
    return seen.pop()


def quorum(cloud):
    text = cloud.node(ADMIN).check("corosync-quorumtool -s || true")
    return int(text.partition("Expected votes:")[2].split()[0])


def started(judged):
    return sorted((resource, where) for operation, resource, where in judged.deeds if operation == "start")


def guest_deeds(cloud, judged):
    """What was done to guests: nothing but probes that found nothing."""
    guests = set(cloud.stage.guests.values())
    return [deed for deed in judged.deeds if deed[1] in guests]


def unhurt(cloud, judged):
    """No guest was stopped, started or moved, and none fell silent."""
    assert guest_deeds(cloud, judged) == []
    assert [deed for deed in judged.deeds if deed[0] == "fence"] == []
    assert set(judged.boots.values()) == {1}
    assert not [finding for finding in judged.findings if "silent" in finding or "twice" in finding]


def run_and_kill(cloud, argv, when):
    """Begin a command on the admin's host, and kill it as soon as `when` says so."""
    node = cloud.node(ADMIN)
    node.run("rm -f /run/begun")
    ended = []
    begun = f"echo $$ >/run/begun; exec {shlex.join(argv)}"
    threading.Thread(target=lambda: ended.append(node.run(begun, timeout=SECONDS)), daemon=True).start()

    def look():
        assert not ended, ended[0].stderr
        if not when():
            raise NotYet("not yet")
        return True

    until(look, Deadline(SECONDS), 0.1, "the moment to kill it")
    node.check("kill -KILL $(cat /run/begun)")
    until(lambda: ended or None, Deadline(60), 0.1, "it to be gone")
    assert ended[0].returncode != 0, "it was over before it could be killed"


def goes_there_and_comes_back(cloud):
    """A guest moves to the new host; when that is to leave, the guest moves away alive."""
    guest = cloud.stage.guests_on(SECOND)[0]
    cloud.on_any(["crm_resource", "--resource", guest, "--move", "--node", NEW])
    cloud.rest()
    cloud.on_any(["crm_resource", "--resource", guest, "--clear"])
    assert cluster.ask(cloud.lab.layout, (ADMIN,)).running_on(guest) == (NEW,)
    with cloud.watched() as watched:
        code, said, told = host(cloud, "remove", NEW, "--only-these")
    assert code == 0, told
    assert said["changed"]
    assert ("migrate_to", guest, NEW) in watched[0].deeds
    assert {resource for _, resource, _ in guest_deeds(cloud, watched[0])} == {guest}
    assert [deed for deed in watched[0].deeds if deed[0] == "fence"] == []
    assert set(watched[0].boots.values()) == {1}
    assert NEW not in cloud.on_any("cibadmin --query --scope configuration")
    assert members(cloud, ADMIN, SECOND) == (ADMIN, SECOND)


def test_a_machine_becomes_a_member_and_leaves(small_cloud):
    cloud, new = small_cloud, small_cloud.node(NEW)
    before = cloud.node(ADMIN).read(DESCRIPTION)
    with cloud.watched() as watched:
        run_and_kill(cloud, command("add", NEW, *words()), lambda: NEW in cloud.node(ADMIN).read(CONF))
        code, said, told = host(cloud, "add", NEW)
        assert code == 0, told
        assert said["changed"]
    unhurt(cloud, watched[0])
    assert members(cloud, ADMIN, SECOND, NEW) == (ADMIN, SECOND, NEW)
    assert quorum(cloud) == 3
    assert ("libvirtd", NEW) in started(watched[0])
    assert len({cloud.node(name).read(CONF) for name in (ADMIN, SECOND, NEW)}) == 1

    with cloud.watched() as watched:
        code, said, told = host(cloud, "add", NEW, *words())
    assert (code, said["changed"], said["steps"]) == (0, False, []), told
    assert watched[0].deeds == []

    goes_there_and_comes_back(cloud)
    assert quorum(cloud) == 2
    assert cloud.node(ADMIN).read(DESCRIPTION) == before
    assert not new.run(f"test -e {CONF}").ok
    code, said, _ = host(cloud, "remove", NEW)
    assert (code, said["changed"]) == (0, False)


def test_a_machine_becomes_a_remote_host_and_leaves(small_cloud):
    cloud, new = small_cloud, small_cloud.node(NEW)
    new.check(f"dpkg --force-depends --remove pacemaker && dpkg --install {root.REMOTE_DEB}", timeout=300)
    new.check("systemctl disable --now pacemaker_remote")
    for name in (NEW, SECOND):
        cloud.node(name).check("rm /etc/pacemaker/authkey")
    before = cloud.node(ADMIN).read(DESCRIPTION)
    with cloud.watched() as watched:
        run_and_kill(
            cloud,
            command("add", NEW, *words("--set=member=remote")),
            lambda: new.run("systemctl is-active --quiet pacemaker_remote").ok,
        )
        code, said, told = host(cloud, "add", NEW)
        assert code == 0, told
        assert said["changed"]
    unhurt(cloud, watched[0])
    assert ("libvirtd", NEW) in started(watched[0])
    code, said, told = host(cloud, "add", NEW)
    assert (code, said["changed"], said["steps"]) == (0, False, []), told

    goes_there_and_comes_back(cloud)
    assert cloud.node(ADMIN).read(DESCRIPTION) == before
    assert not new.run("systemctl is-active --quiet pacemaker_remote").ok


def test_what_speaks_against_a_machine_is_said_and_nothing_done(small_cloud):
    cloud, new = small_cloud, small_cloud.node(NEW)
    new.write("/root/old.xml", OLD_GUEST)
    new.check("virsh define /root/old.xml && virsh autostart old")
    new.check("rm /etc/backstay/bmc.password")
    before = cloud.node(ADMIN).read(DESCRIPTION)
    with cloud.watched() as watched:
        code, _, told = host(cloud, "add", NEW, *words())
    assert code == 1, told
    assert "starts the guest old by itself" in told
    assert "/etc/backstay/bmc.password is missing" in told
    assert watched[0].deeds == []
    assert cloud.node(ADMIN).read(DESCRIPTION) == before


def test_a_host_whose_fencing_does_not_work_runs_nothing(small_cloud):
    """The BMC of the new host does not answer: nothing is begun on it, and the way back is open."""
    wrong = [word.replace("10.77.0.203", "10.77.0.250") for word in words()]
    code, _, told = host(small_cloud, "add", NEW, *wrong)
    assert code == 1, told
    assert f"could not fence {NEW}" in told
    assert members(small_cloud, ADMIN, SECOND) == (ADMIN, SECOND)
    assert not small_cloud.node(NEW).run("systemctl is-active --quiet corosync").ok
    assert not small_cloud.node(NEW).run(f"test -e {CONF}").ok
    code, _, told = host(small_cloud, "remove", NEW)
    assert code == 0, told


def test_another_machine_takes_the_place_of_a_member(small_cloud):
    cloud, new = small_cloud, small_cloud.node(NEW)
    new.write("/etc/hostname", f"{SECOND}\n")
    new.check(f"hostname {SECOND}")
    for name in (ADMIN, NEW):
        cloud.node(name).check("sed -i 's/^10.77.0.12 n2/10.77.0.13 n2/; /^10.77.0.13 n3/d' /etc/hosts")
    cloud.node(ADMIN).check(f"sed -i 's/10.77.0.12$/10.77.0.13/; s/10.77.0.202/10.77.0.203/' {DESCRIPTION}")
    guests = cloud.stage.guests_on(SECOND)
    with cloud.watched() as watched:
        code, said, told = host(cloud, "replace", SECOND, "--only-these")
    assert code == 0, told
    assert said["changed"]
    assert guests
    assert {("migrate_to", guest, SECOND) for guest in guests} <= set(watched[0].deeds)
    assert set(watched[0].boots.values()) == {1}
    assert cloud.node(SECOND).leader() is None, "the old machine is off"
    assert members(cloud, ADMIN, NEW) == (ADMIN, SECOND)
    assert new.check("crm_node --name").strip() == SECOND
    code, said, _ = host(cloud, "replace", SECOND)
    assert (code, said["changed"]) == (0, False)


OLD_GUEST = """\
<domain type='qemu'><name>old</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64'>hvm</type></os></domain>
"""
