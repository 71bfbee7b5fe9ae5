# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates alone, loaded in each of the ways that an admin has, on a real cluster: their resources start, are watched,
fail over with a fencing, and stop.

GlusterFS is in user space and here too. What needs a kernel of its own (NFS, DRBD, OCFS2, GFS2, LVM, RBD) is not: a
container has its machine's.
"""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, until
from backstay.lab import cluster
from tests.lab import debs

HOSTS = ("n1", "n2", "n3")
ADDRESS = "10.77.0.90"
UNIT = """[Service]
ExecStart=/bin/sleep infinity
"""
ALERTED = "/var/lib/pacemaker/alerted"
ALERT = f"""#!/bin/sh
echo "$CRM_alert_kind $CRM_alert_rsc $CRM_alert_task $CRM_alert_node $CRM_alert_recipient" >>{ALERTED}
"""
SINK = """import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Keep(BaseHTTPRequestHandler):
    def do_POST(self):
        with open("/run/told", "ab") as kept:
            kept.write(self.rfile.read(int(self.headers["Content-Length"])) + b"\\n")
        self.send_response(204)
        self.end_headers()
HTTPServer(("127.0.0.1", 8099), Keep).serve_forever()
"""
WOKEN = "/etc/backstay/alert-recipients"


@pytest.fixture
def admin(lab):
    """A host with an admin on it, in a cluster without any configuration of ours; hosts have a unit and an alert."""
    for node in lab.nodes:
        node.write("/etc/systemd/system/steady.service", UNIT)
        node.write("/usr/local/bin/alert", ALERT, mode=0o755)
        node.write("/root/sink.py", SINK)
        node.write(WOKEN, "http://127.0.0.1:8099/hook/secret\nnobody\n")
        node.check(
            "systemctl daemon-reload; systemctl restart sink 2>/dev/null || systemd-run --unit=sink python3 /root/sink.py"
        )
    yield lab.node("n1")
    where(lab, "systemctl stop sink; rm -f /run/told")
    where(lab, f"rm -f {WOKEN}; rm -f /etc/systemd/system/steady.service {ALERTED}; systemctl daemon-reload")


def set_to(**values):
    """The words that give a template its values."""
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def by_cibadmin(node, template, **values):
    node.check(["backstay", "render", "--template", template, *set_to(**values), "-o", "/root/snippet.xml"])
    node.check("cibadmin --modify --allow-create --xml-file /root/snippet.xml")


def by_crmsh(node, template, **values):
    node.check(["backstay", "render", "--template", template, *set_to(**values), "-o", "/root/snippet.xml"])
    node.check("crm configure load xml update /root/snippet.xml", timeout=60)


def by_script(node, template, **values):
    words = [f"{name}={value}" for name, value in values.items()]
    done = node.run(["crm", "script", "run", f"backstay-{template}", *words], timeout=120)
    assert done.ok, done.stdout + done.stderr


def by_patch(node, template, **values):
    """What `pcs cluster cib-push AFTER diff-against=BEFORE` does; the nodes have no pcs."""
    node.check("cibadmin --query >/root/before.xml")
    words = [*set_to(**values), "--into", "/root/before.xml", "-o", "/root/after.xml"]
    node.check(["backstay", "render", "--template", template, *words])
    node.run("crm_diff --original /root/before.xml --new /root/after.xml --no-version >/root/patch.xml")
    node.check("cibadmin --patch --xml-file /root/patch.xml")


def where(lab, command):
    """The hosts with power on which a command succeeds."""
    found = []
    for name in HOSTS:
        with suppress(CannotAsk):
            if lab.node(name).run(command).ok:
                found.append(name)
    return found


def addressed(lab):
    """The hosts that have the address."""
    return where(lab, f"ip -4 -o address | grep -q ' {ADDRESS}/24 '")


def serving(lab):
    """The hosts on which the unit is active."""
    return where(lab, "systemctl is-active steady")


def together(lab, besides=""):
    """The one host that has both, other than `besides`, once there is one."""

    def look():
        here = addressed(lab)
        return here[0] if len(here) == 1 and here == serving(lab) and here != [besides] else None

    return until(look, Deadline(120), what="address and service on one host")


def load(node):
    """Every concern that needs no kernel of its own, each loaded in another way."""
    for host in HOSTS:
        by_cibadmin(node, "fencing", host=host, address=f"bmc-{host}", username="fencer",
                    password_file="/etc/backstay/bmc.password")  # fmt: skip
    by_script(node, "properties")
    by_crmsh(node, "libvirtd")
    by_patch(node, "alerts", name="told", program="/usr/local/bin/alert", recipients="me")
    by_cibadmin(node, "alerts", name="ours", recipients=f"journal,{WOKEN}")
    by_script(node, "address", name="vip", address=ADDRESS, prefix="24")
    by_crmsh(node, "service", name="steady", unit="steady", needs="vip")


def ours_told(node, lost):
    """Backstay's own program, as hacluster: the journal has fields, the web server the words, a bad recipient hid nothing."""

    def look():
        fields = f"BACKSTAY_ALERT=fencing BACKSTAY_HOST={lost} BACKSTAY_CODE=0"
        said = node.run(f"journalctl --boot --output=cat --identifier=backstay-alert {fields}").stdout
        posts = [json.loads(line) for line in node.run("cat /run/told").stdout.splitlines()]
        fencings = [one for one in posts if (one["kind"], one["host"]) == ("fencing", lost)]
        return (said, fencings) if said and fencings else None

    said, fencings = until(look, Deadline(60), what=f"{node.name} to tell of the fencing of {lost}")
    assert f"host {lost} was fenced by" in said
    assert "What to do: look why" in said
    assert [(one["weight"], one["told_by"]) for one in fencings] == [("warning", node.name)]
    wrong = node.check("journalctl --boot --output=cat --identifier=backstay-alert --priority=err")
    assert "nobody is no recipient" in wrong
    assert "secret" not in wrong
    # An agent's own line: this one has no config.
    node.run("OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=no1 /usr/lib/ocf/resource.d/backstay/domain start")
    node.check(
        "journalctl --boot BACKSTAY_RESOURCE=no1 BACKSTAY_ACTION=start BACKSTAY_CODE=6 | grep backstay-domain"
    )
    # As which user Pacemaker runs it: that one may ask who is there, so that few of many hosts send mail.
    assert node.name in node.check("runuser -u hacluster -- crm_node --partition").split()
    metrics_written(node)


