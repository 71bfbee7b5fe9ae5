# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Ganeti 3.0 of Debian on the lab's nodes, with Ganeti's own fake hypervisor and disks on shared storage.

Decides how it is set up, as an admin would do it by hand; what keeps its master in order is Backstay's.
"""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, until
from backstay.lab import kinds

HOSTS = ("n1", "n2", "n3")
VIP, VIP_NAME = "10.77.0.91", "cloud"
PACKAGES = ("ganeti", "ganeti-os-noop", "iputils-arping")
SHARED = "/srv/vm/ganeti"
INSTANCES = ("inst1", "inst2", "inst3", "inst4")
NODE_UNIT = "backstay-ganeti-node.service"
INIT = (
    "gnt-cluster init --enabled-hypervisors=fake --enabled-disk-templates=sharedfile,file,diskless"
    f" --shared-file-storage-dir={SHARED} --file-storage-dir=/srv/ganeti/file-storage --master-netdev=eth0"
    " --master-netmask=32 --no-etc-hosts --no-ssh-init -N mode=routed,link=eth0 --specs-cpu-count=min=1,max=8,std=1"
    " --specs-mem-size=min=16M,max=4G,std=128M --specs-disk-size=min=1M,max=10G,std=1G --mac-prefix=aa:00:00"
)
MASTERS = "pgrep -x 'ganeti-(luxid|rapi|wconfd)'"


def fetch(lab, place: Path) -> list[Path]:
    """Debian's packages of Ganeti and what it needs beyond the nodes' own, from the machine's package sources."""
    (place / "partial").mkdir(parents=True, exist_ok=True)
    root = kinds.of(lab.layout).lower(lab.layout)[-1]
    argv = [
        "apt-get", "--quiet", "--yes", "--no-install-recommends", "--download-only",
        "-o", f"Dir::State::status={root}/var/lib/dpkg/status", "-o", "Debug::NoLocking=1",
        "-o", f"Dir::Cache::archives={place}", "install", *PACKAGES,
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = sorted(place.glob("*.deb"))
    assert any(each.name.startswith("ganeti-haskell") for each in found), found
    return found


def install(lab, debs: list[Path]) -> None:
    """The software on every node, with a key that lets root in everywhere, and the name of the cluster."""
    key = lab.node("n1").check("[ -e /root/.ssh/id_rsa ] || { mkdir -m 700 -p /root/.ssh;"
                               " ssh-keygen -q -t rsa -N '' -f /root/.ssh/id_rsa; }; cat /root/.ssh/id_rsa")  # fmt: skip
    public = lab.node("n1").read("/root/.ssh/id_rsa.pub")

    def on(node):
        for deb in debs:
            shutil.copyfile(deb, node.root / "var/cache" / deb.name)
        node.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        node.check(
            "DEBIAN_FRONTEND=noninteractive dpkg --install /var/cache/*.deb; rm -f /var/cache/*.deb",
            timeout=300,
        )
        node.check(
            "dpkg --status ganeti-3.0 | grep -q 'ok installed'; rm -f /etc/cron.d/ganeti /usr/sbin/policy-rc.d"
        )
        node.write("/root/.ssh/id_rsa", key, 0o600)
        node.write("/root/.ssh/id_rsa.pub", public)
        node.write("/root/.ssh/authorized_keys", public, 0o600)
        node.check(
            f"grep -q {VIP_NAME} /etc/hosts || echo '{VIP} {VIP_NAME}' >>/etc/hosts; rm -f /run/nologin;"
            " mkdir -p /srv/ganeti/file-storage /run/sshd;"
            f" printf '%s\\n' {SHARED} /srv/ganeti/file-storage >/etc/ganeti/file-storage-paths;"
            " systemctl daemon-reload; systemctl mask ganeti.service; systemctl unmask ssh; systemctl enable --now ssh",
            timeout=60,
        )

    (lab.layout.shared / "ganeti").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as at_once:
        list(at_once.map(on, lab.nodes))


def make(lab) -> None:
    """A cluster of three with an instance for each name, on n1 and n2 by turns; the master is n1."""
    first = lab.node("n1")
    first.check(f"{INIT} {VIP_NAME}", timeout=120)
    for name in HOSTS[1:]:
        first.check(f"gnt-node add --no-ssh-key-check {name} </dev/null", timeout=120)
    for number, name in enumerate(INSTANCES):
        first.check(
            f"gnt-instance add -t sharedfile --disk 0:size=16M -o noop -H fake -B memory=64M,vcpus=1 -n {HOSTS[number % 2]}"
            f" --no-name-check --no-ip-check --no-conflicts-check --net 0:mode=routed,link=eth0,ip=10.77.0.{201 + number}"
            f" {name}",
            timeout=120,
        )
    # The master's daemons are the cluster's from here on; those of the nodes are the unit's.
    first.check(f"/usr/lib/ganeti/daemon-util stop-master; ip address del {VIP}/32 dev eth0 || true")
    for node in lab.nodes:
        node.check(f"/usr/lib/ganeti/daemon-util stop-all; systemctl enable --now {NODE_UNIT}", timeout=120)


def masters(lab) -> list[str]:
    """The hosts on which any daemon of the master runs, or its address is."""
    found = []
    for name in HOSTS:
        with suppress(CannotAsk):
            if lab.node(name).run(f"{MASTERS} || ip -4 -o address | grep -q ' {VIP}/'").ok:
                found.append(name)
    return found


def answering(lab, name: str) -> bool:
    """Whether the master answers there, and the cluster's agent knows it: a start that goes on does not count."""
    up = f"attrd_updater --name backstay-frontend-ganeti-role --query --node {name} | grep -q 'value=\"up\"'"
    with suppress(CannotAsk):
        return lab.node(name).run(f"{up} && timeout 8 gnt-cluster master-ping").ok
    return False


def the_master(lab, besides: str = "", seconds: float = 300) -> str:
    """The one host that is the master and answers, another one than `besides`, once there is one."""

    def look():
        here = masters(lab)
        return here[0] if len(here) == 1 and here != [besides] and answering(lab, here[0]) else None

    return until(look, Deadline(seconds), 0.5, "Ganeti's master on one host")


def places(lab, master: str) -> dict[str, tuple[str, str]]:
    """Where each instance is and how, by Ganeti's own word."""
    said = lab.node(master).check(
        "gnt-instance list --no-headers --separator=' ' --output=name,pnode,status", timeout=60
    )
    rows = (line.split() for line in said.splitlines())
    return {name: (node, status) for name, node, status in rows}


def all_run(lab, besides: str, seconds: float = 300) -> dict[str, tuple[str, str]]:
    """Wait until every instance runs on another host than `besides`, and give where."""

    def look():
        with suppress(CannotAsk):
            here = masters(lab)
            found = places(lab, here[0]) if len(here) == 1 else {}
            good = [node for node, status in found.values() if status == "running" and node != besides]
            return found if len(good) == len(INSTANCES) else None
        return None

    return until(look, Deadline(seconds), 1.0, f"every instance to run elsewhere than on {besides}")
