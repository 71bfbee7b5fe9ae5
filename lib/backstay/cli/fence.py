# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence ...`: would fencing work, before it is needed.

Turns words of the command line into a check; decides only what counts as no (exit code 1).
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from backstay.cib import document
from backstay.cib.merge import LIVE
from backstay.cli import fence_announcing, fence_matrix, fence_metrics, options, proving
from backstay.cli.fence_drill import drill_command
from backstay.cli.fence_drill_world import open_drills, recorded
from backstay.cli.fence_rotate import change_over, trials
from backstay.errors import BackstayError, BadInput
from backstay.fencing import rotate
from backstay.fencing.asking import World
from backstay.fencing.check import check
from backstay.fencing.configuration import read
from backstay.fencing.readiness import CELLS, Cell, unpacked
from backstay.host import cores
from backstay.host.attributes import Attributes
from backstay.host.clock import pause
from backstay.host.fence_agents import FenceAgents
from backstay.host.fencings import under_way
from backstay.host.machine import system_uuid
from backstay.host.output import write_atomically
from backstay.host.pacemaker import Pacemaker
from backstay.host.state import State

KEPT = "/var/lib/backstay"  # survives a boot: whose BMC is whose is learnt once
IDENTITIES = "fence-identities"
ANSWER = 5.0  # seconds for the attribute daemon
FINDINGS = 1


@click.group()
def fence() -> None:
    """Fencing that is proven before it is needed."""
    cores.forbid()


fence.add_command(drill_command)


@fence.command("rotate")
@click.option("--user", required=True, metavar="NAME", help="The account that the cluster is to use.")
@click.option("--file", metavar="FILE", help="Its password's file, the same on every host.")
@click.option("--script", metavar="PROGRAM", help="In place of --file: what prints it, on every host.")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="This device (default: every one).")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done and what speaks against it.")
@options.unasked
@options.waiting(1500.0, "How long the hosts may take to prove it.")
@click.option("--agents", type=click.Path(path_type=Path), default=Path("/usr/sbin"), hidden=True)
@options.common
def rotate_command(
    user: str,
    file: str | None,
    script: str | None,
    devices: tuple[str, ...],
    only_plan: bool,
    yes: bool,
    seconds: float,
    agents: Path,
    output: str,
) -> int:
    """Change over to another account of the BMCs, once every host has proven that it works.

    You set the account's password at the BMCs and put it into FILE on each host; the old account stays valid, and in
    use until the last host has proven the new one. Where the devices had their passwords from (a file, a script, the
    CIB, a CIB secret) does not matter. See docs/how-to-rotate-a-bmc-password.md.
    """
    if (file is None) == (script is None):
        raise BadInput("one of --file and --script is needed, and not both")
    way, place = (rotate.FILE, file) if file is not None else (rotate.SCRIPT, script or "")

    def worlds(here: str) -> World:
        return _world(here, agents, {}, live=True)

    return change_over(user, way, place, devices, seconds, worlds, output, only_plan=only_plan, yes=yes)


@fence.command("check")
@click.option(
    "--cib", "file", metavar="FILE", help="Devices from this CIB (- for stdin) instead of the live one."
)
@click.option("--publish", is_flag=True, help="Tell the other hosts, and crm_mon -A, what came of it.")
@click.option(
    "--accept", multiple=True, metavar="HOST", help="Forget whose BMC was HOST's: it has a new board."
)
@click.option(
    "--metrics", type=click.Path(path_type=Path), metavar="FILE", help="Write it for Prometheus, too."
)
@click.option("--agents", type=click.Path(path_type=Path), default=Path("/usr/sbin"), hidden=True)
@click.option("--memory", type=click.Path(path_type=Path), hidden=True)
@options.common
def check_command(
    file: str | None,
    publish: bool,
    accept: tuple[str, ...],
    metrics: Path | None,
    agents: Path,
    memory: Path | None,
    output: str,
) -> int:
    """Prove from this host that every device would fence now, without switching anything.

    The installed agent's own on, off, reboot, status and monitor run against a simulated BMC; each real BMC is asked
    for its power and its GUID with the configured account; the configuration is judged. Needs root.
    """
    data, name = (Pacemaker().live(), LIVE) if file is None else options.read_input(file)
    cib = document.parse_cib(data, name)
    fencing = read(cib)
    live = file is None
    here = Attributes().local(ANSWER) if live else platform.node()
    kept = State(str(memory or KEPT))
    drilled = recorded(cib)
    world = replace(_world(here, agents, remembered(kept, accept), live=live), drilled=drilled)
    report = check(fencing, here, world)
    if (live or memory) and (report.memory != world.remembered or accept):
        kept.write(IDENTITIES, json.dumps(report.memory, sort_keys=True))
    others = published(fencing.hosts, here) if live else []
    if live:
        missing = fence_matrix.unheard(fencing.hosts, report, others)
        unended = fence_matrix.unended(open_drills(cib))
        report = replace(report, findings=(*report.findings, *unended, *missing))
    if publish:
        fence_announcing.announce(report, kept, world.around)
        trials(fencing, here, world)
    if metrics is not None:
        _keep(metrics, fence_metrics.text(report, drilled))
    ready = report.ready and all(each.state.good for each in others)
    text = fence_matrix.matrix(report, others, fencing.hosts if live else (here,), drilled if live else None)
    options.show(output, text, fence_matrix.as_data(report, others, drilled, ready=ready))
    return 0 if ready else FINDINGS


def _keep(file: Path, text: str) -> None:
    """Write the metrics where a node exporter looks; the timer names that place whether there is one or not."""
    if file.parent.is_dir():
        write_atomically(file, text.encode())
    else:
        click.echo(
            f"no metrics are written: there is no {file.parent} (is a node exporter installed?)", err=True
        )


def _world(here: str, agents: Path, known: Mapping[str, str], *, live: bool) -> World:
    machines = Attributes().values(fence_announcing.MACHINE, ANSWER) if live else {}
    own = system_uuid()
    return World(
        agents=FenceAgents(agents),
        simulator=proving.simulator,
        reach=proving.reach,
        pause=pause,
        now=time.time,
        say=partial(click.echo, err=True),
        known={**machines, here: own} if own else machines,
        busy=partial(under_way, ANSWER) if live else tuple,
        remembered=known,
        around=fence_announcing.around(here) if live else None,
    )


def remembered(memory: State, accept: tuple[str, ...]) -> dict[str, str]:
    """GUIDs by host, as of each one's first proof, without those that are to be forgotten."""
    try:
        found = json.loads(memory.read(IDENTITIES) or "{}")
    except ValueError as error:
        raise BadInput(
            f"{memory.path(IDENTITIES)} is no JSON ({error})", hint="remove it: it is learnt anew"
        ) from error
    return {str(host): str(guid) for host, guid in found.items() if host.rpartition(":")[2] not in accept}


def published(hosts: tuple[str, ...], here: str) -> list[Cell]:
    """What the other hosts told; nothing when the attribute daemon does not answer."""
    try:
        told = Attributes().values(CELLS, ANSWER)
    except BackstayError as error:
        click.echo(f"what other hosts found is not known: {error}", err=True)
        return []
    return [
        each
        for host, text in sorted(told.items())
        if host in hosts and host != here
        for each in unpacked(host, text)
    ]
