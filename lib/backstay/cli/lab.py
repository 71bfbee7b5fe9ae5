# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay lab ...`: the cluster-in-a-box for a terminal.

Turns words of the command line into calls; decides nothing itself.
"""

from __future__ import annotations

from pathlib import Path

import click

from backstay.cli import lab_faults, options
from backstay.errors import BadInput
from backstay.lab.circumstances import the_lab
from backstay.lab.layout import Layout
from backstay.lab.node import Node, become
from backstay.lab.progress import Progress
from backstay.lab.wording import myself


@click.group()
def lab() -> None:
    """A real cluster of containers or virtual machines on this machine, to rehearse with."""


@lab.command()
@click.option(
    "--nodes",
    default="3",
    show_default=True,
    metavar="N|vm|vm:N",
    help="How many nodes; vm: virtual machines with a kernel of their own (two, or N).",
)
@click.option(
    "--spare", default=0, metavar="N", help="Further nodes, switched on, that belong to no cluster."
)
@click.option(
    "--deb", type=click.Path(path_type=Path), help="Install Backstay in the nodes from this package."
)
@click.option(
    "--source", type=click.Path(path_type=Path), help="Install Backstay in the nodes from this source tree."
)
@options.common
def up(nodes: str, spare: int, deb: Path | None, source: Path | None, output: str) -> None:
    """Build the nodes, switch them on, wait until they are a cluster (needs root)."""
    from backstay.lab import kinds
    from backstay.lab import lab as whole
    from backstay.lab.installation import Payload

    kind, count = kinds.wish(nodes)
    if deb and source:
        raise BadInput("--deb and --source exclude each other")
    layout = Layout.from_environment()
    payload = Payload(deb and deb.absolute(), source and source.absolute())
    whole.up(layout, count, payload, Progress(), spare, kind)
    me = f"{myself()} lab"
    options.show(
        output,
        f"The lab is up in {layout.directory}. Look around: {me} status; {me} exec n1 crm_mon -1",
        {"directory": str(layout.directory), "nodes": layout.names()},
    )


@lab.command()
@options.common
def down(output: str) -> None:
    """Remove every trace of the lab (but not the cached Debian root)."""
    from backstay.lab import lab as whole

    layout = the_lab()
    whole.down(layout, Progress())
    options.show(
        output, f"No lab is left in {layout.directory}.", {"directory": str(layout.directory), "left": []}
    )


@lab.command()
@options.common
def status(output: str) -> None:
    """Show the nodes, their power and what the cluster says."""
    from backstay.lab import report

    shown = report.look(the_lab())
    options.show(output, shown.as_text(), shown.as_data())


@lab.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec(node: str, command: tuple[str, ...]) -> None:  # noqa: A001  (the admin's word)
    """Run COMMAND in NODE, with this terminal; ends with its exit code.

    A single word goes to a shell in the node, several are run as they are.
    """
    words = command[1:] if command[0] == "--" else command
    layout = the_lab()
    layout.present(node)
    Node(layout, node).become(words[0] if len(words) == 1 else words)


@lab.command()
@click.argument("node")
@click.option("--lines", default=40, show_default=True, help="How many lines of the past.")
@click.option("--follow", is_flag=True, help="Go on until interrupted.")
def console(node: str, lines: int, follow: bool) -> None:
    """Show what NODE printed on its console; a shell in it is: backstay lab exec NODE bash"""
    place = the_lab().node(node).console
    if not place.exists():
        raise BadInput(f"{node} has no console here", hint="backstay lab status")
    become(["tail", f"--lines={lines}", *(["--follow"] if follow else []), str(place)])


@lab.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@options.common
def logs(folder: Path | None, output: str) -> None:
    """Collect journals, logs, CIB, Pacemaker's inputs and consoles of all nodes into FOLDER."""
    from backstay.lab import logs as collecting

    collected = str(collecting.collect(the_lab(), folder))
    options.show(output, collected, {"folder": collected})


lab.add_command(lab_faults.demo)
lab.add_command(lab_faults.demo_frontend)
lab.add_command(lab_faults.fault)
lab.add_command(lab_faults.audit_command)
