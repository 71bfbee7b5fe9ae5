# SPDX-License-Identifier: GPL-2.0-or-later
"""A host in namespaces of its own: real libvirtd and real QEMU, no unit and no state of the machine is touched.

It has its own processes, mounts, network and name; /run and libvirt's directories are empty. Everything in it dies
with one process. Guests run under software emulation and have no system: the firmware is all that starts.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PYTHON = "/usr/bin/python3"
DOOR = "import sys, runpy; sys.path.insert(0, {lib!r}); sys.argv = {argv!r}; runpy.run_path({door!r}, run_name='__main__')"
PATIENCE = 120.0  # seconds for libvirtd to answer; it needs one
SETUP = """
set -e
hostname {name}
mount --make-rprivate /
mkdir -p /etc/libvirt
for place in /run /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /var/lib/backstay /var/lib/swtpm-localca; do mkdir -p $place; mount -t tmpfs none $place; done
mkdir -p /run/lock /var/lib/libvirt/qemu
mount --bind {etc} /etc/libvirt
mount --bind {etc}/hosts /etc/hosts
for kind in passwd group; do mount --bind {etc}/$kind /etc/$kind; done
ip link set lo up
touch {etc}/ready
trap : USR1
while :; do sleep 1000 & wait $! || :; done
"""
ACCOUNTS = {"passwd": "libvirt-qemu:x:64055:64055::/:/bin/false", "group": "libvirt-qemu:x:64055:"}
QEMU_CONF = """
user = "root"
group = "root"
cgroup_controllers = []
namespaces = []
security_driver = "none"
remember_owner = 0
stdio_handler = "file"
"""
DEFINITION = """<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
</domain>
"""
UUID = "11111111-2222-3333-4444-5555555555{:02d}"


class Result:
    """What an agent said: exit code, both streams, and how many seconds it took."""

    def __init__(self, completed: subprocess.CompletedProcess[str], seconds: float) -> None:
        self.code = completed.returncode
        self.out = completed.stdout
        self.err = completed.stderr
        self.seconds = seconds

    def __repr__(self) -> str:
        return f"Result({self.code}, {self.seconds:.1f} s, {self.err.strip()})"


class PrivateHost:
    """One such host; `number` tells hosts of one test apart (name, network address, libvirt's host UUID)."""

    def __init__(self, directory: Path, repository: Path, number: int = 1) -> None:
        self.name = f"private{number}"
        self.number = number
        self.address = f"10.78.0.{number}"
        self.repository = repository
        self.etc = directory / f"etc{number}"
        self.shared = directory
        self.holder: subprocess.Popen[bytes] | None = None

    # ---- its life

    def up(self, hosts: str = "127.0.0.1 localhost\n") -> None:
        self.etc.mkdir()
        (self.etc / "hosts").write_text(
            hosts + f"127.0.1.1 {self.name}\n" if self.name not in hosts else hosts
        )
        (self.etc / "qemu.conf").write_text(f'{QEMU_CONF}migration_address = "0.0.0.0"\n')
        host_uuid = UUID.format(90 + self.number)
        (self.etc / "libvirtd.conf").write_text(
            f'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\nauth_unix_rw = "none"\nhost_uuid = "{host_uuid}"\n'
        )
        spaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        # libvirt looks these up before it reads whom to use instead; a machine without libvirt's units has neither.
        for kind, line in ACCOUNTS.items():
            there = Path("/etc", kind).read_text()
            (self.etc / kind).write_text(there if "libvirt-qemu:" in there else f"{there}{line}\n")
        script = SETUP.format(name=self.name, etc=self.etc)
        self.holder = subprocess.Popen(["unshare", *spaces, "bash", "-c", script], stdin=subprocess.DEVNULL)
        wait(lambda: (self.etc / "ready").exists(), f"{self.name} to be set up")
        self.start_libvirtd()

    def down(self) -> None:
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait(30)

    def __enter__(self) -> PrivateHost:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def clear(self) -> None:
        """End every guest and forget it; libvirtd is well afterwards."""
        for pid in self.emulators():
            self.run("kill", "-9", str(pid))
        wait(lambda: not self.emulators(), "the emulators to end")
        if self.virsh("list").returncode:
            self.start_libvirtd()
        wait(lambda: not self.run("virsh", "list", "--name").strip(), "libvirtd to see that nothing runs")
        for name in self.run("virsh", "list", "--all", "--name").split():
            self.run("virsh", "undefine", "--managed-save", "--nvram", name)
        self.run("rm", "-rf", "/run/backstay", "/var/lib/backstay/definitions")

    @property
    def leader(self) -> int:
        """PID 1 of this host, as the machine numbers it."""
        assert self.holder is not None
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text()
        return int(children.split()[0])

    def argv(self, command: Sequence[str]) -> list[str]:
        spaces = ["--mount", "--net", "--pid", "--uts", "--ipc"]
        return ["nsenter", f"--target={self.leader}", *spaces, "--", *command]

    def run(self, *command: str, timeout: float = 60.0) -> str:
        done = subprocess.run(
            self.argv(command), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    # ---- libvirtd

    def start_libvirtd(self) -> None:
        self.run("libvirtd", "--daemon", "--listen")
        wait(lambda: self.virsh("list").returncode == 0, f"libvirtd of {self.name}")

    def signal_libvirtd(self, number: int) -> None:
        pid = self.run("cat", "/run/libvirtd.pid").strip()
        self.run("kill", f"-{int(number)}", pid)
        if number == signal.SIGKILL:
            wait(lambda: pid not in self.pids(), "libvirtd to end")

    def virsh(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.argv(["virsh", *words]), capture_output=True, text=True, timeout=60)

    # ---- emulators

    def pids(self) -> list[str]:
        return self.run("ps", "-eo", "pid=,stat=").split()[::2]

    def emulators(self) -> list[int]:
        """The pids, inside this host, of emulators that are no zombies."""
        lines = self.run("ps", "-ww", "-eo", "pid=,stat=,args=").splitlines()
        found = [line.split(None, 2) for line in lines if " -uuid " in line]
        return [int(pid) for pid, state, _args in found if not state.startswith("Z")]

    # ---- the agent

    def define(self, name: str = "web1", number: int = 1) -> Path:
        """Write the definition of a domain and give its path."""
        path = self.shared / f"{name}.xml"
        path.write_text(DEFINITION.format(name=name, uuid=UUID.format(number)))
        return path

    def agent(
        self,
        action: str,
        config: Path | str = "",
        *,
        timeout: float = 0.0,
        interval: float = 0.0,
        instance: str = "web1",
        target: str = "",
        level: int = 0,
        **parameters: str,
    ) -> Result:
        """Run ocf:backstay:domain as Pacemaker would; a start may take a minute, as by default, where it is not told otherwise."""
        timeout = timeout or (60.0 if action == "start" else 20.0)
        environment = self._environment(config, timeout, interval, instance, target, parameters)
        began = time.monotonic()
        done = subprocess.run(
            self.argv(self._door(action)),
            capture_output=True,
            text=True,
            env=environment | {"OCF_CHECK_LEVEL": str(level)},
            timeout=timeout + 30,
            stdin=subprocess.DEVNULL,
        )
        return Result(done, time.monotonic() - began)

    def begin(
        self,
        action: str,
        config: Path | str,
        *,
        timeout: float,
        target: str = "",
        interval: float = 0.0,
        level: int = 0,
        **parameters: str,
    ) -> subprocess.Popen[bytes]:
        """Begin an action in a process group of its own, as Pacemaker does, to be killed or waited for."""
        environment = self._environment(config, timeout, interval, "web1", target, parameters)
        return subprocess.Popen(
            self.argv(self._door(action)),
            env=environment | ({"OCF_CHECK_LEVEL": str(level)} if level else {}),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _door(self, action: str) -> list[str]:
        door = str(self.repository / "agents" / "domain")
        code = DOOR.format(lib=str(self.repository / "lib"), argv=[door, action], door=door)
        return [PYTHON, "-I", "-c", code]

    def _environment(
        self,
        config: Path | str,
        timeout: float,
        interval: float,
        instance: str,
        target: str,
        parameters: dict[str, str],
    ) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "OCF_RESOURCE_INSTANCE": instance,
            "OCF_RESKEY_CRM_meta_timeout": str(int(timeout * 1000)),
            "OCF_RESKEY_CRM_meta_interval": str(int(interval * 1000)),
            "OCF_RESKEY_CRM_meta_on_node": self.name,
            "OCF_RESKEY_CRM_meta_migrate_target": target,
            "OCF_RESKEY_CRM_meta_migrate_source": target,
            "OCF_RESKEY_config": str(config),
            "OCF_CHECK_LEVEL": "0",
            **{f"OCF_RESKEY_{name}": value for name, value in parameters.items()},
        }


def wait(look: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until `look` is true; fails with what was waited for."""
    end = time.monotonic() + patience
    while not look():
        assert time.monotonic() < end, f"waited {patience:.0f} s in vain for {what}"
        time.sleep(0.1)


def add(config: Path, words: str, before: str) -> None:
    """Put words into a definition."""
    config.write_text(config.read_text().replace(before, words + before, 1))


FAILING = "/run/failing"
"""Where `share_failing` mounts a share from which every read ends with an I/O error."""


def share_failing(host: PrivateHost) -> None:
    """Mount it (bad_share.py), and return when it is there."""
    program = Path(__file__).with_name("bad_share.py")
    host.run("mkdir", FAILING)
    host.run("sh", "-c", f"/usr/bin/python3 {program} fail {FAILING} >/dev/null 2>&1 &")
    wait(lambda: "fuse.bad" in host.run("cat", "/proc/mounts"), "the share to be mounted")
