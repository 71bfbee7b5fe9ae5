# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirtd's rarer troubles on the real thing, beside a guest that must not notice: what the stories do not show."""

from __future__ import annotations

from contextlib import suppress

import pytest

from backstay.host.clock import Deadline, NotYet, TimedOut, until

NODES = ("n1", "n2", "n3")
BUDGET = 15
PATIENCE = 5.0 * BUDGET  # seconds for what the agent does within its budget at the latest
CLONE = f"""<clone id="libvirtd-clone"><primitive id="libvirtd" class="ocf" provider="backstay" type="libvirtd">
<instance_attributes id="libvirtd-parameters"><nvpair id="libvirtd-budget" name="heal_budget" value="{BUDGET}s"/>
<nvpair id="libvirtd-answer" name="answer_within" value="3s"/></instance_attributes>
<operations><op id="libvirtd-monitor" name="monitor" interval="2s" timeout="30s"/></operations>
</primitive></clone>"""
DEEP = (
    "OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=libvirtd OCF_CHECK_LEVEL=10 OCF_RESKEY_CRM_meta_interval=60000"
    " OCF_RESKEY_CRM_meta_timeout=30000 /usr/lib/ocf/resource.d/backstay/libvirtd monitor 2>&1"
)
TWIN = "aaaaaaaa-1111-2222-3333-444444444444"
GHOST = "bbbbbbbb-1111-2222-3333-444444444444"
DOMAIN = f"""<domain type="qemu"><name>twin</name><uuid>{TWIN}</uuid><memory unit="MiB">32</memory>
<os><type arch="x86_64" machine="pc">hvm</type></os></domain>"""
DRIVER = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so"
UNITS = "/lib/systemd/system/libvirtd"
PROGRAM = "/usr/sbin/libvirtd"
AWAY = "/root/away"
MAIN_PID = "$(systemctl show -P MainPID libvirtd.service)"


def twin_on(node) -> str:
    """Have the guest run there, and give the pid of its emulator."""
    node.write("/root/twin.xml", DOMAIN)
    node.check("virsh domstate twin 2>/dev/null | grep -q running || virsh --quiet create /root/twin.xml")
    return pid_of_twin(node)


def pid_of_twin(node) -> str:
    return node.check("cat /run/libvirt/qemu/twin.pid").strip()


def word(lab, name: str) -> str:
    """What a host says of its libvirtd now."""
    said = (
        lab.node("n2").run(["attrd_updater", "--name", "backstay-libvirtd", "--query", "--node", name]).stdout
    )
    return said.partition('value="')[2].partition('"')[0]


def wait_for_word(lab, name: str, wanted: str, seconds: float = PATIENCE) -> None:
    def look() -> bool:
        said = word(lab, name)
        if said != wanted:
            raise NotYet(said)
        return True

    until(look, Deadline(seconds), every=0.5, what=f"{name} to be {wanted}")


def wait_for_output(node, command: str, wanted: str) -> str:
    """Ask until the answer has these words in it, and give it."""

    def look() -> str:
        said = node.run(command).stdout
        if wanted not in said:
            raise NotYet(said)
        return said

    return until(look, Deadline(PATIENCE), every=0.5, what=f"{command} to say {wanted}")


def failures(lab, name: str) -> list[tuple[str, str]]:
    """What Pacemaker shows as failed actions of libvirtd on that host: action and result."""
    said = lab.node("n2").check("crm_mon --one-shot --output-as=xml --include=none,failures")
    from xml.etree import ElementTree as ET

    found = ET.fromstring(said).iterfind("failures/failure")
    return [
        (entry.get("op_key", "").split("_", 1)[1], entry.get("exitstatus", ""))
        for entry in found
        if entry.get("node") == name
    ]


@pytest.fixture(scope="module")
def clone(running_lab):
    """libvirtd on all nodes is watched by the cluster, which may do without fencing."""
    running_lab.put_in_order()
    first = running_lab.node("n1")
    first.check("crm_attribute --name stonith-enabled --update false")
    first.check(["cibadmin", "--create", "--scope", "resources", "--xml-text", CLONE])
    yield running_lab
    # nothing is stopped any more as soon as fencing is required again and there is none
    first.run("cibadmin --delete --scope resources --xml-text '<clone id=\"libvirtd-clone\"/>'")
    with suppress(TimedOut):
        running_lab.wait_for(
            lambda state: ", ".join(r.name for r in state.resources), PATIENCE, "libvirtd to be stopped"
        )
    first.run("crm_resource --cleanup; crm_attribute --name stonith-enabled --delete")
    for name in NODES:
        mend(running_lab.node(name))
    first.run("virsh destroy twin")


@pytest.fixture
def watched(clone):
    """libvirtd is well everywhere, and a guest that the cluster knows nothing of runs on n1."""
    for name in NODES:
        wait_for_word(clone, name, "healthy")
    twin_on(clone.node("n1"))
    yield clone
    for name in NODES:
        mend(clone.node(name))
        clone.node(name).run("[ ! -e /run/ghost.pid ] || kill $(cat /run/ghost.pid)")
    clone.node("n2").run("virsh destroy twin")
    clone.node("n1").run("crm_resource --cleanup")


