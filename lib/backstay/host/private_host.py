# SPDX-License-Identifier: GPL-2.0-or-later
"""A host inside this host, for as long as a rehearsal needs it: real processes, a libvirtd and an emulator of its own.

It has its own processes, mounts, network, name and shared memory. /run, and what libvirt and Backstay keep, are empty
directories in memory, so nothing in it can reach this host's libvirtd, guests, cluster, systemd or log: their sockets
are not there, their processes cannot be seen, and so cannot be signalled. Whatever runs in it ends with one process.
Decides nothing about what an agent does in it. A systemctl that knows its libvirtd alone stands in for systemd.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, until
from backstay.host.fence_agents import Said
from backstay.host.guests import REHEARSAL
from backstay.host.process import ENVIRONMENT, Completed, ProcessTimedOut, ToolMissing, run

NAME = "rehearsal"
UUID = REHEARSAL
DAEMONS = ("libvirtd", "virtqemud")
SOCKETS = ("libvirt-sock", "virtqemud-sock")
EMULATORS = ("/usr/libexec/qemu-kvm", "/usr/bin/kvm", "/usr/bin/qemu-kvm")
SEPARATE = ("--mount", "--net", "--pid", "--uts", "--ipc")
STARTING = 20.0  # seconds; libvirtd asks each emulator what it can do when it first needs one
TOOL_TIME = 10.0
DEFINITION = """<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory>
  <os><type arch='{arch}'>hvm</type></os>
</domain>
"""
QEMU = """user = "root"
group = "root"
cgroup_controllers = []
namespaces = []
security_driver = "none"
remember_owner = 0
stdio_handler = "file"
"""
DAEMON = f'auth_unix_rw = "none"\nhost_uuid = "{UUID[:-1]}2"\n'
ACCOUNTS = {"passwd": "libvirt-qemu:x:64055:64055::/:/bin/false", "group": "libvirt-qemu:x:64055:"}
SETUP = """
set -e
mount --make-rprivate /
hostname {name}
for place in /run /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /var/lib/backstay /dev/shm; do
    mkdir -p $place
    mount -t tmpfs none $place
done
mkdir -p /run/lock /var/lib/libvirt/qemu /etc/libvirt
mount --bind {here}/etc /etc/libvirt
for file in hosts passwd group; do mount --bind {here}/$file /etc/$file; done
[ ! -S /dev/log ] || mount --bind /dev/null /dev/log
mount --bind {here}/systemctl "$(command -v systemctl)"
ip link set lo up
touch /run/private {here}/ready
while :; do sleep 1000 & wait $! || :; done
"""
SYSTEMCTL = """#!/bin/sh
# systemctl of a private host: it knows one service.
pid=$(cat /run/{daemon}.pid 2>/dev/null) && kill -0 "$pid" 2>/dev/null || pid=0
while [ $# -gt 0 ]; do
    case $1 in
    show | start | stop | list-jobs) verb=$1 ;;
    --) shift; break ;;
    esac
    shift
done
case $verb in
show)
    for unit; do
        loaded=not-found active=inactive main=0
        if [ "$unit" = {daemon}.service ]; then
            loaded=loaded main=$pid
            [ "$pid" = 0 ] || active=active
        fi
        printf 'Id=%s\\nLoadState=%s\\nActiveState=%s\\nSubState=dead\\nResult=success\\nMainPID=%s\\n\\n' \\
            "$unit" $loaded $active $main
    done ;;
