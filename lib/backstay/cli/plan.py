# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay plan`: what a cloud description (or a whole CIB) would change, and what that does to what runs.

Decides nothing about consequences: Pacemaker's own scheduler is asked. Changes nothing but the file of --out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click
from lxml import etree

from backstay.cib import document, schema
from backstay.cib.difference import Difference, differences, foreign
from backstay.cib.merge import LIVE, check_cluster, merge, set_nodes
from backstay.cib.options import Metadata
from backstay.cib.render import render
from backstay.cib.templates import Templates, directories
from backstay.cli import options
from backstay.cli.validate import findings
from backstay.errors import Findings, Refused
from backstay.fencing import configuration as fencing
from backstay.host.metadata import Installed
from backstay.host.output import PRIVATE, write_atomically
from backstay.host.pacemaker import Pacemaker
from backstay.host.scheduler import simulate, status
from backstay.plan import planned, wording
from backstay.plan.planned import Plan
from backstay.plan.prediction import predict
from backstay.plan.transition import Transition, read

HURTS = 1


class Simulated:
    """Pacemaker's scheduler of this machine."""

    def transition(self, cib: bytes) -> Transition:
        """What it would do with `cib`."""
        return read(simulate(cib))

    def present(self, cib: bytes) -> Transition:
        """Where everything of `cib` runs, without a word about what comes: sooner by far."""
        return read(status(cib))


def check_schema(cib: etree._Element, what: str) -> None:
    """Findings when `cib` does not fit its schema: the scheduler would ignore it without a word.

    No more is asked of what is live already: a cluster without fence devices is what a plan has to begin with.
    """
    _raise_first(schema.check(cib), what)


def _raise_first(found: Iterable[schema.Finding], what: str) -> None:
    errors = [finding.message for finding in found if finding.severity == "error"]
    if errors:
        raise Findings(f"{what} is not valid: {errors[0]}", hint="backstay validate shows all findings")


def make(
    files: list[tuple[str, bytes]],
    name: str,
    cib: Callable[[], tuple[bytes, str]],
    directories_: tuple[Path, ...],
    pacemaker: Pacemaker,
) -> Plan:
    """The plan that turns `cib` into what `files`, called `name`, say: a description, or a whole CIB.

    The files come first: what is wrong with them is said without asking any cluster. Refused when that is another
    cluster's, or an id is taken; Findings when the outcome would not be valid.
    """
    if len(files) == 1 and document.is_xml(files[0][1]):
        wanted = document.parse_cib(files[0][1], files[0][0])
        data, source = cib()
        return replacing(document.parse_cib(data, source), wanted, pacemaker, source)
    cloud = options.as_cloud(files, name)
    data, source = cib()
    live = document.parse_cib(data, source)
    check_cluster(live, cloud.cluster.name, source)
    new = merge(live, render(cloud, Templates(directories(directories_))), source)
    return between(live, new, cloud.cluster.name, pacemaker, source)


def replacing(live: etree._Element, wanted: etree._Element, pacemaker: Pacemaker, source: str = LIVE) -> Plan:
    """The plan that gives `live`, which came from `source`, the configuration of `wanted`.

    But for the nodes, which are what they are now; what Backstay itself says about them (capacities, sites) is that of
    `wanted`.
    """
    new, old = deepcopy(live), deepcopy(wanted)
    here, there = new.find("configuration"), old.find("configuration")
    assert here is not None and there is not None  # whole CIBs
    nodes, before = here.find("nodes"), there.find("nodes")
    if nodes is not None and before is not None:
        set_nodes(nodes, before)
        there.replace(before, nodes)
    new.replace(here, there)
    return between(live, new, document.cluster_name(live), pacemaker, source)


def between(
    live: etree._Element, new: etree._Element, cluster: str, pacemaker: Pacemaker, source: str = LIVE
) -> Plan:
    """The plan that turns one CIB, which came from `source`, into another; Findings when one of them is not valid."""
    check_schema(live, source)
    after = document.write(new)
    _raise_first(
        findings(document.parse(after, "the plan"), pacemaker), "the configuration that would be loaded"
    )
    prediction = predict(live, document.parse(after, "the plan"), Simulated())
    return Plan(cluster, etree.tostring(live).decode(), after.decode(), prediction)


