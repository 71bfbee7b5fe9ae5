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
from backstay.cib.render import render as render_cib
from backstay.cib.templates import Templates, directories
from backstay.cli import options
from backstay.cloud.parse import parse
from backstay.cloud.problems import InvalidDescription
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


def _what(data: bytes, name: str, places: tuple[Path, ...]) -> tuple[etree._Element, str]:
    """The CIB to look at and what it is: XML is a CIB, everything else a description."""
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return document.parse(data, name), "CIB"
    cloud = parse(data, name)
    cib = render_cib(cloud, Templates(directories(places)))
    # Written and read again: findings then name the line of what `backstay render` writes.
    rendered = document.parse(document.write(cib), f"the CIB rendered from {name}")
    return rendered, f"description of {len(cloud.hosts)} hosts and {len(cloud.domains)} domains"


def _print(name: str, what: str, cib: etree._Element, found: list[schema.Finding]) -> None:
    used = cib.get("validate-with", "")
    if not found:
        click.echo(f"{name} is a good {what}: neither the schema {used} nor crm_verify has a finding.")
    for finding in found:
        line = f":{finding.line}" if finding.line else ""
        click.echo(f"{name}{line}: {finding.severity}: {finding.message} [{finding.source}]")


@click.command()
@click.argument("file", required=False)
@options.templates
@options.common
def validate(file: str | None, directories_: tuple[Path, ...], output: str) -> int:
    """Check FILE: a cloud description or a CIB (- for stdin); without FILE the live CIB of this cluster.

    A description is read, rendered, and checked as the CIB that would be loaded.
    """
    pacemaker = Pacemaker()
    if file is None:
        data, name = pacemaker.live(), "the live configuration"
    else:
        data, name = options.read_input(file)
    try:
        cib, what = _what(data, name, directories_)
    except InvalidDescription as error:
        if output == "json":
            problems = [asdict(problem) for problem in error.problems]
            options.print_json({"file": name, "kind": "description", "good": False, "problems": problems})
        raise
    found = findings(cib, pacemaker)
    if output == "json":
        shown = [asdict(finding) for finding in found]
        kind = what.partition(" ")[0]
        known = {"schema": cib.get("validate-with", ""), "findings": shown}
        options.print_json({"file": name, "kind": kind, "good": not found, **known})
    else:
        _print(name, what, cib, found)
    return FINDINGS if found else 0
