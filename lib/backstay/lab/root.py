# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the Debian root that all nodes of a lab share, once, into the cache.

Decides which packages a node has. Never changes a finished root: another list of packages is another root.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, pause
from backstay.lab import mounts, sources
from backstay.lab.layout import Layout
from backstay.lab.progress import Progress

SUITE = "bookworm"
BUILD_SECONDS = 1800.0
PACKAGES = tuple(
    """
    systemd systemd-sysv dbus udev kmod iproute2 iputils-ping procps psmisc less
    pacemaker pacemaker-cli-utils corosync resource-agents fence-agents crmsh ipmitool
    libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils drbd-utils fuse3 openssh-server
    python3-libvirt python3-lxml python3-psutil python3-click python3-yaml python3-jinja2 python3-cryptography
    """.split()
)
# Nobody reads these inside a node; together they are a third of the root.
LEFT_OUT = (
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/iso-codes/*",
    "/usr/lib/python3/dist-packages/botocore/data/*",
    "/usr/lib/udev/hwdb.d/*",
)
# The packages pacemaker and pacemaker-remote exclude each other: a node that is to be a remote one exchanges them.
REMOTE_DEB = "/usr/share/backstay-lab/pacemaker-remote.deb"
KEPT = (
    f'chroot "$1" sh -c "mkdir -p {Path(REMOTE_DEB).parent} && cd /tmp && apt-get download pacemaker-remote && '
    f'mv pacemaker-remote_*.deb {REMOTE_DEB}"'
)
# Facts of the building machine that the builder copies.
FORGOTTEN = ("etc/hostname", "etc/resolv.conf", "etc/apt/sources.list", "etc/apt/apt.conf.d/99mmdebstrap")


def path(layout: Layout) -> Path:
    """Where the root of today's package list lies, built or not."""
    recipe = "\n".join((SUITE, *PACKAGES, *LEFT_OUT, *FORGOTTEN, KEPT))
    return layout.cache / f"root-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def ensure(layout: Layout, progress: Progress) -> Path:
    """The path of the finished root, built first when it is not there (about a minute, 500 MB).

    Raises CannotAsk, naming the log, when the packages cannot be fetched or installed.
    """
    root = path(layout)
    if root.is_dir():
        return root
    layout.cache.mkdir(parents=True, exist_ok=True)
    beside = root.with_name(root.name + ".building")
    discard(beside)
    progress.step(f"building the Debian root {root} (once; about a minute)")
    try:
        _build(beside, root.with_name(root.name + ".log"), progress)
        for name in FORGOTTEN:
            (beside / name).unlink(missing_ok=True)
        (beside / "etc/resolv.conf").touch()
        beside.rename(root)
    finally:
        discard(beside)
    return root


def discard(directory: Path) -> None:
    """Remove an unfinished root, with whatever a killed builder left mounted in it."""
    if not directory.exists():
        return
    mounts.unmount_below(directory)
    shutil.rmtree(directory)


def _argv(target: Path, mirrors: bool) -> list[str]:
    argv = [
        "setpriv",
        "--pdeathsig",
        "TERM",
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        "--format=directory",
    ]
    argv += ["--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT)]
    argv += ['--aptopt=Acquire::Retries "5"']
    argv += [f"--customize-hook={KEPT}"]
    argv += [f"--include={','.join(PACKAGES)}", SUITE, str(target)]
    return argv + ["-"] if mirrors else argv


def machine_sources() -> tuple[str, ...]:
    """The machine's own sources for Debian's suite; none where it is another system."""
    release = Path("/etc/os-release")
    if not release.exists() or sources.release(release.read_text()).get("VERSION_CODENAME") != SUITE:
        return ()
    apt = Path("/etc/apt")
    lists = [
        p for p in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))) if p.exists()
    ]
    stanzas = sorted((apt / "sources.list.d").glob("*.sources"))
    return sources.entries((p.read_text() for p in lists), (p.read_text() for p in stanzas), SUITE)


def apt_settings() -> tuple[str, ...]:
    """What the machine has set for apt that a build needs as well."""
    if not shutil.which("apt-config"):
        return ()
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, timeout=20, check=False)
    return sources.settings(dump.stdout)


def _build(target: Path, log: Path, progress: Progress) -> None:
    """Run the builder in a session of its own: Ctrl-C reaches it through us, in order, and only once."""
    mirrors = "\n".join(machine_sources())
    argv = _argv(target, bool(mirrors))
    argv[5:5] = [f"--aptopt={line}" for line in apt_settings()]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(log.parent)}
    environment |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    with log.open("w") as output:
        builder = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            text=True,
            start_new_session=True,
        )
        try:
            assert builder.stdin is not None
            with builder.stdin as pipe:
                pipe.write(mirrors)
            _follow(builder, log, progress)
        finally:
            if builder.poll() is None:
                progress.step("ending the builder, which takes its mounts away (up to half a minute)")
                _end(builder)
    if builder.returncode != 0:
        raise CannotAsk(f"the Debian root could not be built: {_last(log)}", hint=f"the whole log is {log}")


def _follow(builder: subprocess.Popen[str], log: Path, progress: Progress) -> None:
    deadline = Deadline(BUILD_SECONDS)
    while builder.poll() is None:
        if deadline.expired:
            raise CannotAsk(
                f"the Debian root was not built in {BUILD_SECONDS:.0f} s: {_last(log)}", hint=f"see {log}"
            )
        progress.still(_last(log))
        pause(0.2)


def _last(log: Path) -> str:
    """The builder's last word: an error line where there is one."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")]
    return (errors[:1] or lines[-1:] or ["no output"])[0].removeprefix("I: ").rstrip(".")


def _end(builder: subprocess.Popen[str]) -> None:
    """The builder unmounts what it mounted when it is asked to end; killed only when it does not."""
    builder.send_signal(signal.SIGTERM)
    try:
        builder.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(builder.pid, signal.SIGKILL)
        builder.wait()
