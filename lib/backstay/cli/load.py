# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay load`: a cloud description becomes the configuration of the cluster of this host.

Decides when that is refused: another cluster, an id that somebody else uses, a domain that would be stopped because it
is no longer described, a live configuration that moved meanwhile. One transaction, or nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from lxml import etree

from backstay.cib import document
from backstay.cib.merge import Changes, changes, check_cluster, merge
from backstay.cib.render import render as render_cib
from backstay.cib.templates import Templates, directories
from backstay.cli import options
from backstay.cli.validate import findings
from backstay.cloud.model import Cloud
from backstay.errors import Findings, Refused
from backstay.host.pacemaker import Pacemaker


def prepare(live: etree._Element, cloud: Cloud, templates: Templates) -> tuple[etree._Element, Changes]:
    """The CIB to load in place of `live`, and what it changes; Refused when it is for another cluster."""
    check_cluster(live, cloud.cluster.name)
    new = merge(live, render_cib(cloud, templates))
    return new, changes(live, new)


def _check(new: etree._Element, change: Changes, pacemaker: Pacemaker, *, remove: bool) -> None:
    if change.removed and not remove:
        names = ", ".join(change.removed)
        hint = "describe them again, or insist with --remove: Pacemaker stops them"
        raise Refused(f"the description no longer has {names}, and loading it would stop them", hint=hint)
    found = findings(document.parse(document.write(new), "new"), pacemaker)
    errors = [finding.message for finding in found if finding.severity == "error"]
    if errors:
        raise Findings(
            f"the configuration would not be valid: {errors[0]}", hint="backstay validate shows all findings"
        )


def _say(change: Changes) -> str:
    parts = [
        f"{verb} {', '.join(names)}"
        for verb, names in (("adds", change.added), ("changes", change.changed), ("removes", change.removed))
        if names
    ]
    if change.others:
        parts.append(f"sets {change.others} constraints and properties")
    if change.properties:
        parts.append(f"among them {', '.join(change.properties)}")
    return "; ".join(parts) or "changes nothing"


@click.command()
@click.argument("file")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--remove", is_flag=True, help="Also remove (and stop) what the description no longer has.")
@options.templates
@options.common
def load(file: str, dry_run: bool, remove: bool, directories_: tuple[Path, ...], output: str) -> None:
    """Load the cloud description FILE (- for stdin) into the cluster of this host.

    What Backstay did not create is left alone. Nothing is loaded when the live configuration moves meanwhile.
    """
    cloud = options.read_cloud(file)
    pacemaker = Pacemaker()
    data = pacemaker.live()
    new, change = prepare(document.parse(data, "the live CIB"), cloud, Templates(directories(directories_)))
    _check(new, change, pacemaker, remove=remove or dry_run)
    click.echo(f"cluster {cloud.cluster.name}: {_say(change)}", err=True)
    loaded = bool(change) and not dry_run and pacemaker.replace(data, etree.tostring(new))
    if output == "json":
        options.print_json({"file": file, "loaded": loaded, **asdict(change)})
    else:
        click.echo("Loaded." if loaded else "Nothing was loaded.")
