# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:frontend: the role of the software that places virtual machines, on exactly one host.

Decides what Pacemaker is told. What the role is made of stands in its profile; what holds for every profile is here:
a lease before anything is started, questions that are answered before it counts as up, proof before it counts as gone.
"""

from __future__ import annotations

from backstay.agents import frontend_profiles as profiles
from backstay.agents import frontend_watch as watching
from backstay.agents import recovery_watch as recovering
from backstay.agents.frontend_memory import Memory
from backstay.agents.remembered import keep
from backstay.errors import BadInput, CannotAsk
from backstay.host.frontend import Host
from backstay.ocf import codes
from backstay.ocf.agent import Action, Agent, reload_agent
from backstay.ocf.outcome import Outcome, degraded, done, failed
from backstay.ocf.parameters import Parameters, path, seconds, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.frontend_profile import Profile
    from backstay.ocf.context import Context


def _name(given: str) -> str:
    plain = given.replace("-", "").replace("_", "").replace(".", "")
    return (
        "" if plain.isalnum() and plain.isascii() else "must be a name of letters, digits, '-', '_' and '.'"
    )


class FrontendParameters(Parameters):
    """What an admin may choose."""

    profile = text(
        "which profile the role has: generic, opennebula, ganeti, or NAME for /etc/backstay/profiles/NAME.toml",
        check=_name,
        default=profiles.GENERIC,
    )
    units = text(
        "its systemd units in the order of their start, with blanks between them, instead of the profile's",
        longdesc="""None of them may be enabled in systemd, or it would start on every host behind the cluster's back.
        A socket or timer that starts one of them is a unit of the role too.""",
    )
    probes = text(
        "what has to answer, besides what the profile asks, with blanks between them",
        reloadable=True,
        longdesc="""http://HOST:PORT/PATH or https:// (any status from 200 to 399), tcp://HOST:PORT (takes a
        connection), command:/PATH (ends with 0). More can be said in a profile: status, text, XML-RPC, deadlines.""",
    )
    optional_probes = text("likewise, but one that does not answer is degraded, not failed", reloadable=True)
    probe_within = seconds("how long each of these may take for its answer", default="5s", reloadable=True)
    patience = seconds(
        "how long a required answer may be missing before the role has failed; degraded (190) until then",
        default="20s",
        reloadable=True,
    )
    lease = path(
        "a file on storage that moves with the role, in which it writes who holds it",
        longdesc="""Written before anything is started, at every monitor, and when the role is proven gone. A start
        finds there whether another host that is online still writes it, and then does not take the role. Each host
        keeps the same record of its own in /var/lib/backstay/role-NAME.""",
    )


LONGDESC = """Runs the role of the software that places virtual machines (or of any service that must be on one host
only): systemd units in order, with questions whose answers say that it works.

It is up when its units are active and every required probe is answered within its own deadline; degraded (190) when an
optional one is not, and for `patience` when a required one is not; then it failed. It is not running only when each
unit is down and has no process left, whatever its KillMode.

A profile says what the role is made of. An admin writes one as /etc/backstay/profiles/NAME.toml, the same on every
host: units, [[probes]] with http, tcp, xmlrpc or command, and the commands of [check], [take], [leave] and [recover].

The profile opennebula is OpenNebula (5.12 to 7): oned and those of its scheduler, HEM, FireEdge, Sunstone, OneGate and
OneFlow that a host has, where their own configuration says that they listen. It is up when oned gives an authenticated
XML-RPC method its answer, within 15 s (later than 5 s is degraded; a oned that takes connections and gives no answer
hangs); the others are optional. It starts only where /var/lib/one can be written and has the credentials and where the
database is: SQLite's file, or the greeting of MySQL or MariaDB. A oned without its database would begin an empty cloud.

The profile ganeti is the master of a Ganeti 3 cluster: its daemons and its address. It is up when luxid and wconfd
answer; rapi is optional. It takes over by Ganeti's vote, and without one only from nodes whose fencing is confirmed; a
node that was given up for dead is added again before the role may be there. The daemons of the nodes are systemd's
(backstay-ganeti-node.service), Debian's ganeti.service is masked, and cron runs no ganeti-watcher.

start: the lease, [check], [take], the units in order, then it waits for the required answers, but not for a unit that
has ended. stop: the units in the
opposite order, what does not end is killed, nothing may be left; then [leave] and the lease. Units that the init system
would start are a finding of validate-all at level 10 and a warning in the journal.

