# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab as a whole: up, complete or not at all; down, whatever state it is in.

Decides the order of things. Never leaves a half-made lab: what fails or is interrupted is removed again.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from backstay.errors import CannotAsk, Refused
from backstay.host.clock import Deadline, TimedOut
from backstay.host.interrupt import interruptible, undisturbed
from backstay.lab import (
    cgroups,
    circumstances,
    cluster,
    configuration,
    fuse,
    installation,
    kinds,
    mounts,
    network,
    overlay,
    power,
    processes,
)
from backstay.lab.bmc import node as bmc
from backstay.lab.installation import Payload
from backstay.lab.layout import LOST_AND_FOUND, Layout, node_names
from backstay.lab.node import Node
from backstay.lab.progress import Progress

ENDING_SECONDS = 30.0
LOCK = Path("/run/backstay-lab.lock")  # held while a lab is built, whatever its directory
UP = "up"  # the record of the process that builds the lab


def up(
    layout: Layout,
    count: int,
    payload: Payload,
    progress: Progress,
    spare: int = 0,
    kind: str = kinds.CONTAINER,
) -> tuple[Node, ...]:
    """Build, boot and form a cluster of `count` nodes of one kind; returns when all are online.

    `spare` more are booted that belong to no cluster. Raises CannotAsk or Refused before anything was touched when the
    machine cannot carry it; whatever is raised later (Interrupted too), the machine is as before.
    """
    names = node_names(count + spare)
    made_of = kinds.named(kind)
    installation.check(payload)
    circumstances.check(layout, made_of.needs(), len(names))
    with _alone(), interruptible(), ExitStack() as unfinished:
        # Again: another lab may have come up just before this one was alone.
        circumstances.check(layout, made_of.needs(), len(names))
        made_of.ensure(layout, progress)
        unfinished.callback(_abandon, layout, progress)
        _sign(layout)
        _make(layout, names, names[count:], made_of, payload, progress)
        _boot(layout, names[:count], names[count:], made_of, progress)
        processes.forget(layout, UP)
        unfinished.pop_all()
    return nodes(layout)


@contextmanager
def _alone() -> Iterator[None]:
    """One lab is built at a time: two would take each other's network, and the loser would remove both."""
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise Refused(
                "another lab is just being built on this machine", hint="wait until it is up, then remove it"
            ) from taken
        yield


def _abandon(layout: Layout, progress: Progress) -> None:
    """Remove what was begun; the signals of an impatient admin no longer count."""
    with undisturbed():
        progress.step("removing the unfinished lab")
        down(layout, progress)


def _sign(layout: Layout) -> None:
    """Let `down` know who is still building; it ends that process first."""
    myself = processes.look(os.getpid())
    if myself:
        processes.record(layout, UP, myself)


def nodes(layout: Layout) -> tuple[Node, ...]:
    """The nodes of the lab that is there; CannotAsk when there is none."""
    names = layout.names()
    if not names:
        raise CannotAsk(f"there is no lab in {layout.directory}", hint="backstay lab up")
    return tuple(Node(layout, name) for name in names)


def _make(
    layout: Layout,
    names: Sequence[str],
    spare: Sequence[str],
    kind: kinds.Kind,
    payload: Payload,
    progress: Progress,
) -> None:
    """Everything but power: directories, network, the common layer, each node's disk, the BMCs."""
    progress.step(f"making {len(names)} nodes with {payload.describe()}")
    layout.directory.mkdir(parents=True, exist_ok=True)
    layout.directory.chmod(0o755)
    layout.kind.write_text(f"{kind.name}\n", encoding="ascii")
    for name in names:
        for place in (layout.node(name).upper, layout.node(name).witness, layout.node(name).bmc):
            place.mkdir(parents=True, exist_ok=True)
    for name in ("domains", "disks", "guest"):
        (layout.shared / name).mkdir(parents=True, exist_ok=True)
    network.create(layout, names)
    password = secrets.token_hex(8)
    layout.password.touch(mode=0o600)
    layout.password.write_text(password)
    key = secrets.token_bytes(256)
    _lay(layout, payload, configuration.common(layout, names, key, password, spare, kind.traits))
    for name in names:
        own = (*configuration.own(name), *kind.own(layout, layout.node(name)))
        configuration.write(layout.node(name).upper, own)
        bmc.start(layout, name)
    for name in spare:
        _set_apart(layout, name)
    facts = {"nodes": list(names), "kind": kind.name, "backstay": payload.describe()}
    layout.facts.write_text(json.dumps(facts) + "\n")


