# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration in a cluster, and everything that goes wrong in the middle of one: the guest ends on one side only."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from backstay.lab import cluster
from backstay.lab.audit import NOTHING
from backstay.lab.faults import catalogue
from backstay.lab.guest import KERNEL_ARGUMENTS
from backstay.lab.stage import wait
from tests.lab.cloud import tell

GUEST = "web1"
LOAD = 4
"""MiB of its memory that the guest writes again and again, about twice a second."""
SLOW = "1"
"""MiB/s at which its 30 MiB take half a minute, and never arrive while it writes more than that."""
MOVED = 90.0
FENCED = 240.0
GUIDE = Path(__file__).parents[2] / "docs" / "how-to-migrate.md"
EMULATORS = "pgrep --count --full -- '[-]uuid {uuid} ' || true"


# ---- what is done


def resource(cloud, *words):
    return cloud.on_any(["crm_resource", "--resource", GUEST, *words])


def place(cloud):
    return cloud.stage.places().get(GUEST, "")


def other(cloud, *hosts):
    return next(host for host in cloud.stage.hosts() if host not in hosts)


def outgoing(cloud, host):
    done = cloud.node(host).run(f"virsh domjobinfo {GUEST}")
    return "Outgoing migration" in done.stdout and "Data remaining" in done.stdout


def open_again(cloud, host):
    """Let libvirtd of a host listen for tcp; it has to be down for that, and anything may wake it.

    It is started again: a host that is shut down in the seconds before somebody asks it cannot start it any more.
    """
    command = "systemctl stop libvirtd.service && systemctl start libvirtd-tcp.socket libvirtd.service"
    await_(cloud, lambda: cloud.node(host).run(command).ok, f"{host} to let others in")


def await_(cloud, look, what, seconds=MOVED):
    """Wait until `look` is true."""
    problem = wait(cloud.stage, lambda _stage: "" if look() else f"not yet {what}", seconds, what, tell)
    assert problem == ""


def where_it_is(cloud):
    """The hosts that are up and have an emulator of the guest."""
    uuid = next(uuid for uuid, name in cloud.stage.guests.items() if name == GUEST)
    up = [host for host in cloud.stage.hosts() if cloud.node(host).is_ready()]
    return [host for host in up if cloud.node(host).check(EMULATORS.format(uuid=uuid)).strip() != "0"]


def idle(cloud):
    """Whether the cluster has nothing left to do."""
    return "S_IDLE" in cloud.on_any("crmadmin --status $(crmadmin --dc_lookup | sed 's/.*: //')")


def speaks_from(cloud, host):
    return cloud.stage.places().get(GUEST) == host


# ---- what is there to be moved


@contextmanager
def setting(cloud, **parameters):
    """The guest with other parameters, and afterwards with the old ones."""
    before = {}
    for name, value in parameters.items():
        asked = cloud.node(cloud.stage.hosts()[0]).run(
            ["crm_resource", "--resource", GUEST, "--get-parameter", name]
        )
        before[name] = asked.stdout.strip() if asked.ok else ""
        resource(cloud, "--set-parameter", name, "--parameter-value", value)
    await_(cloud, lambda: idle(cloud), "the new parameters to be in force")
    yield
    for name, value in before.items():
        if value:
            resource(cloud, "--set-parameter", name, "--parameter-value", value)
        else:
            resource(cloud, "--delete-parameter", name)


@pytest.fixture(scope="module")
def busy_definition(furnished):
    """The guest's definition with work for its memory."""
    path = furnished.lab.layout.shared / "domains" / f"{GUEST}.xml"
    text = path.read_text()
    path.write_text(text.replace(KERNEL_ARGUMENTS, f"{KERNEL_ARGUMENTS} load={LOAD}"))
    yield
    path.write_text(text)


@pytest.fixture
def busy(cloud, busy_definition):
    """A guest that writes to its memory all the time; where it runs."""
    host = place(cloud)
    if f"load={LOAD}" not in cloud.node(host).check(f"virsh dumpxml {GUEST}"):
        resource(cloud, "--restart", "--timeout=60s")
        cloud.settle()
    # what was last heard may be from before the restart
    await_(cloud, lambda: where_it_is(cloud) == [place(cloud)], "the guest to speak from where it is")
    yield place(cloud)
    resource(cloud, "--clear")


