# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay metrics`: what Prometheus may know of this host.

Asks what it can and leaves out what does not answer; decides nothing of what is found.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click

from backstay.cli import exposition, options
from backstay.cli.metrics_facts import Facts, gauges
from backstay.errors import BackstayError
from backstay.host.attributes import Attributes
from backstay.host.emulator import Emulators
from backstay.host.guests import Guest, guests
from backstay.host.output import write_atomically
from backstay.host.records import Records

ANSWER = 10.0  # seconds for the cluster, and for a look at all processes


@click.command()
@click.option(
    "--file", type=click.Path(path_type=Path), metavar="FILE", help="Replace this file instead of printing."
)
@options.common
def metrics(file: Path | None, output: str) -> int:
    """Show what agents say of this host, and its guests, in Prometheus' text format.

    backstay-metrics.timer writes it every minute to where a node exporter looks; how ready fencing is stands beside it,
    from backstay-fence.timer. Needs root to see every guest.
    """
    found = tuple(gauges(Facts(time.time(), _attributes(), *_guests())))
    text = exposition.text(found)
    if file is not None:
        write_atomically(file, text.encode())
        return 0
    data = [
        {"name": one.name, "labels": dict(labels), "value": value}
        for one in found
        for labels, value in one.samples
    ]
    options.show(output, text.rstrip("\n"), data)
    return 0


def _attributes() -> Mapping[str, str] | None:
    attributes = Attributes()
    try:
        return attributes.of(attributes.local(ANSWER), ANSWER)
    except BackstayError as error:
        click.echo(f"what agents say is not known: {error}", err=True)
        return None


def _guests() -> tuple[tuple[Guest, ...] | None, frozenset[str]]:
    records = frozenset(f"{record.pid}.{record.start}" for record in Records(Emulators().boot()).others(""))
    try:
        return guests(ANSWER), records
    except (BackstayError, OSError) as error:
        click.echo(f"which guests run here is not known: {error}", err=True)
        return None, records
