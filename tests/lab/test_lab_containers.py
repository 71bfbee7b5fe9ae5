# SPDX-License-Identifier: GPL-2.0-or-later
"""A container of libvirt's LXC driver as a cluster resource: seen and stopped whatever of libvirt is dead.

The nodes of the lab are containers themselves: what they may not do by themselves (write control groups) is allowed
to one of them first. Where the kernel forbids it all the same, the start has to say so and to leave nothing.
"""

from __future__ import annotations

import shutil
from contextlib import suppress

import pytest

from backstay.host.clock import Deadline, NotYet, TimedOut, pause, until

pytestmark = pytest.mark.long
FILES = ("libvirt_lxc", "libvirt_driver_lxc.so", "busybox")  # which scripts/setup fetches
DRIVERS = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver"
UUID = "11111111-2222-3333-4444-5555555555c1"
CONFIG, ROOT = "/srv/vm/box1.xml", "/srv/vm/box1"
DEFINITION = f"""<domain type='lxc'><name>box1</name><uuid>{UUID}</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64'>exe</type><init>/bin/init</init></os>
<devices><filesystem type='mount'><source dir='{ROOT}'/><target dir='/'/></filesystem><console type='pty'/></devices>
</domain>"""
INIT = """#!/bin/sh
trap 'exit 0' TERM
echo started >>/starts
/bin/sleep 100000 &
while :; do /bin/sleep 0.2; done
"""
RESOURCE = f"""<primitive id="box1" class="ocf" provider="backstay" type="domain"><instance_attributes id="box1-parameters">
<nvpair id="box1-config" name="config" value="{CONFIG}"/><nvpair id="box1-uri" name="hypervisor" value="lxc:///system"/>
<nvpair id="box1-guard" name="guard" value="none"/></instance_attributes>
<operations><op id="box1-start" name="start" interval="0" timeout="40s"/><op id="box1-stop" name="stop" interval="0" timeout="40s"/>
<op id="box1-monitor" name="monitor" interval="3s" timeout="20s"/></operations></primitive>"""
PLACE = '<rsc_location id="box1-place" rsc="box1" node="n1" score="INFINITY"/>'
AGENT = (
    f"OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=box1 OCF_RESKEY_config={CONFIG} OCF_RESKEY_guard=none"
    " OCF_RESKEY_hypervisor=lxc:///system OCF_RESKEY_CRM_meta_timeout={timeout} OCF_RESKEY_CRM_meta_interval={interval}"
    " /usr/lib/ocf/resource.d/backstay/domain {action} 2>&1"
)
HOOK, SLOW = "/etc/libvirt/hooks/lxc", "/root/slow"
VIRSH = "virsh --connect lxc:///system"
SOCKETS = "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd-tcp.socket"
ALLOW = """for kind in freezer blkio cpu cpuacct devices cpuset memory; do
[ ! -d /sys/fs/cgroup/$kind ] || mount -o remount,bind,rw /sys/fs/cgroup/$kind; done
mv /usr/share/dbus-1/system-services/org.freedesktop.machine1.service /root/ # a machined in a container knows no machine
systemctl mask --now --runtime systemd-machined; systemctl reload dbus
install /srv/vm/driver/libvirt_lxc /usr/lib/libvirt/
install -m 644 /srv/vm/driver/libvirt_driver_lxc.so @DRIVERS@/
systemctl restart libvirtd""".replace("@DRIVERS@", DRIVERS)


def agent(node, action: str, interval: int = 0, timeout: int = 20):
    """Call the agent by hand; give its exit code and what it said."""
    words = AGENT.format(action=action, interval=interval * 1000, timeout=timeout * 1000)
    done = node.run(words, timeout=timeout + 30)
    return done.returncode, done.stdout


def inits(node) -> list[str]:
    return node.run("pgrep -f '^/bin/sh /bin/init'").stdout.split()


def starts(node) -> int:
    return node.run(f"cat {ROOT}/starts").stdout.count("started")


def nothing_left(node) -> None:
    assert inits(node) == []
    groups = "find /sys/fs/cgroup -path '*lxc*box1*' -name cgroup.procs -exec cat {} +"
    assert node.run(groups).stdout.split() == []
    assert node.run("pgrep -f '[l]ibvirt_lxc --name box1'").stdout == ""


def kill_controller(node) -> None:
    node.check("kill -9 $(cat /run/libvirt/lxc/box1.pid)")


def stop_libvirtd(node) -> None:
    """As when it crashed and nothing brings it back."""
    node.check(
        f"systemctl stop {SOCKETS}; kill -9 $(systemctl show -P MainPID libvirtd); systemctl stop libvirtd"
    )


def start_libvirtd(node) -> None:
    node.check(f"systemctl reset-failed; systemctl start {SOCKETS} libvirtd; {VIRSH} list")


def wait(look, what: str, seconds: float = 40.0) -> None:
    def looked():
        if not look():
            raise NotYet("not yet")
        return True

    until(looked, Deadline(seconds), every=0.5, what=what)