def move(cloud, target):
    resource(cloud, "--move", "--node", target)


@contextmanager
def in_the_middle(cloud, source, target):
    """While the guest is on its way, and slow enough for anything to happen."""
    with setting(cloud, migration_speed=SLOW):
        move(cloud, target)
        await_(cloud, lambda: outgoing(cloud, source), "the migration to be under way")
        assert where_it_is(cloud) == sorted([source, target])
        yield


def restarted(hosts):
    """What Pacemaker does after a migration that failed: it stops the guest wherever it may be, and starts it."""
    return NOTHING.restarting(GUEST, hosts)


# ---- and now


def test_a_busy_guest_moves_alive(cloud, busy):
    target = other(cloud, busy)
    with cloud.watched(NOTHING.migrating([GUEST], busy)) as judged:
        move(cloud, target)
        await_(cloud, lambda: speaks_from(cloud, target) and idle(cloud), "the guest on its target")
    assert judged[0].findings == []
    assert judged[0].boots[GUEST] == 1
    assert where_it_is(cloud) == [target]


def test_a_target_that_lets_nobody_in_is_refused_with_a_reason(cloud, busy):
    target = other(cloud, busy)
    expected = restarted([busy, target]).attempting_migration([GUEST], busy)
    cloud.node(target).check("systemctl stop libvirtd-tcp.socket libvirtd.service")
    try:
        with cloud.watched(expected) as judged:
            move(cloud, target)
            await_(cloud, lambda: speaks_from(cloud, target) and idle(cloud), "the guest on its target")
        said = cloud.node(busy).check("journalctl --output=cat -t backstay-domain --grep=migrate_to")
    finally:
        open_again(cloud, target)
    assert judged[0].findings == []
    assert f"libvirt on {target} does not answer" in said
    assert where_it_is(cloud) == [target]


@pytest.mark.long
def test_an_agent_that_is_killed_in_the_middle(cloud, busy):
    target = other(cloud, busy)
    expected = restarted([busy, target]).attempting_migration([GUEST], busy)
    with in_the_middle(cloud, busy, target), cloud.watched(expected) as judged:
        pid = cloud.node(busy).check("pgrep --oldest --full '[b]ackstay/domain migrate_to'").strip()
        cloud.node(busy).check(f"kill -KILL -- -$(ps -o pgid= -p {pid} | tr -d ' ')")
        await_(cloud, lambda: speaks_from(cloud, target) and idle(cloud), "the guest on its target")
    assert judged[0].findings == []
    assert where_it_is(cloud) == [target]
    assert not outgoing(cloud, busy)


@pytest.mark.long
@pytest.mark.parametrize("side", ["target", "source"])
def test_a_host_loses_its_power_in_the_middle(cloud, busy, side):
    target = other(cloud, busy)
    dead = {"target": target, "source": busy}[side]
    hosts = cloud.stage.hosts()
    others = [guest for guest in cloud.stage.guests_on(dead) if guest != GUEST]
    expected = restarted(hosts).attempting_migration([GUEST], busy).fencing([dead])
    expected = expected.starting(others).restarting("libvirtd", [dead])
    with in_the_middle(cloud, busy, target), cloud.watched(expected) as judged:
        catalogue.inject(cloud.lab.layout, "cut-power", dead)
        resource(cloud, "--clear")  # or it would leave once more for the target that comes back
        await_(cloud, lambda: whole(cloud, hosts), "every host and guest to be back", FENCED)
    catalogue.heal(cloud.lab.layout, "cut-power", dead)
    assert judged[0].findings == []
    assert judged[0].boots[GUEST] <= 2  # the first one may have said its last word just before
    assert len(where_it_is(cloud)) == 1


@contextmanager
def half_a_minute(cloud):
    """For a migration of the guest, before it is switched to post-copy or cancelled."""
    change = '<op id="backstay-op-migrate_to-{}" timeout="{}"/>'
    cloud.on_any(["cibadmin", "--modify", "--xml-text", change.format(GUEST, "70s")])
    try:
        yield
    finally:
        cloud.on_any(["cibadmin", "--modify", "--xml-text", change.format(GUEST, "300s")])


