# SPDX-License-Identifier: GPL-2.0-or-later
"""Does a CIB fit the schema that it names? Asked of Pacemaker's own RELAX NG files.

Decides nothing by itself: what is valid is what the installed Pacemaker says. Reads the schema files, writes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from backstay.cloud.problems import nearest, quote
from backstay.errors import BadInput, CannotAsk

DIRECTORY = Path("/usr/share/pacemaker")
_NUMBERED = re.compile(r"pacemaker-([0-9]+)\.([0-9]+)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a CIB. `line` is 0 when it belongs to no line; `source` is who found it."""

    severity: str
    message: str
    line: int = 0
    source: str = ""


def version(schema: str) -> tuple[int, int]:
    """The version of the schema name `pacemaker-3.7`; (0, 0) for names without one."""
    match = _NUMBERED.fullmatch(schema)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def installed(directory: Path = DIRECTORY) -> tuple[str, ...]:
    """The names of the schemas of the installed Pacemaker, oldest first; CannotAsk when there are none."""
    found = [path.stem for path in directory.glob("pacemaker-*.rng") if _NUMBERED.fullmatch(path.stem)]
    if not found:
        hint = "install the package pacemaker-common, or pacemaker-schemas where it is called that"
        raise CannotAsk(f"there are no schemas of Pacemaker in {directory}", hint=hint)
    return tuple(sorted(found, key=version))


def _line(element: etree._Element) -> int:
    line: object = element.sourceline  # the stubs are wrong about its type
    return line if isinstance(line, int) else 0


def _sentence(cib: etree._Element, path: str | None, message: str) -> str:
    element = (
        cib.getroottree().find("." + path.removeprefix("/cib")) if path and path.startswith("/cib/") else None
    )
    identity = element.get("id") if element is not None else None
    return f"{message} (id {identity})" if identity else message


def _relax(cib: etree._Element, file: Path, schema: str) -> list[Finding]:
    relax = etree.RelaxNG(etree.parse(str(file)))
    if relax.validate(cib.getroottree()):
        return []
    log = list(relax.error_log)
    # libxml2 repeats each error for the enclosing elements; those without a line are alternatives that it tried,
    # unless they are all there is (a reference to an unknown id).
    placed = [entry for entry in log if entry.line] or log
    found = [
        Finding("error", _sentence(cib, entry.path, entry.message), entry.line, schema) for entry in placed
    ]
    unknown = [entry for entry in log if "references an unknown ID" in entry.message and not entry.line]
    found += [Finding("error", entry.message, 0, schema) for entry in unknown if placed is not log]
    return list(dict.fromkeys(found))


def check(cib: etree._Element, directory: Path = DIRECTORY) -> tuple[Finding, ...]:
    """What the schema named by the CIB's validate-with finds wrong with it; empty when it is valid.

    Raises CannotAsk when no schema is installed.
    """
    known = installed(directory)
    if cib.tag != "cib":
        return (Finding("error", f"the root is <{cib.tag}>, not <cib>", _line(cib), "document"),)
    schema = cib.get("validate-with", "")
    if schema not in known:
        meant = nearest(schema, known[::-1]) or known[-1]
        message = f"validate-with is {schema!r}, which the installed Pacemaker does not have (did you mean {meant}?)"
        return (Finding("error", message, _line(cib), "document"),)
    return tuple(_relax(cib, directory / f"{schema}.rng", schema))


def choose(cib: etree._Element, name: str, directory: Path = DIRECTORY) -> None:
    """Let the schema called `name` be the one that `cib` is for.

    Raises BadInput, with the nearest name, for one that the installed Pacemaker does not have: nobody could say
    whether the CIB fits it. CannotAsk when no schema is installed.
    """
    known = installed(directory)
    if name not in known:
        meant = nearest(name, known[::-1]) or known[-1]
        raise BadInput(
            f"the installed Pacemaker has no schema {quote(name)} (did you mean {meant}?)",
            hint=f"it has {known[0]} to {known[-1]}",
        )
    cib.set("validate-with", name)