start) [ "$pid" != 0 ] || {daemon} --daemon ;;
stop) [ "$pid" = 0 ] || kill "$pid" ;;
esac
"""


class NotPossible(CannotAsk):
    """What a private host is made of is not there on this machine."""


def obstacle() -> str:
    """Say why there can be no private host on this machine; empty when there can."""
    if os.geteuid() != 0:
        return "only root can make a private host"
    if not _daemon():
        return "there is no libvirtd on this host"
    emulators = [*EMULATORS, shutil.which(f"qemu-system-{platform.machine()}", path=ENVIRONMENT["PATH"])]
    if not any(path and Path(path).exists() for path in emulators):
        return "there is no emulator (QEMU) on this host"
    missing = [tool for tool in ("unshare", "nsenter", "ip", "systemctl", "hostname") if not _which(tool)]
    if missing:
        return f"{', '.join(missing)} is missing on this host"
    allowed = run(["unshare", *SEPARATE, "--fork", "true"], timeout=TOOL_TIME)
    return "" if allowed.ok else f"namespaces are not allowed here ({allowed.complaint()})"


@contextlib.contextmanager
def private_host() -> Iterator[PrivateHost]:
    """Give such a host; NotPossible where there can be none, CannotAsk with its reason when it does not come up."""
    reason = obstacle()
    if reason:
        raise NotPossible(reason)
    # Not below /run or /var/lib: those are other directories inside.
    with tempfile.TemporaryDirectory(prefix="backstay-rehearsal-", dir="/var/tmp") as name:
        host = PrivateHost(Path(name))
        try:
            host.up()
            yield host
        finally:
            host.down()


class PrivateHost:
    """One such host. `config` is the definition of the one domain that it knows, `unit` the one unit."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._holder: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self.config = directory / "rehearsal.xml"
        self.unit = f"{_daemon()}.service"

    def up(self) -> None:
        """Make it, and start its libvirtd."""
        self._write()
        script = SETUP.format(name=NAME, here=self._directory)
        argv = ["unshare", *SEPARATE, "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]
        log = (self._directory / "log").open("wb")
        with log:
            self._holder = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                start_new_session=True,
            )
        until(self._is_set_up, Deadline(TOOL_TIME), every=0.02, what="the private host to be set up")
        if not self._inside(["test", "-e", "/run/private"], TOOL_TIME).ok:
            raise CannotAsk("the private host cannot be entered")  # then nothing may be tried
        self.revive()

    def down(self) -> None:
        """End everything in it."""
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()

    def revive(self) -> None:
        """Start its libvirtd unless it runs, and wait until it listens; CannotAsk with what it said."""
        begun = self._inside(["systemctl", "start", "--", f"{_daemon()}.service"], STARTING)
        if not begun.ok:
            raise CannotAsk(f"the libvirtd of the private host does not start: {begun.complaint()}")
        until(self._listens, Deadline(TOOL_TIME), every=0.05, what="the libvirtd of the private host")

    def kill_daemon(self) -> None:
        """Kill its libvirtd, as a crash would."""
        self._inside(["sh", "-c", f"kill -9 $(cat /run/{_daemon()}.pid)"], TOOL_TIME)

    def daemon_runs(self) -> bool:
        """Whether its libvirtd lives."""
        pid = self._inside(["cat", f"/run/{_daemon()}.pid"], TOOL_TIME).stdout.strip() or "none"
        return self._inside(["kill", "-0", pid], TOOL_TIME).ok

    def guests(self) -> int:
        """How many emulators run in it."""
        listed = self._inside(["ps", "-ww", "-eo", "stat=,args="], TOOL_TIME).stdout.splitlines()
        return sum(f" -uuid {UUID}" in line and not line.startswith("Z") for line in listed)

    def run(self, program: Path, action: str, environment: Mapping[str, str], timeout: float) -> Said:
        """Run an agent in it as Pacemaker would; `timeout` is in seconds."""
        begin = time.monotonic()
        try:
            done = self._inside([str(program), action], timeout, environment)
        except ProcessTimedOut as late:
            return Said(
                None, late.stdout, f"{late.stderr}\nno end within {timeout:.0f} s", time.monotonic() - begin
            )
        except ToolMissing as missing:
            return Said(None, "", str(missing), time.monotonic() - begin)
        return Said(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)

    def _inside(
        self, argv: Sequence[str], timeout: float, environment: Mapping[str, str] | None = None
    ) -> Completed:
        # --root: where this process lives in a changed root, the namespace's own would be another one.
        enter = ["nsenter", f"--target={self._leader}", *SEPARATE, "--root", "--wd=/", "--"]
        return run([*enter, *argv], timeout=timeout, environment=environment)

    def _is_set_up(self) -> bool | None:
        assert self._holder is not None
        if self._holder.poll() is not None:
            said = (self._directory / "log").read_text(errors="replace").strip().splitlines()
            raise CannotAsk(f"the private host cannot be set up: {said[-1] if said else 'it said nothing'}")
        if not (self._directory / "ready").exists():
            return None
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self._leader = int(children.split()[0])
        return True

    def _listens(self) -> bool | None:
        sockets = " -o -S ".join(f"/run/libvirt/{name}" for name in SOCKETS)
        return self._inside(["sh", "-c", f"[ -S {sockets} ]"], TOOL_TIME).ok or None

    def _write(self) -> None:
        etc = self._directory / "etc"
        etc.mkdir()
        (etc / "qemu.conf").write_text(QEMU)
        for daemon in DAEMONS:
            (etc / f"{daemon}.conf").write_text(DAEMON)
        (self._directory / "hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
        # libvirt looks these up before it reads whom to use instead.
        for kind, line in ACCOUNTS.items():
            there = Path("/etc", kind).read_text()
            (self._directory / kind).write_text(there if "libvirt-qemu:" in there else f"{there}{line}\n")
        self.config.write_text(DEFINITION.format(name=NAME, uuid=UUID, arch=platform.machine()))
        script = self._directory / "systemctl"
        script.write_text(SYSTEMCTL.format(daemon=_daemon()))
        script.chmod(0o755)


def _which(tool: str) -> str | None:
    return shutil.which(tool, path=ENVIRONMENT["PATH"])


def _daemon() -> str:
    return next((daemon for daemon in DAEMONS if _which(daemon)), "")
