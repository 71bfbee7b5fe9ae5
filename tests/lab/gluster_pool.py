# SPDX-License-Identifier: GPL-2.0-or-later
"""A real GlusterFS volume of three servers, each in namespaces of its own on this machine; the volume is mounted on each.

The servers are Debian's packages, unpacked into an overlay over this machine's root: nothing is installed. Everything
ends with one process for each server. Bricks are file systems in memory, so their sizes are what a test says.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.integration.agents.private_host import DOOR, PYTHON, Result, wait

# Not part of what scripts/setup installs: only these tests need them (30 MB).
PACKAGES = """glusterfs-server glusterfs-client glusterfs-common glusterfs-cli libglusterfs0 libglusterd0 libgfapi0
libgfrpc0 libgfxdr0 libgfchangelog0 liburcu8 attr python3-prettytable python3-wcwidth""".split()
SERVERS = ("g1", "g2", "g3")
SPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")
MOUNTED = "/srv/store"
VOLUME = "vol"
SETUP = """
set -e
mount --make-rprivate /
hostname {name}
mount -t tmpfs none {place}
mkdir {place}/upper {place}/work {place}/root
cp -a {software}/. {place}/upper/
mount -t overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work none {place}/root
cd {place}/root
mount --rbind /dev dev; mount -t proc none proc; mount --rbind /sys sys
mount -t tmpfs none run
mkdir -p run/gluster run/lock var/lib/glusterd var/log/glusterfs bricks/b srv/store var/lib/backstay
mount -t tmpfs -o size={size} none bricks/b
mkdir -p bricks/b/data
printf '127.0.0.1 localhost\\n10.79.0.1 g1\\n10.79.0.2 g2\\n10.79.0.3 g3\\n' >etc/hosts
ip link set lo up
touch {ready}
while :; do sleep 1000 & wait $! || :; done
"""
BRIDGE = "backstay-gl"


def software(cache: Path) -> Path:
    """Give the directory with the unpacked packages; fetched once, by the machine's own apt."""
    debs, target = cache / "debs", cache / "gluster"
    if target.is_dir():
        return target
    debs.mkdir(parents=True, exist_ok=True)
    missing = [name for name in PACKAGES if not list(debs.glob(f"{name}_*.deb"))]
    if missing:
        argv = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *missing]
        done = subprocess.run(argv, cwd=debs, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    beside = cache / f"gluster.{os.getpid()}"
    for name in ("bin", "lib", "sbin"):  # as the root is, below which it will lie
        (beside / "usr" / name).mkdir(parents=True)
        (beside / name).symlink_to(f"usr/{name}")
    for deb in debs.glob("*.deb"):
        subprocess.run(
            f"dpkg-deb --fsys-tarfile {deb} | tar -x --keep-directory-symlink -C {beside}",
            shell=True,
            check=True,
        )
    beside.rename(target)
    return target


class Server:
    """One server of the pool, which is a client too."""

    def __init__(self, name: str, place: Path, packages: Path, repository: Path, size: str) -> None:
        self.name = name
        self.repository = repository
        place.mkdir()
        ready = place.with_suffix(".ready")
        script = SETUP.format(name=name, place=place, software=packages, ready=ready, size=size)
        spaces = [*SPACES, "--fork", "--kill-child", "--mount-proc"]
        self.holder = subprocess.Popen(["unshare", *spaces, "bash", "-c", script], stdin=subprocess.DEVNULL)
        wait(ready.exists, f"{name} to be set up")
        self.root = place / "root"

    @property
    def leader(self) -> int:
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text()
        return int(children.split()[0])

    def argv(self, command: str | Sequence[str]) -> list[str]:
        words = ["bash", "-c", command] if isinstance(command, str) else list(command)
        return ["nsenter", f"--target={self.leader}", *SPACES, "--", "chroot", str(self.root), *words]

    def run(self, command: str | Sequence[str], timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
        return subprocess.run(
            self.argv(command),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env=environ,
        )

    def check(self, command: str | Sequence[str], timeout: float = 120.0) -> str:
        done = self.run(command, timeout)
        assert done.returncode == 0, f"{self.name}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def gluster(self, words: str) -> str:
        return self.check(f"gluster --mode=script {words}")

    def agent(
        self, action: str, *, interval: float = 0.0, level: int = 0, timeout: float = 90.0, **given: str
    ) -> Result:
        """Run ocf:backstay:datastore as Pacemaker would."""
        environ = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "OCF_RESOURCE_INSTANCE": "store-check:0",
            "OCF_CHECK_LEVEL": str(level),
            "OCF_RESKEY_CRM_meta_timeout": str(int(timeout * 1000)),
            "OCF_RESKEY_CRM_meta_interval": str(int(interval * 1000)),
            "OCF_RESKEY_CRM_meta_on_node": self.name,
            "OCF_RESKEY_directory": MOUNTED,
            "OCF_RESKEY_fstype": "glusterfs",
            "OCF_RESKEY_least_free": "0",
            "OCF_RESKEY_slow": "30s",
            "OCF_RESKEY_answer_within": "20s",
            **{f"OCF_RESKEY_{name}": value for name, value in given.items()},
        }
        door = str(self.repository / "agents" / "datastore")
        code = DOOR.format(lib=str(self.repository / "lib"), argv=[door, action], door=door)
        began = time.monotonic()
        done = subprocess.run(
            self.argv([PYTHON, "-I", "-c", code]),
            capture_output=True,
            text=True,
            env=environ,
            timeout=timeout + 60,
            stdin=subprocess.DEVNULL,
        )
        return Result(done, time.monotonic() - began)

    def look(self, **given: str) -> Result:
        """The monitor at level 10."""
        return self.agent("monitor", interval=300.0, level=10, **given)

    def down(self) -> None:
        self.run(f"umount -l {MOUNTED}")
        self.holder.kill()
        self.holder.wait(60)


class Pool:
    """Three servers, a volume with a brick on each, mounted on each. `sizes` are those of the bricks."""

    def __init__(
        self, place: Path, packages: Path, repository: Path, sizes: Sequence[str] = ("64m",) * 3
    ) -> None:
        self.servers = [
            Server(name, place / name, packages, repository, size)
            for name, size in zip(SERVERS, sizes, strict=True)
        ]
        self._connect()
        for server in self.servers:
            server.check("glusterd --pid-file=/run/glusterd.pid")
        first = self.servers[0]
        wait(lambda: first.run("gluster pool list").returncode == 0, "glusterd to answer", 120)
        for name in SERVERS[1:]:
            first.gluster(f"peer probe {name}")
        joined = "gluster peer status | grep -c 'Peer in Cluster (Connected)'"
        wait(lambda: first.run(joined).stdout == "2\n", "the servers to be one pool", 120)
        bricks = " ".join(f"{name}:/bricks/b/data" for name in SERVERS)
        first.gluster(f"volume create {VOLUME} replica 3 {bricks} force")
        first.gluster(f"volume start {VOLUME}")
        for server in self.servers:
            server.check(f"mount -t glusterfs {server.name}:/{VOLUME} {MOUNTED}")

    def _connect(self) -> None:
        """A bridge in the first server's network, and a wire from each of the others to it."""
        first = self.servers[0]
        enter = ["nsenter", f"--target={first.leader}", "--net", "--"]
        script = f"ip link add {BRIDGE} type bridge; ip address add 10.79.0.1/24 dev {BRIDGE}; ip link set {BRIDGE} up;"
        for number, server in enumerate(self.servers[1:], 2):
            script += (
                f"ip link add w{number} type veth peer name eth0 netns {server.leader};"
                f"ip link set w{number} master {BRIDGE} up;"
            )
        subprocess.run([*enter, "sh", "-ec", script], check=True, timeout=60)
        for number, server in enumerate(self.servers[1:], 2):
            words = ["nsenter", f"--target={server.leader}", "--net", "--", "sh", "-ec"]
            wire = f"ip address add 10.79.0.{number}/24 dev eth0; ip link set eth0 up"
            subprocess.run([*words, wire], check=True, timeout=60)

    def down(self) -> None:
        for server in self.servers:
            server.down()
