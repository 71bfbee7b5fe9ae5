# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:libvirtd: libvirtd answers on this host, or is made to, without touching a guest.

Decides what Pacemaker is told. The recurring monitor heals: it starts a healer beside itself and says "degraded"
(190) while that may still succeed. Only then, and only when another host is known to be healthy, it says "failed",
so that the guests leave. Nothing else heals: not a probe, not a forced check, not start or stop.

Never says "failed" in a probe for what libvirtd does, never fails a stop (that would have the host fenced while its
guests run well), and never touches a guest.
"""

from __future__ import annotations

from backstay.agents import libvirtd_monitor as watching
from backstay.errors import CannotAsk
from backstay.host.clock import Deadline
from backstay.host.libvirtd import HEALER, Host
from backstay.ocf import codes
from backstay.ocf.agent import Action, Agent, reload_agent
from backstay.ocf.outcome import Outcome, done
from backstay.ocf.parameters import Parameters, choice, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.ocf.context import Context

COMMON_CAUSE_TIME = 13.0  # seconds of a start that are kept to ask the cluster before it fails


class LibvirtdParameters(Parameters):
    """What an admin may choose."""

    heal = choice(
        "what the recurring monitor may do to a libvirtd that is in trouble",
        ("never", "start", "abort"),
        default="abort",
        reloadable=True,
        longdesc="""never: nothing. start: start one that crashed or that systemd has given up. abort: also end one
        that runs and is of no use, so that it starts again: abort one that hangs, restart one that takes no
        connections or came up without its QEMU driver. Its guests keep running. An aborted one may leave a core,
        one an hour and of 256 MiB or a tenth of the free space at most; where cores are off they stay off. Whatever
        is chosen, nothing is done to a libvirtd that an admin stopped or is stopping, while /run/backstay/inhibit
        or /etc/backstay/inhibit exists, while a package manager is at work, while a migration or a block job still
        advances, or to one that waits for storage in D state.""",
    )
    heal_budget = seconds(
        "how long trouble is only degraded (190) before it counts as one that cannot be healed",
        default="60s",
        reloadable=True,
    )
    answer_within = seconds(
        "how long libvirtd may take for an answer",
        default="5s",
        reloadable=True,
        longdesc="""A question that goes through an ordinary worker of libvirtd and its QEMU driver, asked twice
        before it is called hung. The monitor's timeout should be at least four times as long.""",
    )
    unhealable = choice(
        "what happens when libvirtd cannot be healed",
        ("leave", "fence", "degrade"),
        default="leave",
        reloadable=True,
        longdesc="""leave: the monitor fails, and the guests that are colocated with this resource leave the host by
        an orderly stop. fence: the monitor fails while guests run on the host, and says so where it has no
        on-fail=fence, which is what has the host fenced; for guests that are not resources of the cluster, and are
        started elsewhere when their host is proven dead. The start must not have it: that would fence again and
        again. A host without a guest is not fenced; its monitor says degraded (190). degrade: the monitor says
        degraded for as long as it lasts, and nothing is moved or fenced. In every case the monitor fails only when
        another host that is online and in neither standby nor maintenance says that its libvirtd is healthy, and said
        so at every look for as long as its own monitor needs to see otherwise: what breaks on all hosts, at once or
        one shortly after the other, must not move or fence anything. A start that fails then while guests run here is
        degraded as well.""",
    )


