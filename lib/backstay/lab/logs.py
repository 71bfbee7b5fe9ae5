# SPDX-License-Identifier: GPL-2.0-or-later
"""Collects what a lab knows of its past into one folder, from nodes that are on, off or broken.

Works on the nodes' disks as the machine sees them, so that it needs nobody's help. Changes nothing in the lab.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from backstay.errors import BackstayError, BadInput, CannotAsk
from backstay.host.process import run
from backstay.lab import report
from backstay.lab.layout import Layout, NodeLayout
from backstay.lab.node import Node

SECONDS = 60.0
# What is copied from each node's disk; folders whole.
KEPT = (
    "var/log/pacemaker",
    "var/log/corosync",
    "var/log/libvirt",
    "var/lib/pacemaker/cib",
    "var/lib/pacemaker/pengine",
    "etc/corosync/corosync.conf",
)
# What only a node that is on can tell; the name of the file and the command.
ASKED = {
    "cib.xml": "cibadmin --query",
    "crm_mon.txt": "crm_mon --one-shot --inactive --failcounts --operations --fence-history=3 --show-node-attributes",
    "corosync-status.txt": "corosync-quorumtool -s; corosync-cfgtool -s",
    "processes.txt": "ps -eo pid,ppid,stat,wchan:24,lstart,args --forest",
    "virsh-list.txt": "timeout 5 virsh list --all",
}


def collect(layout: Layout, folder: Path | None = None) -> Path:
    """Collect everything into `folder` (default: a new one below the cache) and return it.

    What cannot be had is missing in the folder and named in its file `missing.txt`. CannotAsk when there is no lab,
    BadInput when there can be no such folder.
    """
    if not layout.names():
        raise CannotAsk(f"there is no lab in {layout.directory}", hint="backstay lab up")
    folder = folder or layout.cache / "logs" / datetime.now(UTC).strftime("%Y%m%d-%H%M%S.%f")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder} cannot be made: {error.strerror}", hint="name another folder") from error
    missing: list[str] = []
    for name in layout.names():
        missing += _node(layout, name, folder / name)
    with suppress(BackstayError):
        (folder / "status.json").write_text(json.dumps(report.look(layout).as_data(), indent=2) + "\n")
    (folder / "missing.txt").write_text("".join(f"{line}\n" for line in missing))
    return folder


def _node(layout: Layout, name: str, folder: Path) -> list[str]:
    node = layout.node(name)
    folder.mkdir(exist_ok=True)
    missing = []
    if node.console.exists():
        shutil.copyfile(node.console, folder / "console.log")
    if node.bmc.is_dir():
        shutil.copytree(node.bmc, folder / "bmc", dirs_exist_ok=True, ignore=_special)
    for path in KEPT:
        origin = node.root / path
        if origin.is_dir():
            shutil.copytree(origin, folder / origin.name, symlinks=True, dirs_exist_ok=True, ignore=_special)
        elif origin.exists():
            shutil.copyfile(origin, folder / origin.name)
        else:
            missing.append(f"{name}: {path} is not there")
    return missing + _journal(node, folder) + _asked(Node(layout, name), folder)


def _special(directory: str, names: list[str]) -> list[str]:
    """Sockets and pipes are no past; copying one would wait for ever."""
    return [
        n for n in names if not (p := Path(directory, n)).is_dir() and not p.is_symlink() and not p.is_file()
    ]


def _journal(node: NodeLayout, folder: Path) -> list[str]:
    argv = ["journalctl", f"--directory={node.root}/var/log/journal", "--no-pager", "--output=short-precise"]
    try:
        completed = run(argv, timeout=SECONDS)
    except CannotAsk as error:
        return [f"{node.name}: journal: {error}"]
    (folder / "journal.txt").write_text(completed.stdout)
    return [] if completed.ok else [f"{node.name}: journal: {completed.complaint()}"]


def _asked(node: Node, folder: Path) -> list[str]:
    missing = []
    for file, command in ASKED.items():
        try:
            completed = node.run(command, timeout=20)
            (folder / file).write_text(completed.stdout + completed.stderr)
        except CannotAsk as error:
            missing.append(f"{node.name}: {file}: {error}")
    return missing