def as_of_now(made: Plan, pacemaker: Pacemaker) -> Plan:
    """The same change, foreseen from what runs now: a plan may be old, and while somebody is asked things happen.

    One for which nothing has happened is given as it is, and so is one whose configuration is no longer the live one:
    loading that is refused. Refused when it was made for another cluster.
    """
    live = document.parse(*start_from(None, pacemaker))
    here = document.cluster_name(live)
    if "" not in (here, made.cluster) and here != made.cluster:
        hint = "make a plan for this one: backstay plan"
        raise Refused(f"the plan is for the cluster {made.cluster}, this one is {here}", hint=hint)
    before, after = (document.parse(text.encode(), "the plan") for text in (made.before, made.after))
    if any(live.get(name) != before.get(name) for name in ("admin_epoch", "epoch")):
        return made
    if etree.tostring(live).decode() == made.before:
        return made  # to foresee the same again takes minutes for 1000 domains
    new = deepcopy(after)
    old, now = new.find("status"), live.find("status")
    if old is not None:
        new.remove(old)
    if now is not None:
        new.append(deepcopy(now))
    text = document.write(new)
    prediction = predict(live, document.parse(text, "the plan"), Simulated())
    return Plan(made.cluster, etree.tostring(live).decode(), text.decode(), prediction)


def unfenced(made: Plan) -> tuple[str, ...]:
    """The hosts of the cluster that some device can fence now, and none could after the plan."""
    before, after = (
        fencing.read(document.parse(text.encode(), "the plan")) for text in (made.before, made.after)
    )
    return before.losing(after)


def changed(plan: Plan) -> tuple[Difference, ...]:
    """What differs between the plan's two configurations.

    Nothing when all of it is another spelling, or a default: then nothing is loaded. Otherwise another spelling of a
    parameter is loaded along, and counts, since Pacemaker restarts or reloads the resource for it.
    """
    before, after = (document.parse(text.encode(), "plan") for text in (plan.before, plan.after))
    known = Metadata(Installed())
    return differences(before, after, known) and differences(before, after, known, exact=True)


def hand_made(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Kind and name of what stays that Backstay did not create."""
    before, after = (document.parse(text.encode(), "plan") for text in (plan.before, plan.after))
    return foreign(before, after)


def show(plan: Plan, different: tuple[Difference, ...]) -> str:
    """The plan as text."""
    stays = list(wording.hand_made(hand_made(plan)))
    if not different:
        return "\n".join([f"{wording.called(plan.cluster)}: nothing changes.", *stays])
    lines = [wording.called(plan.cluster), "what changes:", *wording.changes(different)]
    lines += ["what that does (! ends something that runs):", *wording.consequences(plan.prediction)]
    lines += [f"  ! {wording.unfenced(host)}" for host in unfenced(plan)]
    lines += stays
    return "\n".join(lines)


def facts(plan: Plan, different: tuple[Difference, ...]) -> dict[str, object]:
    """The plan for --output json."""
    foreseen = plan.prediction
    return {
        "cluster": plan.cluster,
        "changes": [asdict(one) for one in different],
        "steps": [asdict(step) for step in foreseen.steps],
        "anyway": [asdict(step) for step in foreseen.anyway],
        "stranded": list(foreseen.stranded),
        "hand_made": [{"kind": kind, "name": name} for kind, name in hand_made(plan)],
        "unfenced": list(unfenced(plan)),
        "hurts": bool(foreseen.harm or foreseen.stranded or unfenced(plan)),
    }


def start_from(cib: str | None, pacemaker: Pacemaker) -> tuple[bytes, str]:
    """The configuration that a plan begins with, and its name."""
    if cib is None:
        return pacemaker.live(), LIVE
    data, name = options.read_input(cib)
    return data, name


@click.command()
@click.argument("file")
@click.option("--cib", metavar="FILE", help="Begin with the CIB in FILE, not with the live one.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Write the plan to this file, for backstay apply."
)
@options.templates
@options.common
def plan(file: str, cib: str | None, out: Path | None, directories_: tuple[Path, ...], output: str) -> int:
    """Say what loading the cloud description FILE (- for stdin) would change, and what that does.

    FILE may also be a whole CIB, edited by hand: then everything is as it says, Backstay's or not.
    Pacemaker's own scheduler says what starts, stops, moves or is fenced. Exit code 1: something that runs would be
    stopped, a host fenced, a domain finds no place, or nothing could fence a host any more.
    """
    pacemaker = Pacemaker()
    made = make(options.read_files(file), file, partial(start_from, cib, pacemaker), directories_, pacemaker)
    different = changed(made)
    if out is not None:
        write_atomically(out, planned.write(made), PRIVATE)
        click.echo(f"wrote {out}; backstay apply {out} carries it out", err=True)
    options.show(output, show(made, different), facts(made, different))
    hurts = made.prediction.harm or made.prediction.stranded or unfenced(made)
    return HURTS if different and hurts else 0