A role that can recover hosts (the profiles opennebula and ganeti, or one with [recover]) recovers what ran on a host
once for each confirmed fencing of it, and nothing while a host is not proven dead or has left the cluster in order.
Its monitor looks at the fencer's history, the hosts and the record of each (the permanent node attribute
backstay-recovery), and starts the service backstay-recover-NAME for the work, which ends with the role. What is under
way, and what is not done and why, stands in the node attribute backstay-recovering. A host that was recovered is
given back ([give_back]) when its libvirtd agent says healthy and has found no stray guest; Ganeti, which does not run
its guests by libvirt, takes it back at once.

What is true now stands in the node attribute backstay-frontend-NAME: up, degraded or failed."""


def start(context: Context[FrontendParameters]) -> Outcome:
    """Take the role."""
    from backstay.agents.frontend_role import bring_up

    host = Host(name(context))
    try:
        profile = profiles.profile_of(context.parameters, host)
        profiles.remember(context.parameters, profile, host)
    except profiles.NoProfile as error:
        return failed(str(error), codes.NOT_INSTALLED)
    except BadInput as error:
        return failed(str(error), codes.ARGUMENTS)
    except OSError as error:
        return failed(f"it cannot be remembered what is started here: {error}")
    outcome = bring_up(context, host, profile)
    if outcome.code == codes.SUCCESS:
        memory = Memory()
        watching.publish(context, host, memory, "up")
        keep(context, host, memory)
    return outcome


def stop(context: Context[FrontendParameters]) -> Outcome:
    """Leave the role; success is proof that nothing of it is here."""
    from backstay.agents.frontend_role import bring_down

    host = Host(name(context))
    try:
        profile = profiles.known(context.parameters, host)
    except BadInput as error:
        # Nothing was started here by this resource in this boot, and nobody can say what would have been.
        return done(f"nothing of it was started here ({error})") if not host.recall() else failed(str(error))
    outcome = bring_down(context, host, profile)
    if outcome.code == codes.SUCCESS:
        memory = Memory.read(host.recall(), host.now())
        watching.publish(context, host, memory, "")
        recovering.tell(context, host, memory, "")
        try:
            profiles.forget(host)
            host.remember("")
        except OSError as error:
            context.warn(f"what was remembered of it is still there: {error}")
    return outcome


def monitor(context: Context[FrontendParameters]) -> Outcome:
    """Look; a recurring monitor also asks, and writes the lease."""
    host = Host(name(context))
    try:
        profile = profiles.known(context.parameters, host)
    except profiles.NoProfile as error:
        return failed(str(error), codes.NOT_INSTALLED)
    except BadInput as error:
        return failed(str(error), codes.ARGUMENTS) if context.is_probe else degraded(str(error))
    if context.is_probe:
        return watching.probe(context, host, profile)
    outcome = watching.watch(context, host, profile)
    if outcome.code in (codes.SUCCESS, codes.DEGRADED) and not host.recall(profiles.UNITS):
        _adopt(context, host, profile)
    return outcome


def _adopt(context: Context[FrontendParameters], host: Host, profile: Profile) -> None:
    """Remember a role that runs and was not started by this agent: without, what recovers hosts takes it for gone."""
    try:
        profiles.remember(context.parameters, profile, host)
    except OSError as error:
        context.warn(f"it cannot be remembered what runs here, so no host is recovered: {error}")


def validate(context: Context[FrontendParameters]) -> Outcome:
    """Say whether this host could take the role (validate-all at level 10)."""
    from backstay.agents.frontend_role import started_at_boot

    host = Host(name(context))
    try:
        profile = profiles.profile_of(context.parameters, host)
        units = host.units(profile.units, context.deadline.left())
        boots = started_at_boot(host, profile, context.deadline.left())
    except profiles.NoProfile as error:
        return failed(str(error), codes.NOT_INSTALLED)
    except BadInput as error:
        return failed(str(error), codes.ARGUMENTS)
    except CannotAsk as error:
        return failed(str(error))
    missing = [unit for unit in units if not units[unit].installed and unit not in profile.if_installed]
    if missing:
        return failed(f"this host has no unit {', '.join(missing)}", codes.NOT_INSTALLED)
    if boots:
        shown = " ".join(boots)
        return failed(f"the init system starts {shown} by itself; systemctl disable {shown}", codes.ARGUMENTS)
    return done(f"this host could take the role of {profile.name}")


def name(context: Context[FrontendParameters]) -> str:
    """Give the resource's name."""
    return context.instance.partition(":")[0] or "frontend"


AGENT = Agent(
    "frontend",
    "Runs the role of a cloud's frontend on exactly one host",
    LONGDESC,
    FrontendParameters,
    (
        Action("start", 180, start),
        Action("stop", 120, stop),
        Action("monitor", 30, monitor, 10),
        Action("reload-agent", 20, reload_agent),
    ),
    validate=validate,
)
