# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:datastore: the storage that guests and roles stand on can be used from this host.

Decides what Pacemaker is told. Mounts nothing and unmounts nothing (ocf:heartbeat:Filesystem does), never waits for
storage that hangs, and never fails a stop: to stop means to look no more.
"""

from __future__ import annotations

from backstay.agents import datastore_health as health
from backstay.agents import datastore_monitor as watching
from backstay.agents.datastore_amount import complaint
from backstay.agents.remembered import keep
from backstay.host.datastore import Host, Stuck
from backstay.ocf import codes
from backstay.ocf.agent import Action, Agent, reload_agent
from backstay.ocf.outcome import Outcome, done, failed
from backstay.ocf.parameters import Parameters, boolean, choice, path, seconds, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.ocf.context import Context

COMMON_CAUSE_TIME = 13.0  # seconds of a start that are kept to ask the cluster before it fails
POLL = 1.0  # seconds between two looks of a start


class DatastoreParameters(Parameters):
    """What an admin may choose."""

    directory = path(
        "where the datastore is mounted, or a block device",
        required=True,
        unique_group="directory",
        longdesc="""A path below /dev is a block device (a mapped RBD image): it is read, not written.""",
    )
    source = text(
        "what has to be mounted there, such as filer:/export/vm or n1:/volume; anything without it",
        reloadable=True,
    )
    fstype = text(
        "the type of file system that has to be mounted there; any without it",
        reloadable=True,
        longdesc="""As mount -t calls it: nfs (any version), ocfs2, gfs2, glusterfs, ceph (kernel or FUSE), ext4.""",
    )
    own_mount = boolean(
        "whether something has to be mounted exactly there; false for a directory of a host's own file system",
        default=True,
        reloadable=True,
    )
    write = boolean(
        "whether it has to be writable: a block is written, brought to the disk, read back and removed",
        default=True,
        reloadable=True,
    )
    answer_within = seconds(
        "how long all of that may take before the storage counts as hung", default="10s", reloadable=True
    )
    slow = seconds("how long it may take before the storage counts as slow", default="2s", reloadable=True)
    least_free = text(
        "below how much free space it is degraded: a share (5%) or a size (20G); 0 for never",
        check=complaint,
        default="5%",
        reloadable=True,
    )
    least_inodes = text(
        "below how many free inodes it is degraded: a share (5%) or a number; 0 for never",
        check=complaint,
        default="5%",
        reloadable=True,
    )
    quota = choice(
        "whether a GlusterFS volume may have quotas; one that nobody meant makes it smaller than it looks",
        ("none", "allowed"),
        default="none",
        reloadable=True,
    )
    patience = seconds(
        "how long a datastore that cannot be used from here is only degraded (190)",
        default="60s",
        reloadable=True,
    )
    reaction = choice(
        "what happens when it cannot be used from here for longer",
        ("leave", "fence", "degrade"),
        default="leave",
        reloadable=True,
        longdesc="""leave: the monitor fails, and what is colocated with this resource leaves the host. fence: the
        monitor fails as well, for configurations that say on-fail=fence there. degrade: the monitor says degraded
        (190) for as long as it lasts. In every case it fails only when another host that may run resources says that
        this datastore is healthy there, and said so at every look for as long as its own monitor needs to see
        otherwise: what hangs for all hosts must not move or fence anything.""",
    )


LONGDESC = """Checks a datastore on a host: that it is mounted, from the right source and with the right type, that it
can be written to and how fast, how much is free. To be cloned over all hosts, after the mount; this agent mounts
nothing.

Whatever touches the storage runs in a process that is abandoned after answer_within, so a hung mount never hangs the
agent. One that cannot end (D state) is remembered, and no other is started while it waits.

Degraded (190), for as long as it lasts: slow, full or over its quota, little space, few inodes, an NFS mount with the
option soft, and at OCF_CHECK_LEVEL=10 what is wrong with a GlusterFS volume: a brick that is not online, a brick that
is smaller than those that hold the same data, a quota, entries to be healed. Where the host has no gluster command
bricks are not looked at. A quota that the file system counts as its size (XFS projects, CephFS, GlusterFS) is seen as
space.

