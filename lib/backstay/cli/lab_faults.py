# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay lab demo|demo-frontend|fault|audit`: break the cluster-in-a-box, and be told what that cost.

Turns words of the command line into calls; decides nothing itself.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from backstay.cli import options
from backstay.errors import Findings
from backstay.lab.audit import Verdict
from backstay.lab.circumstances import the_lab
from backstay.lab.layout import Layout
from backstay.lab.progress import Progress
from backstay.lab.wording import myself


@click.command()
@click.option(
    "--deb", type=click.Path(path_type=Path), help="Install Backstay in the nodes from this package."
)
@click.option(
    "--source", type=click.Path(path_type=Path), help="Install Backstay in the nodes from this source tree."
)
@click.option("--before", is_flag=True, help="The same faults with today's agents instead of Backstay's.")
@click.option("--keep", is_flag=True, help="Leave the cluster up afterwards.")
@click.option("--story", "names", multiple=True, metavar="NAME", help="Only this story (may be repeated).")
@options.common
def demo(
    deb: Path | None, source: Path | None, names: tuple[str, ...], *, before: bool, keep: bool, output: str
) -> None:
    """Build a cloud on this machine, break it in every way, and let the audit judge (needs root)."""
    from backstay.lab.demo import Wish, play
    from backstay.lab.installation import Payload
    from backstay.lab.stories import choose

    payload = Payload(deb and deb.absolute(), source and source.absolute())
    wish = Wish(payload, choose(names), todays_agents=before, keep=keep)
    result = play(Layout.from_environment(), wish, Progress())
    stories = [{"name": act.story.name, "problem": act.problem} for act in result.acts]
    options.show(output, result.text, {"held": result.held, "stories": stories, **judged(result.verdict)})
    if keep:
        me = f"{myself()} lab"
        click.echo(
            f"\nThe cluster is still up. Look around: {me} status; {me} exec n1 crm_mon -1;"
            f"\nbreak something: {me} fault; remove it: {me} down",
            err=output == "json",
        )
    if not result.held and not before:
        raise Findings("not all of it held", hint="the list above says what")


@click.command("demo-frontend")
@click.option(
    "--deb", type=click.Path(path_type=Path), help="Install Backstay in the nodes from this package."
)
@click.option(
    "--source", type=click.Path(path_type=Path), help="Install Backstay in the nodes from this source tree."
)
@click.option("--keep", is_flag=True, help="Leave the cluster up afterwards.")
@options.common
def demo_frontend(deb: Path | None, source: Path | None, *, keep: bool, output: str) -> None:
    """Show what a manager of machines does when libvirtd crashes, without Backstay and with it (needs root)."""
    from backstay.lab.demo_frontend import play
    from backstay.lab.installation import Payload

    payload = Payload(deb and deb.absolute(), source and source.absolute())
    result = play(Layout.from_environment(), payload, Progress(), keep=keep)
    options.show(output, result.text, {"held": result.held, "acts": [asdict(act) for act in result.acts]})
    if not result.held:
        raise Findings("not all of it held", hint="the list above says what")


@click.command()
@click.argument("name", required=False)
@click.argument("host", required=False)
@click.option("--heal", is_flag=True, help="Mend it instead; without NAME everything that is broken.")
@options.common
def fault(name: str | None, host: str | None, *, heal: bool, output: str) -> None:
    """Break HOST with the fault NAME; without arguments list the faults and those in force."""
    from backstay.lab.faults import catalogue, ledger

    layout = the_lab() if name or heal else Layout.from_environment()
    if name and host:
        verb, entry = ("healed", catalogue.heal) if heal else ("injected", catalogue.inject)
        entry(layout, name, host)
        options.show(output, f"{name} on {host}: {verb}", {verb: [[name, host]]})
    elif name:
        raise click.UsageError("HOST is missing: which host is to be broken?")
    elif heal:
        healed = catalogue.heal_all(layout)
        lines = [f"{fault_name} on {place}: healed" for fault_name, place in healed]
        options.show(output, "\n".join(lines) or "Nothing was broken.", {"healed": healed})
    else:
        known = {each.name: each.what for each in catalogue.FAULTS.values()}
        active = ledger.active(ledger.read(layout))
        lines = [f"{fault_name:<18} {what}" for fault_name, what in known.items()]
        lines += [f"in force: {fault_name} on {place}" for fault_name, place in active]
        options.show(output, "\n".join(lines), {"faults": known, "injected": active})


@click.command("audit")
@options.common
def audit_command(output: str) -> None:
    """Judge what happened since the cloud was built: ran twice, lost, silent, needless."""
    from backstay.lab.review import review

    result = review(the_lab())
    options.show(output, result.text, {"held": result.held, **judged(result.verdict)})
    if not result.held:
        raise Findings("the audit has findings", hint="the list above says what")


def judged(verdict: Verdict) -> dict[str, Any]:
    """What the audit found, for JSON; times in seconds."""
    return {
        "findings": [asdict(finding) for finding in verdict.findings],
        "guest_seconds_lost": round(verdict.lost(), 1),
        "tolerance": verdict.tolerance,
    }