def metrics_written(node):
    """The units of the timers, as systemd confines them, write where a node exporter looks."""
    place = "/var/lib/prometheus/node-exporter"
    node.check(
        f"mkdir -p {place} && systemctl start backstay-metrics.service backstay-fence.service", timeout=300
    )
    assert 'backstay_libvirtd_healthy{state="healthy"} 1' in node.read(f"{place}/backstay.prom")
    assert f'asker="{node.name}"' in node.read(f"{place}/backstay-fence.prom")
    node.check(f"rm -rf {place}")


def test_what_is_loaded_starts_is_watched_fails_over_and_stops(lab, admin):
    load(admin)
    host = together(lab)
    lab.wait_for(cluster.running(["fence-n1", "fence-n2", "fence-n3", "vip", "steady"]), 60, "all to run")
    lab.wait_for(
        lambda s: "" if len(s.running_on("libvirtd")) == 3 else "not yet", 60, "libvirtd on every host"
    )
    # A unit is active before Pacemaker has looked whether it stays so.
    admin.check("crm_resource --wait", timeout=90)
    assert lab.ask().failures == ()

    lab.node(host).check("systemctl kill --signal=KILL steady")
    until(
        lambda: serving(lab) == [host] or None,
        Deadline(60),
        what="the service to be started again where it was",
    )
    lab.wait_for(lambda s: "" if s.failures else "not seen", 60, "the monitor to have seen it")
    assert addressed(lab) == [host]

    survivor = next(name for name in HOSTS if name != host)
    before = cluster.ask(lab.layout, among=[survivor]).fencing  # of tests before this one
    lab.cut(host)
    assert together(lab, besides=host) != host
    now = cluster.ask(lab.layout, among=[survivor]).fencing
    assert [event.target for event in now if event not in before] == [host]
    # Of a fencing every survivor tells, of a resource the host on which it was started.
    told = [lab.node(name).read(ALERTED) for name in HOSTS if name != host]
    assert all(f"fencing  st_notify_fence {host} me" in text for text in told)
    assert any("resource vip start " in text for text in told)
    for name in HOSTS:
        if name != host:
            ours_told(lab.node(name), host)
    lab.wait_for(cluster.all_online(HOSTS), 150, f"{host} to come back")

    by_cibadmin(lab.node(survivor), "address", name="vip", address=ADDRESS, prefix="24")
    lab.node(survivor).check(
        "crm_resource --resource vip --meta --set-parameter target-role --parameter-value Stopped"
    )
    until(lambda: (addressed(lab), serving(lab)) == ([], []) or None, Deadline(60), what="both to stop")
    assert not lab.ask().unclean()


