# SPDX-License-Identifier: GPL-2.0-or-later
"""How a fence agent is given its parameters: lines on standard input, or options when there are any.

Decides which text belongs to which name, as the Fence Agent API says; never whether it makes sense. A value is
everything between the first equals sign and the line feed: quotes and blanks in a password are part of it.
"""

from __future__ import annotations

import getopt
from collections.abc import Sequence

from backstay.errors import BadInput
from backstay.fencing.parameters import Parameter


def from_lines(data: bytes) -> dict[str, str]:
    """Names and values from standard input; later ones win, comments and lines without a name do not count."""
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        name, equals, value = line.partition("=")
        name = name.strip()
        if equals and name and not name.startswith("#"):
            found[name.replace("-", "_")] = value
    return _with_action(found)


def from_options(argv: Sequence[str], parameters: Sequence[Parameter]) -> dict[str, str]:
    """Names and values from a command line (without the program's name); raises BadInput for anything unknown."""
    by_option = {f"-{p.option}": p for p in parameters if p.option}
    by_option |= {f"--{p.long}": p for p in parameters}
    by_option |= {f"--{p.old.replace('_', '-')}": p for p in parameters if p.old}
    letters = "".join(p.option + ("" if p.kind == "boolean" else ":") for p in parameters if p.option)
    words = [
        option[2:] + ("" if p.kind == "boolean" else "=")
        for option, p in by_option.items()
        if option[:2] == "--"
    ]
    try:
        options, left = getopt.gnu_getopt(list(argv), f"{letters}hV", [*words, "help", "version"])
    except getopt.GetoptError as error:
        raise BadInput(str(error), hint="--help lists the options") from error
    if left:
        raise BadInput(f"{left[0]!r} belongs to no option", hint="--help lists the options")
    found: dict[str, str] = {}
    for option, value in options:
        if option in ("-h", "--help"):
            found["action"] = "help"
        elif option in ("-V", "--version"):
            found["action"] = "version"
        else:
            parameter = by_option[option]
            found[parameter.name] = "1" if parameter.kind == "boolean" else value
    return found


def _with_action(found: dict[str, str]) -> dict[str, str]:
    """`option` is what `action` was called before the oldest cluster that still runs."""
    if "option" in found and "action" not in found:
        found["action"] = found["option"]
    return found
