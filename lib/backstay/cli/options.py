# SPDX-License-Identifier: GPL-2.0-or-later
"""What several verbs have in common: their options, and how they print.

Decides the names of options that mean the same everywhere. Does no work of any verb.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from backstay.cloud.model import Cloud
from backstay.cloud.parse import parse_files
from backstay.errors import BadInput, Refused
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
        return sys.stdin.buffer.read(), "<stdin>"
    try:
        return Path(name).read_bytes(), name
    except OSError as error:
        hint = "name an existing file, or - for stdin"
        raise BadInput(f"{name} cannot be read: {error.strerror}", hint=hint) from error


def read_files(name: str) -> list[tuple[str, bytes]]:
    """The files of a description: `name` itself (`-` is stdin), or the *.yaml files of a directory, in order."""
    path = Path(name)
    if name == STDIN or not path.is_dir():
        data, shown = read_input(name)
        return [(shown, data)]
    files = sorted(str(entry) for entry in path.iterdir() if entry.suffix in (".yaml", ".yml"))
    if not files:
        raise BadInput(f"{name} has no *.yaml file", hint="put the description into it, or name a file")
    return [(file, read_input(file)[0]) for file in files]


def read_cloud(name: str) -> Cloud:
    """The cloud description in the file or directory `name` (`-` is stdin), with the definitions that can be read."""
    return as_cloud(read_files(name), name)


def as_cloud(files: list[tuple[str, bytes]], name: str) -> Cloud:
    """The cloud description in these files, called `name` as a whole, with the definitions that can be read."""
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
