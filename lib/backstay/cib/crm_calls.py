# SPDX-License-Identifier: GPL-2.0-or-later
"""Cluster scripts for what the crm shell replaces as a whole: such a script fills in the template and calls cibadmin.

Decides how values get from a wizard to a command. crmsh writes them into the text of a shell script; they stand in a
here-document that nothing expands, and only values are offered that crmsh itself checks to have no blanks and no line
breaks, so that none can end it (crmsh's scripts.py: `integer`, `enum`, `boolean`, and `resource`, without white space).
"""

from __future__ import annotations

from backstay.cib.header import Header, Value
from backstay.cib.symbols import slots
from backstay.errors import BadInput

CHECKED = {
    "boolean": "boolean",
    "choice": "enum",
    "integer": "integer",
    "size": "integer",
    "name": "resource",
    "host": "resource",
    "word": "resource",
}
"""The kinds of values that crmsh checks, and what it calls them; a size is a number of MiB."""

END = "VALUES-OF-THE-TEMPLATE"
_PROGRAM = """\
#!/bin/sh
set -eu
set -- render --template {template}
while IFS= read -r pair; do
    case $pair in *=) ;; *) set -- "$@" --set "$pair" ;; esac
done <<'{end}'
{values}
{end}
made=$(backstay "$@")
printf '%s\\n' "$made" | cibadmin --modify --allow-create --xml-pipe
"""


def offered(header: Header) -> tuple[Value, ...]:
    """The values that the script of `header` asks for; BadInput for one that crmsh does not check."""
    found = tuple(value for value in header.takes if value.scripts != "no")
    free = next((value.name for value in found if value.kind not in CHECKED), None)
    if free is not None:
        hint = f"say `scripts: no` for {free}, or give it one of the kinds {', '.join(CHECKED)}"
        raise BadInput(
            f"{header.path}: crmsh does not check {free}, which its script calls a command with", hint=hint
        )
    return found


def _line(value: Value) -> str:
    unit = " MiB" if value.kind == "size" else ""
    if not value.many:
        # What is not given is an empty symbol, and a line without a value is left out.
        shown = "{{" + value.name + "}}" + unit
        return (
            f"{value.name}={shown}"
            if value.required or not unit
            else _given(value.name, f"{value.name}={shown}")
        )
    first, *more = slots(value)
    return f"{value.name}={first}" + "".join(_given(each.name, f",{each}") for each in more)


def _given(name: str, text: str) -> str:
    """`text`, when the value `name` is given."""
    return "{{#" + name + "}}" + text + "{{/" + name + "}}"


def program(header: Header) -> str:
    """The shell script that loads the template of `header`, with crmsh's symbols for the values."""
    values = "\n".join(map(_line, offered(header)))
    return _PROGRAM.format(template=header.template, values=values, end=END)