@pytest.mark.long
def test_a_guest_that_writes_too_much_arrives_by_post_copy(cloud, busy):
    target = other(cloud, busy)
    limits = {"migration_speed": "6", "migration_downtime": "1", "migration_auto_converge": "false"}
    with half_a_minute(cloud), setting(cloud, migration_postcopy="true", **limits):
        with cloud.watched(NOTHING.migrating([GUEST], busy)) as judged:
            move(cloud, target)
            await_(cloud, lambda: speaks_from(cloud, target) and idle(cloud), "the guest on its target")
        said = cloud.node(busy).check(
            "journalctl --output=cat -t backstay-domain --grep='switched to post-copy'"
        )
    assert judged[0].findings == []
    assert judged[0].boots[GUEST] == 1
    assert where_it_is(cloud) == [target]
    assert f"to {target} is switched to post-copy" in said


def whole(cloud, hosts):
    """Whether every host is back, the cluster idle, and every guest heard."""
    return (
        cluster.ask(cloud.lab.layout).online() == set(hosts)
        and idle(cloud)
        and set(cloud.stage.places()) == set(cloud.stage.guests.values())
    )


# ---- the transports, by the commands of the guide


def blocks(section):
    """The commands of one section: (where, what) for each block that says where it is run."""
    text = GUIDE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(r"```sh\n# on ([^\n]+)\n(.*?)```", text, re.DOTALL)
    assert found, f"the guide has no section {section}"
    return found


def follow(cloud, where, what):
    hosts = {"every host": cloud.stage.hosts(), "one host": ("n1",)}.get(where, (where,))
    for host in hosts:
        cloud.node(host).check(
            what.replace("crm_resource --resource web1", f"crm_resource --resource {GUEST}"), 60
        )


@contextmanager
def as_the_guide_says(cloud, section, distribute):
    """Every block of a section carried out; `distribute` does what the guide says in words, before the second one."""
    first, *rest = blocks(section)
    with setting(cloud, migration_transport="tcp", migrate_options="--unsafe"):
        follow(cloud, *first)
        distribute()
        for where, what in rest:
            follow(
                cloud, where, what.replace('"--t', '"--unsafe --t')
            )  # the lab's storage is a shared directory
        await_(cloud, lambda: idle(cloud), "the new parameters to be in force")
        yield


def moves_alive(cloud):
    source = place(cloud)
    target = other(cloud, source)
    with cloud.watched(NOTHING.migrating([GUEST], source)) as judged:
        move(cloud, target)
        await_(cloud, lambda: speaks_from(cloud, target) and idle(cloud), "the guest on its target")
    resource(cloud, "--clear")
    assert judged[0].findings == []
    assert judged[0].boots[GUEST] == 1
    return cloud.node(source).check("journalctl --output=cat -t backstay-domain --grep=migrate_to")


@pytest.mark.long
def test_a_guest_moves_over_tls(cloud):
    def distribute():
        for host in cloud.stage.hosts()[1:]:
            for name in ("ca.pem", f"{host}.pem", f"{host}.key"):
                cloud.node(host).write(f"/root/pki/{name}", cloud.node("n1").read(f"/root/pki/{name}"))

    try:
        with as_the_guide_says(cloud, "TLS", distribute):
            for host in cloud.stage.hosts():  # tcp is no way in any more
                cloud.node(host).check("systemctl stop libvirtd-tcp.socket libvirtd.service")
            moves_alive(cloud)
    finally:
        for host in cloud.stage.hosts():
            cloud.node(host).check("systemctl disable --now libvirtd-tls.socket")
            open_again(cloud, host)


@pytest.mark.long
def test_a_guest_moves_over_ssh(cloud):
    hosts = cloud.stage.hosts()

    def distribute():
        keys = "".join(cloud.node(host).read("/root/.ssh/id_ed25519.pub") for host in hosts)
        for host in hosts:
            cloud.node(host).write("/root/.ssh/authorized_keys", keys, 0o600)

    for host in hosts:
        cloud.node(host).check("mkdir -p /run/sshd && /usr/sbin/sshd")
    try:
        with as_the_guide_says(cloud, "SSH", distribute):
            for host in hosts:
                cloud.node(host).check("systemctl stop libvirtd-tcp.socket libvirtd.service")
            moves_alive(cloud)
    finally:
        for host in hosts:
            cloud.node(host).check("kill $(cat /run/sshd.pid)")
            open_again(cloud, host)
