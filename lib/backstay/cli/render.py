# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay render`: a cloud description, or one template alone, becomes what would be loaded. Needs no cluster."""

from __future__ import annotations

from pathlib import Path

import click
from lxml import etree

from backstay.cib import schema
from backstay.cib.document import write
from backstay.cib.files import File, files_of
from backstay.cib.render import render as render_cib
from backstay.cib.templates import Templates, directories
from backstay.cli import options, render_template
from backstay.cloud.model import Cloud
from backstay.errors import Findings
from backstay.host.output import PRIVATE, PUBLIC, make_directory, write_atomically

LOADING = """\b
What --template writes is loaded by each of
  cibadmin --modify --allow-create --xml-file SNIPPET
  crm configure load xml update SNIPPET   (where --describe does not say that it takes something away)
with --for crmsh by
  crm configure load update SNIPPET
and for pcs, whose cib-push takes whole CIBs:
  pcs cluster cib before.xml
  backstay render --template NAME --set ... --into before.xml -o after.xml
  pcs cluster cib-push after.xml diff-against=before.xml
"""


@click.command(epilog=LOADING)
@click.argument("file", required=False)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write to this file instead of stdout.")
@click.option(
    "--explain", is_flag=True, help="Keep the reason for each option and constraint as an XML comment."
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the CIB (cib.xml) and the files that belong to it into this directory.",
)
@click.option("--template", metavar="NAME", help="Fill in one template alone, without a cloud description.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A value for --template.")
@click.option(
    "--into",
    metavar="CIB",
    help="Put what --template gives into this CIB file (- for stdin) and write the whole of it.",
)
@click.option(
    "--for",
    "tool",
    type=click.Choice(["xml", "crmsh"]),
    default="xml",
    show_default=True,
    help="Write --template as XML or in the words of the crm shell.",
)
@click.option(
    "--crmsh-scripts",
    "scripts",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the templates as crmsh's cluster scripts (wizards) below this directory.",
)
@click.option("--list", "listing", is_flag=True, help="Say what templates there are, and whose they are.")
@click.option("--describe", metavar="NAME", help="Say what a template is for and which values it takes.")
@options.validate_with
@options.templates
@options.common
def render(
    file: str | None,
    out: Path | None,
    explain: bool,
    directory: Path | None,
    template: str | None,
    given: tuple[str, ...],
    into: str | None,
    tool: str,
    scripts: Path | None,
    listing: bool,
    describe: str | None,
    schema_name: str | None,
    directories_: tuple[Path, ...],
    output: str,
) -> None:
    """Show the CIB of the cloud description FILE (- for stdin), or of one template alone."""
    chosen = {
        "FILE": bool(file),
        "--template": bool(template),
        "--list": listing,
        "--describe": bool(describe),
        "--crmsh-scripts": scripts is not None,
    }
    render_template.only_one(chosen)
    if directory is not None and (out is not None or not file):
        raise click.UsageError("--directory takes a description FILE, and no --out")
    if template is None and (given or into or tool != "xml"):
        raise click.UsageError("--set, --into and --for belong to --template")
    if schema_name and not file:
        raise click.UsageError(
            "--validate-with belongs to a description FILE: a template alone has no schema"
        )
    if tool == "crmsh" and (into or explain):
        raise click.UsageError("--into and --explain are for XML, not for the words of the crm shell")
    templates = Templates(directories(directories_))
    if listing or describe:
        render_template.show(templates, describe, output)
    elif template:
        values = render_template.pairs(given)
        if tool == "crmsh":
            data = render_template.commands(templates, template, values)
        else:
            data = render_template.snippet(templates, template, values, into, explain=explain)
        _deliver(data, out, output, {"template": template}, PRIVATE if into else PUBLIC)
    elif scripts is not None:
        render_template.write_scripts(templates, scripts)
    elif file:
        cloud = options.read_cloud(file)
        data = write(_fitting(render_cib(cloud, templates, explain=explain), schema_name))
        counts = {"hosts": len(cloud.hosts), "domains": len(cloud.domains)}
        if directory is not None:
            _fill(directory, data, cloud, output)
        else:
            _deliver(data, out, output, {"file": file, **counts})


def _fitting(cib: etree._Element, schema_name: str | None) -> etree._Element:
    """`cib` for the schema that was asked for, if one was; Findings when that has no place for all of it."""
    if schema_name:
        schema.choose(cib, schema_name)
        if found := schema.check(cib):
            hint = "take a newer schema, or leave out what needs one"
            raise Findings(f"the schema {schema_name} does not take it: {found[0].message}", hint=hint)
    return cib


def _deliver(
    data: bytes, out: Path | None, output: str, about: dict[str, object], mode: int = PUBLIC
) -> None:
    if out is not None:
        write_atomically(out, data, mode)
        click.echo(f"wrote {out}", err=True)
    if output == "json":
        text = None if out is not None else data.decode()
        options.print_json({**about, "out": str(out) if out else None, "cib": text})
    elif out is None:
        click.echo(data, nl=False)


def _fill(directory: Path, cib: bytes, cloud: Cloud, output: str) -> None:
    """Write the CIB and the files that belong to it; say of each where it belongs."""
    found = [File("cib.xml", cib.decode(), "the cluster, where backstay apply loads it"), *files_of(cloud)]
    for file in found:
        path = directory / file.name
        make_directory(path.parent)
        write_atomically(path, file.content.encode())
        click.echo(f"wrote {path}; it belongs to {file.belongs}", err=True)
    if output == "json":
        listed = [{"file": str(directory / file.name), "belongs": file.belongs} for file in found]
        options.print_json({"directory": str(directory), "files": listed})