def _lay(layout: Layout, payload: Payload, entries: Sequence[configuration.Entry]) -> None:
    """Make the layer between Debian's root and the nodes' own: installed once, seen by all."""
    point = layout.layer / "root"
    overlay.mount(kinds.of(layout).lower(layout), layout.layer / "upper", layout.layer / "work", point)
    try:
        installation.install(payload, point)
        configuration.write(point, entries)
    finally:
        mounts.unmount(point)


def _set_apart(layout: Layout, name: str) -> None:
    """Take what makes a node a member off its disk: a machine with Debian's packages on it, and no more."""
    node = layout.node(name)
    node.spare.touch()
    power.insert_disk(layout, node)
    for path in configuration.OF_A_MEMBER:
        (node.root / path.lstrip("/")).unlink(missing_ok=True)


def _boot(
    layout: Layout, names: Sequence[str], spare: Sequence[str], kind: kinds.Kind, progress: Progress
) -> None:
    progress.step("switching the nodes on")
    for name in (*names, *spare):
        power.boot(layout, name)
    progress.step("waiting for the cluster to form")
    cluster.wait_for(
        layout, cluster.all_online(names), Deadline(kind.forming), "all nodes online", progress.still
    )
    progress.step(f"{', '.join(names)} are a cluster")


def down(layout: Layout, progress: Progress) -> None:
    """Remove every trace of the lab but the cache, also of one that crashed; no lab is as good.

    Raises Refused, and touches nothing, when the directory is no lab's; TimedOut with what could not be ended, after
    everything else was removed.
    """
    if foreign := layout.foreign():
        raise Refused(
            f"{layout.directory} is not a lab's directory (it holds {foreign[0]}), so nothing in it is deleted",
            hint="BACKSTAY_LAB names the lab's directory",
        )
    problem = _end_processes(layout, progress)
    network.remove(layout)
    mounts.unmount_below(layout.directory)
    cgroups.remove()
    _delete(layout)
    if problem:
        raise problem


def _end_processes(layout: Layout, progress: Progress) -> TimedOut | None:
    """Twice: what is started by one that is just dying is found the second time."""
    for name in layout.names() if network.is_free_for(layout) else ():
        with suppress(CannotAsk):
            network.cut_cable(layout.node(name))
    problem: TimedOut | None = None
    for _ in range(2):
        members = processes.members(layout)
        hung = fuse.connections(process.pid for process in members)
        for process in members:
            processes.send(process, signal.SIGKILL)
        fuse.abort(hung)
        try:
            processes.end(members, Deadline(ENDING_SECONDS))
        except TimedOut as still_there:
            problem = still_there
            progress.step(str(still_there))
    return problem


def _delete(layout: Layout) -> None:
    """Delete the lab's directory; never what is still mounted in it (a mount that could not be taken away).

    What shows that it is a lab's goes last, so that one that was interrupted can be repeated. The directory itself
    may be an admin's own file system, which stays, empty.
    """
    directory = layout.directory
    left = mounts.below(directory, mounts.of())
    if left:
        raise CannotAsk(f"{left[0].point} is still mounted, so {directory} is not deleted")
    entries = [p for p in directory.iterdir() if p.name != LOST_AND_FOUND] if directory.is_dir() else []
    for entry in sorted(entries, key=lambda entry: entry == layout.processes):
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    with suppress(OSError):
        directory.rmdir()