LONGDESC = """Watches libvirtd on a host, and heals it where it runs without touching a guest. To be cloned over all
hosts. Guests depend on it with start-only and stop-only ordering and a colocation; with a symmetrical order a failed
monitor would stop every guest.

What is meant by libvirtd is whichever daemon serves qemu:///system: the monolithic libvirtd, or virtqemud of the
modular daemons. It is found as libvirt's own client finds it, by the sockets that are there and else by the units.

The monitor asks it a question that needs an ordinary worker and the QEMU driver. A socket-activated libvirtd that has
ended because it was idle is healthy: the question starts it. After trouble it compares the guests that libvirt knows
with the emulators that run. What is missing is degraded for as long as heal_budget; after that it stands in the
attribute only (degraded:incomplete), and no other host counts on this one.

At OCF_CHECK_LEVEL=10 the recurring monitor also reports strays: an emulator that neither libvirt nor a resource of
the cluster accounts for, and a guest whose UUID runs twice, on this host or on two. The hosts compare what they run
through the private node attribute backstay-guests. A guest counts as running on two hosts only when both said so of
one moment, which takes two or three of these monitors; a migration is never taken for that. What was found is degraded
(190), an alert in the journal, and stands in the node attribute backstay-strays. Nothing is ended.

Trouble is reported as degraded (190) while it may be healed. Pacemaker treats 190 as running, without a failure
count, and shows it as a failed action until "crm_resource --cleanup --resource NAME --node HOST", also when all is
well again: this agent does not clean up, because that would wipe the history of real failures. What is true now
stands in the transient node attribute backstay-libvirtd: healthy, degraded:WORD or broken:WORD.

It also tells the other hosts, in the private node attribute backstay-surroundings, which shared storage is mounted here
and which lock manager qemu.conf names: a guest that is about to migrate asks for that, as no libvirt tells it.

start is done when libvirtd answers. stop ends the daemon and its sockets, never a guest, and does not fail; it leaves
in backstay-guests how many emulators were left, by which "backstay fence drill" knows that a host is empty."""


def start(context: Context[LibvirtdParameters]) -> Outcome:
    """Start libvirtd and wait until it answers; fail as soon as it is clear that it will not.

    A failed start bans it, and with it the guests, from this host; what is said then about the other hosts is as old
    as the monitor that failed before. So they are looked at again.
    """
    from backstay.agents.libvirtd_service import bring_up

    host = Host()
    patience = Deadline(max(context.deadline.left() - COMMON_CAUSE_TIME, 0.0))
    outcome = bring_up(host, context.parameters.answer_within, patience)
    memory = watching.recall(host)
    memory.ended = ""
    if outcome.code == codes.SUCCESS:
        memory.well()
        watching.publish(context, host, memory, "healthy")
    else:
        from backstay.agents.libvirtd_leaving import start_failed

        outcome = start_failed(context, host, memory, outcome)
    host.remember(memory.text())
    return outcome


def stop(context: Context[LibvirtdParameters]) -> Outcome:
    """End the daemon and its sockets; whatever comes of it, the host is not to be fenced for it."""
    from backstay.agents.libvirtd_service import bring_down
    from backstay.agents.libvirtd_strays import farewell

    host = Host()
    guests = host.emulators()
    if guests:
        keep = "1 guest keeps" if len(guests) == 1 else f"{len(guests)} guests keep"
        context.warn(f"{keep} running without libvirtd: {', '.join(guests)}")
    memory = watching.recall(host)
    memory.well()
    if not memory.attribute.startswith("broken"):
        watching.publish(context, host, memory, "")
    farewell(context, host, memory)
    host.remember(memory.text())
    try:
        outcome = bring_down(host, HEALER, context.deadline, context.warn)
        memory.ended = "yes"  # an admin's stop is degraded, its own is "not running"
        host.remember(memory.text())
        return outcome
    except CannotAsk as error:
        context.warn(f"whether libvirtd stopped is not known: {error}")
        return done("libvirtd was told to stop as far as possible")


def monitor(context: Context[LibvirtdParameters]) -> Outcome:
    """Answer a probe or a forced check by what is seen; a recurring monitor also heals."""
    host = Host()
    return watching.probe(context, host) if context.is_probe else watching.watch(context, host)


def monitor_deeply(context: Context[LibvirtdParameters]) -> Outcome:
    """Do as the monitor does; a recurring one also reports strays and guests that run twice."""
    host = Host()
    return watching.probe(context, host) if context.is_probe else watching.watch_deeply(context, host)


def validate(context: Context[LibvirtdParameters]) -> Outcome:
    """Say whether this host has what the agent needs (validate-all at level 10)."""
    from backstay.agents.libvirtd_service import equipped

    return equipped(Host(), context.deadline)


AGENT = Agent(
    "libvirtd",
    "Watches libvirtd on a host and heals it without touching a guest",
    LONGDESC,
    LibvirtdParameters,
    (
        Action("start", 120, start),
        Action("stop", 120, stop),
        Action("monitor", 30, monitor, 10),
        Action("monitor", 30, monitor_deeply, 60, depth=10),
        Action("reload-agent", 20, reload_agent),
    ),
    validate=validate,
)