Degraded for patience, and then what reaction says: nothing mounted, the wrong thing mounted, no answer, a stale handle,
a FUSE mount without its process, read-only, not permitted, errors, something else read than written.

What is true now stands in the transient node attribute backstay-datastore-NAME: healthy, healthy:WORD (usable, and
somebody should look), degraded:WORD or broken:WORD. Failures, a full store, soft mounts and bad bricks are alerts in
the journal, every ten minutes.

start waits until the datastore can be used; it fails at once when it is not mounted as it should be. When it does not
answer on any host, start is degraded (190, which Pacemaker takes for a success), so that what stands on it stays. stop
only ends the looking and never fails."""


def start(context: Context[DatastoreParameters]) -> Outcome:
    """Wait until it can be used; the mount itself is somebody else's."""
    host = Host(name(context))
    memory = watching.recall(host)
    memory.well()
    memory.ended = ""
    patience = max(context.deadline.left() - COMMON_CAUSE_TIME, 0.0)
    end = host.now() + patience
    while True:
        seen = watching.observe(context, host, memory)
        kind, said = health.diagnose(seen, context.parameters)
        if kind not in health.FAILURES or kind in health.HOPELESS or host.now() >= end:
            break
        host.pause(POLL)
    memory.started = "" if kind in health.HOPELESS else "yes"
    memory.kind = "" if kind == health.HEALTHY else kind
    if kind in health.FAILURES:
        keep(context, host, memory)
        return failed(said) if kind in health.HOPELESS else watching.start_failed(context, host, said)
    watching.publish(context, host, memory, watching.word(kind))
    try:
        host.remember(memory.text())
    except OSError as error:
        return failed(f"it cannot be remembered that this datastore is watched: {error}")
    return done(said)


def stop(context: Context[DatastoreParameters]) -> Outcome:
    """Look no more. Whatever becomes of the storage, that is no reason to fence the host."""
    host = Host(name(context))
    memory = watching.recall(host)
    if not memory.attribute.startswith("broken"):
        watching.publish(context, host, memory, "")
    memory.well()
    memory.started = memory.kind = memory.volume = ""
    memory.ended = "yes"
    if memory.pid:
        host.kill(Stuck(memory.pid, memory.start, memory.asked))
    keep(context, host, memory)
    return done("this datastore is not watched any more")


def monitor(context: Context[DatastoreParameters]) -> Outcome:
    """Look."""
    host = Host(name(context))
    return watching.probe(context, host) if context.is_probe else watching.watch(context, host)


def monitor_deeply(context: Context[DatastoreParameters]) -> Outcome:
    """Look at the bricks of a GlusterFS volume as well."""
    host = Host(name(context))
    return watching.probe(context, host) if context.is_probe else watching.watch_deeply(context, host)


def validate(context: Context[DatastoreParameters]) -> Outcome:
    """Say what is wrong with the datastore on this host (validate-all at level 10); remarks are findings too."""
    host = Host(f"{name(context)}-validate")
    memory = watching.recall(host)
    watching.look_at_volume(context, host, memory)
    kind, said = health.diagnose(watching.observe(context, host, memory), context.parameters)
    if not memory.pid:
        watching.forget(host)
    if kind == health.ABSENT:
        return done(f"{said}; that is for the resource that mounts it")
    return done(said) if kind == health.HEALTHY else failed(said, codes.ARGUMENTS)


def name(context: Context[DatastoreParameters]) -> str:
    """Give the resource's name without the number of its instance."""
    return context.instance.partition(":")[0] or "datastore"


AGENT = Agent(
    "datastore",
    "Checks that a datastore can be used from a host",
    LONGDESC,
    DatastoreParameters,
    (
        Action("start", 60, start),
        Action("stop", 20, stop),
        Action("monitor", 40, monitor, 20),
        Action("monitor", 90, monitor_deeply, 300, depth=10),
        Action("reload-agent", 20, reload_agent),
    ),
    validate=validate,
)
