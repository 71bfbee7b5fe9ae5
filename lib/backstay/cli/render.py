# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay render`: a cloud description becomes the CIB that would be loaded. Needs no cluster."""

from __future__ import annotations

from pathlib import Path

import click

from backstay.cib.document import write
from backstay.cib.render import render as render_cib
from backstay.cib.templates import Templates, directories
from backstay.cli import options
from backstay.host.output import write_atomically


@click.command()
@click.argument("file")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write to this file instead of stdout.")
@click.option(
    "--explain", is_flag=True, help="Keep the reason for each option and constraint as an XML comment."
)
@options.templates
@options.common
def render(file: str, out: Path | None, explain: bool, directories_: tuple[Path, ...], output: str) -> None:
    """Show the CIB of the cloud description FILE (- for stdin)."""
    cloud = options.read_cloud(file)
    data = write(render_cib(cloud, Templates(directories(directories_)), explain=explain))
    if out is not None:
        write_atomically(out, data)
        click.echo(f"wrote {out}", err=True)
    if output == "json":
        text = None if out is not None else data.decode()
        counts = {"hosts": len(cloud.hosts), "domains": len(cloud.domains)}
        options.print_json({"file": file, "out": str(out) if out else None, **counts, "cib": text})
    elif out is None:
        click.echo(data, nl=False)