# Not part of the nodes' root: only this test needs them (30 MB).
GLUSTERFS = """glusterfs-server glusterfs-client glusterfs-common glusterfs-cli libglusterfs0 libglusterd0 libgfapi0
libgfrpc0 libgfxdr0 libgfchangelog0 liburcu8 attr python3-prettytable python3-wcwidth""".split()
BEGIN = """mkdir -p /var/lib/glusterd /var/log/glusterfs /run/gluster /bricks /srv/gluster
getent group gluster >/dev/null || groupadd --system gluster; systemctl start glusterd"""
FORGET = """systemctl stop glusterd; pkill glusterfs; umount -l /srv/gluster
rm -rf /bricks /var/lib/glusterd /srv/gluster"""
VOLUME = "vmstore replica 3 n1:/bricks/b n2:/bricks/b n3:/bricks/b force"


@pytest.fixture
def gluster(lab):
    """A GlusterFS volume `vmstore` with a brick on each host, and nothing of it in the cluster."""
    debs.unpack(lab, lab.nodes, GLUSTERFS)
    for node in lab.nodes:
        node.check(BEGIN, timeout=120)
    first = lab.node("n1")
    for name in ("n2", "n3"):
        first.check(f"gluster peer probe {name}", timeout=60)
    joined = "gluster peer status | grep -c 'Peer in Cluster (Connected)'"
    until(lambda: first.run(joined).stdout == "2\n" or None, Deadline(60), what="the peers to be one pool")
    first.check(f"gluster --mode=script volume create {VOLUME}", timeout=60)
    first.check("gluster --mode=script volume start vmstore", timeout=60)
    yield first
    where(lab, FORGET)


def mounted(lab):
    """The hosts on which the volume is mounted."""
    return where(lab, "grep -q ' /srv/gluster fuse.glusterfs ' /proc/mounts")


@pytest.mark.long
def test_a_gluster_volume_is_mounted_again_and_outlives_a_host(lab, gluster):
    for host in HOSTS:
        by_cibadmin(gluster, "fencing", host=host, address=f"bmc-{host}", username="fencer",
                    password_file="/etc/backstay/bmc.password")  # fmt: skip
    by_cibadmin(gluster, "properties")
    by_script(gluster, "glusterfs", name="vmstore", server="n1", volume="vmstore", directory="/srv/gluster",
              options="backup-volfile-servers=n2:n3")  # fmt: skip
    gluster.check("crm_resource --wait", timeout=120)
    assert mounted(lab) == list(HOSTS)
    assert lab.ask().failures == ()
    for node in lab.nodes:
        node.check("hostname >>/srv/gluster/written")

    lab.node("n2").check("umount --lazy /srv/gluster")
    until(lambda: mounted(lab) == list(HOSTS) or None, Deadline(90), what="the volume to be mounted again")

    before = lab.ask().fencing
    lab.cut("n1")
    lab.wait_for(
        lambda s: "" if [f.target for f in s.fencing if f not in before] == ["n1"] else "not yet",
        90,
        "n1 to be fenced",
    )
    # GlusterFS waits for a lost brick (network.ping-timeout, 42 s), and whoever writes waits with it.
    lab.node("n3").check("echo later >>/srv/gluster/written", timeout=120)
    assert lab.node("n2").check("cat /srv/gluster/written").split() == [*HOSTS, "later"]
    lab.wait_for(cluster.all_online(HOSTS), 150, "n1 to come back")

    lab.node("n2").check(
        "crm_resource --resource vmstore-clone --meta --set-parameter target-role --parameter-value Stopped"
    )
    until(lambda: mounted(lab) == [] or None, Deadline(120), what="the volume to be unmounted everywhere")
    assert not lab.ask().unclean()
