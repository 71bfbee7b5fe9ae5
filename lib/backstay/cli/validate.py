# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay validate`: is a description, a CIB or the live configuration right?

Decides nothing about right and wrong: asks the description's parser, Pacemaker's schema and crm_verify.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from lxml import etree

from backstay.cib import document, schema
from backstay.cib.merge import LIVE
from backstay.cib.render import render as render_cib
from backstay.cib.templates import Templates, directories
from backstay.cli import options
from backstay.cloud.problems import InvalidDescription, Problem, counted
from backstay.host.pacemaker import Pacemaker

FINDINGS = 1


def findings(cib: etree._Element, pacemaker: Pacemaker) -> list[schema.Finding]:
    """What the schema finds wrong with `cib`, or else what crm_verify does, which needs a CIB that fits its schema.

    The status does not count: what has failed on the cluster is no finding about its configuration.
    """
    found = list(schema.check(cib))
    if found:
        return found
    verdict = pacemaker.verify(etree.tostring(document.calm(cib)))
    found += [schema.Finding("error", text, source="crm_verify") for text in verdict.errors]
    found += [schema.Finding("warning", text, source="crm_verify") for text in verdict.warnings]
    return found


def _what(files: list[tuple[str, bytes]], name: str, places: tuple[Path, ...]) -> tuple[etree._Element, str]:
    """The CIB to look at and what it is: XML is a CIB, everything else a description."""
    data = files[0][1]
    if len(files) == 1 and document.is_xml(data):
        return document.parse(data, name), "CIB"
    cloud = options.as_cloud(files, name)
    cib = render_cib(cloud, Templates(directories(places)))
    # Written and read again: findings then name the line of what `backstay render` writes.
    rendered = document.parse(document.write(cib), f"the CIB rendered from {name}")
    return (
        rendered,
        f"description of {counted(len(cloud.hosts), 'host')} and {counted(len(cloud.domains), 'domain')}",
    )


def _as_data(problem: Problem) -> dict[str, object]:
    at = problem.position
    said = {"found": problem.found, "expected": problem.expected, "nearest": problem.nearest}
    return {"position": {"line": at.line, "column": at.column}, **said, "file": at.file}


def _print(name: str, what: str, cib: etree._Element, found: list[schema.Finding]) -> None:
    used = cib.get("validate-with", "")
    if not found:
        click.echo(f"{name} is a good {what}: neither the schema {used} nor crm_verify has a finding.")
    for finding in found:
        line = f":{finding.line}" if finding.line else ""
        click.echo(f"{name}{line}: {finding.severity}: {finding.message} [{finding.source}]")


@click.command()
@click.argument("file", required=False)
@options.validate_with
@options.templates
@options.common
def validate(file: str | None, schema_name: str | None, directories_: tuple[Path, ...], output: str) -> int:
    """Check FILE: a cloud description or a CIB (- for stdin); without FILE the live CIB of this cluster.

    A description is read, rendered, and checked as the CIB that would be loaded. With --validate-with it is checked
    as one for that schema: whether an upgrade of the schema would find something, say.
    """
    pacemaker = Pacemaker()
    if file is None:
        name = LIVE
        files = [(name, pacemaker.live())]
    else:
        files = options.read_files(file)
        name = files[0][0] if len(files) == 1 else file
    try:
        cib, what = _what(files, name, directories_)
    except InvalidDescription as error:
        if output == "json":
            problems = [_as_data(problem) for problem in error.problems]
            options.print_json({"file": name, "kind": "description", "good": False, "problems": problems})
        raise
    if schema_name:
        schema.choose(cib, schema_name)
    found = findings(cib, pacemaker)
    if output == "json":
        shown = [asdict(finding) for finding in found]
        kind = what.partition(" ")[0]
        known = {"schema": cib.get("validate-with", ""), "findings": shown}
        options.print_json({"file": name, "kind": kind, "good": not found, **known})
    else:
        _print(name, what, cib, found)
    return FINDINGS if found else 0