def take_away(node) -> None:
    """What is left when the package was removed under a running daemon."""
    node.check(
        f"mkdir -p {AWAY} && pid={MAIN_PID} && mv {UNITS}* {PROGRAM} {AWAY}/ && systemctl daemon-reload && kill $pid"
    )


def mend(node) -> None:
    node.run(
        f"[ ! -e {AWAY}/libvirtd ] || {{ mv {AWAY}/libvirtd {PROGRAM}; mv {AWAY}/libvirtd* /lib/systemd/system/; }};"
        f" [ ! -e {AWAY}/driver ] || mv {AWAY}/driver {DRIVER};"
        " systemctl daemon-reload; systemctl reset-failed;"
        " systemctl start libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd-tcp.socket"
    )


def test_one_without_its_driver_and_one_that_is_deaf_are_restarted(watched):
    node = watched.node("n1")
    pid = pid_of_twin(node)
    node.check(
        f"mkdir -p {AWAY} && mv {DRIVER} {AWAY}/driver && systemctl restart libvirtd.service && sleep 0.5"
        f" && mv {AWAY}/driver {DRIVER}"  # as after a package that was mended: only a restart loads it
    )
    wait_for_word(watched, "n1", "degraded:driverless")
    wait_for_word(watched, "n1", "healthy")
    node.check("rm /run/libvirt/libvirt-sock")
    wait_for_word(watched, "n1", "degraded:deaf")
    wait_for_word(watched, "n1", "healthy")
    assert pid_of_twin(node) == pid
    assert "twin" in node.check("virsh list --name")
    assert {result for _, result in failures(watched, "n1")} <= {"OCF_DEGRADED"}


def test_strays_and_a_guest_that_runs_twice_are_reported(watched):
    one, two = watched.node("n1"), watched.node("n2")
    assert one.run(DEEP).returncode == 0
    one.check(
        f"qemu-system-x86_64 -name guest=ghost -uuid {GHOST} -display none -m 16 -daemonize -pidfile /run/ghost.pid"
    )
    stray = one.run(DEEP)
    assert (stray.returncode, "outside of libvirt and of the cluster" in stray.stdout) == (190, True)
    one.check("kill $(cat /run/ghost.pid); rm /run/ghost.pid; sleep 0.5")
    assert one.run(DEEP).returncode == 0
    twin_on(two)
    said = [node.run(DEEP) for node in (two, one, two, one)]
    assert [done.returncode for done in said] == [0, 0, 190, 190]
    assert f"twin ({TWIN}) runs here and on n1 at the same time" in said[2].stdout
    assert f"twin ({TWIN}) runs here and on n2 at the same time" in said[3].stdout
    assert "runs here and on" in one.check("attrd_updater --name backstay-strays --query --all")
    assert "backstay-guests" not in one.check("cibadmin --query"), (
        "the comparison does not go through the CIB"
    )
    told = two.check("attrd_updater --name backstay-surroundings --query --all")
    assert all(f'host="{name}" value="lock=;' in told for name in NODES), told
    assert "backstay-surroundings" not in one.check("cibadmin --query")
    two.check("virsh destroy twin")
    assert [node.run(DEEP).returncode for node in (two, one)] == [0, 0]


@pytest.mark.long
def test_one_that_was_uninstalled_is_given_up_where_guests_have_a_better_place(watched):
    node = watched.node("n1")
    pid = pid_of_twin(node)
    take_away(node)
    wait_for_word(watched, "n1", "degraded:not-installed")
    wait_for_word(watched, "n1", "broken:not-installed")
    until(
        lambda: (
            ("start_0", "not installed")
            in [(op.split("libvirtd_")[-1], how) for op, how in failures(watched, "n1")]
            or None
        ),
        Deadline(PATIENCE),
        what="the start to fail",
    )
    assert node.run(f"kill -0 {pid}").ok, "the guest that nobody manages runs on"


@pytest.mark.long
def test_a_start_that_fails_keeps_the_host_while_no_other_is_healthy(watched):
    """The last healthy host breaks between another's failed monitor and its start."""
    for name in NODES:
        take_away(watched.node(name))
    for name in NODES:
        wait_for_word(watched, name, "degraded:not-installed")
    watched.node("n2").check("crm_resource --fail --resource libvirtd --node n1")
    said = wait_for_output(
        watched.node("n1"), "journalctl --output=cat --priority=alert --grep='its guests stay'", "guests stay"
    )
    assert "libvirtd is not installed; its guests stay, for they have no better place" in said
    wait_for_output(watched.node("n2"), "crm_resource --resource libvirtd --locate", "running on: n1")


@pytest.mark.long
def test_a_crash_loop_is_healed_beside_a_guest_that_does_not_notice(watched):
    node = watched.node("n1")
    pid = pid_of_twin(node)
    node.run(f"for i in $(seq 20); do pid={MAIN_PID}; [ $pid = 0 ] || kill -SEGV $pid; sleep 0.5; done")
    until(
        lambda: "twin" in node.run("virsh list --name").stdout or None,
        Deadline(PATIENCE),
        what="libvirtd to answer and to know its guest",
    )
    wait_for_word(watched, "n1", "healthy")
    assert pid_of_twin(node) == pid
    assert {result for _, result in failures(watched, "n1")} <= {"OCF_DEGRADED"}
