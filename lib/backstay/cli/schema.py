# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay schema`: the JSON Schema of a cloud description, for editors. Needs no cluster."""

from __future__ import annotations

import json
from pathlib import Path

import click

from backstay.cli import options
from backstay.cloud import schema as description
from backstay.host.output import write_atomically


def text() -> str:
    """The schema as it is shipped."""
    return json.dumps(description.schema(), indent=1, ensure_ascii=False) + "\n"


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write to this file instead of stdout.")
@options.common
def schema(out: Path | None, output: str) -> None:  # noqa: ARG001  (it is JSON in any case)
    """Show the JSON Schema of a cloud description.

    It is also in /usr/share/backstay/cloud.schema.json. Editors that know yaml-language-server use it when a
    description begins with the line:

    # yaml-language-server: $schema=/usr/share/backstay/cloud.schema.json
    """
    if out is None:
        click.echo(text(), nl=False)
        return
    write_atomically(out, text().encode())
    click.echo(f"wrote {out}", err=True)