@pytest.fixture(scope="module")
def host(running_lab, schemas):
    """A node that can run containers, or cannot for its kernel; the cluster keeps one there and needs no fencing."""
    running_lab.put_in_order()
    driver = running_lab.layout.shared / "driver"
    driver.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copy(schemas / name, driver / name)
    node = running_lab.node("n1")
    node.check(ALLOW, timeout=60)
    node.check(
        f"mkdir -p {ROOT}/bin {ROOT}/proc {ROOT}/sys {ROOT}/dev; install /srv/vm/driver/busybox {ROOT}/bin/"
    )
    node.check(f"for name in sh sleep; do ln -sf busybox {ROOT}/bin/$name; done")
    node.write(f"{ROOT}/bin/init", INIT, 0o755)
    node.write(CONFIG, DEFINITION)
    node.check(
        "crm_attribute --name stonith-enabled --update false; crm_attribute --name symmetric-cluster --update false"
    )
    yield node
    # without a place it is stopped
    node.run("cibadmin --delete --scope constraints --xml-text '<rsc_location id=\"box1-place\"/>'")
    with suppress(TimedOut):
        wait(lambda: not inits(node), "the container to end")
    node.run("cibadmin --delete --scope resources --xml-text '<primitive id=\"box1\"/>'")
    node.run(
        "crm_resource --cleanup; for name in stonith-enabled symmetric-cluster last-lrm-refresh;"
        " do crm_attribute --name $name --delete; done"  # the configuration is as it was, to the letter
    )
    node.run(
        "systemctl unmask --runtime systemd-machined; mv /root/org.freedesktop.machine1.service /usr/share/dbus-1/system-services/"
    )
    node.run(f"rm -rf /srv/vm/driver /srv/vm/box1*; rm -f {DRIVERS}/libvirt_driver_lxc.so {HOOK} {SLOW}")
    start_libvirtd(node)


def set_role(node, role: str = "") -> None:
    change = (
        f"--set-parameter target-role --parameter-value {role}" if role else "--delete-parameter target-role"
    )
    node.check(f"crm_resource --resource box1 --meta {change}")


def forbidden(node) -> bool:
    """Whether the kernel does not let libvirt run a container here; the agent says so then and leaves nothing."""
    allowed = node.run(f"{VIRSH} create {CONFIG} && {VIRSH} destroy box1")
    print(allowed.stdout, allowed.stderr)
    if allowed.ok:
        return False
    code, said = agent(node, "start")
    assert (code, "libvirt could not start box1" in said) == (1, True), said
    assert agent(node, "stop")[0] == 0
    nothing_left(node)
    return True


def test_a_container_is_seen_and_stopped_whatever_of_libvirt_is_dead(host):
    if forbidden(host):
        return
    host.check(f"rm -f {ROOT}/starts")
    host.check(["cibadmin", "--create", "--scope", "resources", "--xml-text", RESOURCE])
    host.check(["cibadmin", "--create", "--scope", "constraints", "--xml-text", PLACE])
    wait(lambda: inits(host), "the cluster to start the container")
    pause(5)  # a monitor
    assert agent(host, "monitor", 10) == (0, "")
    assert agent(host, "migrate_to")[0] == 1
    recovered_when_its_controller_is_killed(host)
    seen_and_stopped_without_both(host)
    started_again_when_libvirtd_is_back(host)
    stopped_when_frozen_under_a_libvirtd_that_hangs(host)
    not_created_when_nobody_wants_it_any_more(host)


def recovered_when_its_controller_is_killed(host) -> None:
    """libvirtd ends the container then; the cluster sees that, and starts it again once."""
    kill_controller(host)
    wait(lambda: starts(host) == 2, "the cluster to start it again")
    wait(lambda: agent(host, "monitor", 10)[0] == 0, "it to be well")
    assert len(inits(host)) == 1


def seen_and_stopped_without_both(host) -> None:
    """Without libvirtd nobody notices; without its controller as well it is degraded, and stopped as it is."""
    stop_libvirtd(host)
    (init,) = inits(host)
    pause(8)
    assert agent(host, "monitor", 10) == (0, "")
    assert inits(host) == [init]
    kill_controller(host)
    code, said = agent(host, "monitor", 10)
    assert (code, "libvirt cannot manage it any more" in said) == (190, True), said
    assert agent(host, "monitor")[0] == 0
    pause(8)
    assert inits(host) == [init]
    set_role(host, "Stopped")
    wait(lambda: not inits(host), "the cluster to stop it")
    nothing_left(host)
    assert agent(host, "monitor")[0] == 7
    assert starts(host) == 2


def started_again_when_libvirtd_is_back(host) -> None:
    """It comes back with an old word of the container, and that is in nobody's way."""
    start_libvirtd(host)
    host.check("crm_resource --cleanup --resource box1")
    set_role(host)
    wait(lambda: starts(host) == 3, "the cluster to start it again")
    wait(lambda: agent(host, "monitor", 10)[0] == 0, "it to be well")


def stopped_when_frozen_under_a_libvirtd_that_hangs(host) -> None:
    host.check(f"{VIRSH} suspend box1")
    assert agent(host, "monitor", 10)[0] == 190
    host.check("kill -STOP $(systemctl show -P MainPID libvirtd)")
    set_role(host, "Stopped")
    wait(lambda: not inits(host), "the cluster to stop it", 60)
    nothing_left(host)
    host.check("kill -CONT $(systemctl show -P MainPID libvirtd)")
    host.check(f"{VIRSH} list")


def not_created_when_nobody_wants_it_any_more(host) -> None:
    """libvirtd waits in the middle of a creation, as for storage, and goes on long after the start was given up."""
    host.write(HOOK, f"#!/bin/sh\n[ $2 != prepare ] || while [ -e {SLOW} ]; do sleep 0.1; done\n", 0o755)
    host.check(f"touch {SLOW}; systemctl restart libvirtd; {VIRSH} list")
    assert agent(host, "start", timeout=6)[0] == 1
    assert agent(host, "stop")[0] == 0
    before = refusals(host)
    host.check(f"rm {SLOW}")
    wait(lambda: refusals(host) > before, "libvirtd to go on with the creation")
    pause(2)
    nothing_left(host)
    assert starts(host) == 3


def refusals(host) -> int:
    """How often libvirtd could not create a container for want of its controller."""
    return host.run("journalctl --output=cat --unit=libvirtd").stdout.count("cannot execute binary")
