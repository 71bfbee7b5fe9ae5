# SPDX-License-Identifier: GPL-2.0-or-later
"""What several verbs have in common: their options, and how they print.

Decides the names of options that mean the same everywhere. Does no work of any verb.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from getpass import getuser
from pathlib import Path
from typing import TypeVar

import click

from backstay.cloud.model import Cloud
from backstay.cloud.parse import parse_files
from backstay.cloud.problems import nearest
from backstay.errors import BadInput, Refused
from backstay.host import given
from backstay.host.definition_files import DefinitionFiles

F = TypeVar("F", bound=Callable[..., object])
STDIN = "-"


def _ignore(_context: click.Context, _parameter: click.Parameter, _value: object) -> None:
    """For -v, which the guard of the process reads: it belongs to every verb and is passed to none."""


def common(function: F) -> F:
    """The options that every verb has: --output and -v."""
    function = click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_ignore,
        help="Show the traceback of a failure.",
    )(function)
    return click.option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How results are written to stdout.",
    )(function)


def templates(function: F) -> F:
    """The option --templates, which may be given several times."""
    return click.option(
        "--templates",
        "directories_",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="DIR",
        help="Look for templates here first, before /etc/backstay/crm-templates and the shipped ones.",
    )(function)


def validate_with(function: F) -> F:
    """The option --validate-with: which of Pacemaker's schemas a CIB is for."""
    return click.option(
        "--validate-with",
        "schema_name",
        metavar="SCHEMA",
        help="Be valid for this schema of Pacemaker, such as pacemaker-3.9, in place of pacemaker-3.7.",
    )(function)


def waiting(default: float, help_: str) -> Callable[[F], F]:
    """The option --wait, in seconds: how long what was begun may take."""
    return click.option(
        "--wait",
        "seconds",
        type=click.FloatRange(1, 86400),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=help_,
    )


def unasked(function: F) -> F:
    """The option --yes."""
    return click.option("--yes", is_flag=True, help="Do not ask: for scripts.")(function)


def agree(question: str, deed: str, refused: str, *, yes: bool) -> None:
    """Ask whoever sits at the terminal; Refused when the answer is no, or when nobody is there and `yes` was not said.

    `deed` completes "nobody is there to be asked whether to ...".
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"nobody is there to be asked whether to {deed}", hint="add --yes in scripts")
    if not click.confirm(question, err=True):
        raise Refused(f"{refused}, as you wish")


def first_of(reasons: Sequence[str]) -> str:
    """The first of several reasons, and how many more there are."""
    return reasons[0] + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else "")


def read_input(name: str) -> tuple[bytes, str]:
    """The content of the file `name` (`-` is stdin), and its name for messages; BadInput when it cannot be read."""
    if name == STDIN:
        return _stdin(), "<stdin>"
    if not name:
        raise BadInput("the name of the file is empty", hint="is a variable of a script not set? - is stdin")
    try:
        with os.fdopen(given.opened(name), "rb") as file:
            return given.whole(file.fileno(), name, _aside), name
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {name}", hint=_beside(Path(name))) from error
    except PermissionError as error:
        raise BadInput(f"{name} may not be read by {getuser()}", hint="run it with sudo") from error
    except IsADirectoryError as error:
        raise BadInput(f"{name} is a directory, and a file is needed", hint="name a file in it") from error
    except OSError as error:
        hint = "name an existing file, or - for stdin"
        raise BadInput(f"{name} cannot be read: {error.strerror}", hint=hint) from error


def _stdin() -> bytes:
    try:
        return given.whole(sys.stdin.buffer.fileno(), "<stdin>", _aside)
    except io.UnsupportedOperation:  # it was closed, and main gave us one without a descriptor
        return sys.stdin.buffer.read()


def _aside(text: str) -> None:
    click.echo(text, err=True)


def _beside(path: Path) -> str:
    """What may have been meant by a name that is not there."""
    if path.is_symlink():
        return f"it is a link to {path.readlink()}, which is not there"
    try:
        there = [one.name for one in path.parent.iterdir()]
    except OSError:
        return f"there is no directory {path.parent} either; name an existing file, or - for stdin"
    meant = nearest(path.name, there)
    return f"did you mean {path.parent / meant}?" if meant else "name an existing file, or - for stdin"


def read_files(name: str) -> list[tuple[str, bytes]]:
    """The files of a description: `name` itself (`-` is stdin), or the *.yaml files of a directory, in order.

    What begins with a dot is an editor's, and no part of it.
    """
    path = Path(name)
    if name in (STDIN, "") or not path.is_dir():
        data, shown = read_input(name)
        return [(shown, data)]
    try:
        files = sorted(
            str(entry)
            for entry in path.iterdir()
            if entry.suffix in (".yaml", ".yml") and not entry.name.startswith(".")
        )
    except PermissionError as error:
        raise BadInput(f"{name} may not be read by {getuser()}", hint="run it with sudo") from error
    if not files:
        raise BadInput(f"{name} has no *.yaml file", hint="put the description into it, or name a file")
    return [(file, read_input(file)[0]) for file in files]


def read_described(name: str) -> list[tuple[str, bytes]]:
    """The same, for a verb that changes the description of this cluster and cannot do without it."""
    if not Path(name).exists():
        hint = "name it with --cloud; /usr/share/doc/backstay/examples has some to begin with"
        raise BadInput(f"there is no cloud description {name} on this host", hint=hint)
    return read_files(name)


def read_cloud(name: str) -> Cloud:
    """The cloud description in the file or directory `name` (`-` is stdin), with the definitions that can be read."""
    return as_cloud(read_files(name), name)


def as_cloud(files: list[tuple[str, bytes]], name: str) -> Cloud:
    """The cloud description in these files, called `name` as a whole, with the definitions that can be read."""
    from backstay.plan import planned  # most verbs read no description, and need no lxml

    for file, data in files:
        if planned.is_plan(data):
            hint = f"backstay apply {file} carries it out"
            raise BadInput(f"{file} is a plan of backstay plan --out, not a cloud description", hint=hint)
    return parse_files(files, files[0][0] if len(files) == 1 else name, DefinitionFiles())


def show(output: str, text: str, data: object) -> None:
    """Print the result in the form that --output asks for."""
    if output == "json":
        print_json(data)
    else:
        click.echo(text)


def print_json(result: object) -> None:
    """Print `result` as JSON to stdout."""
    click.echo(json.dumps(result, indent=2, ensure_ascii=False))
