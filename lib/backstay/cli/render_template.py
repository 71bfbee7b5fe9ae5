# SPDX-License-Identifier: GPL-2.0-or-later
"""The half of `backstay render` that needs no cloud description: one template alone, and what templates there are.

Decides how templates are listed and described. Which values are right is decided by the templates' own headers.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

import click

from backstay.cib.alone import add, render_alone
from backstay.cib.crm_scripts import scripts
from backstay.cib.crm_words import words
from backstay.cib.document import parse_cib, write, write_snippet
from backstay.cib.header import Header, Value
from backstay.cib.templates import ADMINS, BY_PIP, SHIPPED, SOURCE_TREE, Templates
from backstay.cli import options
from backstay.cloud.problems import quote
from backstay.errors import BadInput
from backstay.host.output import make_directory, write_atomically

WIDTH = 80


def pairs(words: Iterable[str]) -> dict[str, str]:
    """`name=value` of each --set; BadInput for one without `=`, and for a name that is set twice."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise BadInput(f"found {quote(word)} for --set, expected NAME=VALUE", hint="--set name=web1")
        if name in found:
            raise BadInput(
                f"--set gives {quote(name)} twice", hint="several values stand with commas between"
            )
        found[name] = value
    return found


def snippet(
    templates: Templates, name: str, given: dict[str, str], into: str | None, *, explain: bool
) -> bytes:
    """The template `name` with the values `given`, as XML; put into the CIB in the file `into` if there is one."""
    made = render_alone(templates, name, given, explain=explain)
    if into is None:
        if lost := templates.header(name).crmsh_replaces:
            click.echo(_not_by_crmsh(lost), err=True)
        return write_snippet(made)
    data, shown = options.read_input(into)
    return write(add(parse_cib(data, shown), made, shown))


def _not_by_crmsh(lost: str) -> str:
    return f"not for `crm configure load xml update`, which would take away {lost}"


def commands(templates: Templates, name: str, given: dict[str, str]) -> bytes:
    """The template `name` with the values `given`, in the words of the crm shell."""
    configuration = render_alone(templates, name, given).find("configuration")
    assert configuration is not None  # render_alone makes one
    # In a file of commands a backslash joins what belongs together; cluster scripts have it without.
    return words(configuration).replace("\n ", " \\\n ").encode()


def write_scripts(templates: Templates, directory: Path) -> None:
    """Write every template that can be one as a cluster script below `directory`, and say so on stderr."""
    for name, text in scripts(templates).items():
        make_directory((directory / name).parent)
        write_atomically(directory / name, text.encode())
        click.echo(f"wrote {directory / name}", err=True)


def whose(head: Header) -> str:
    """Who wrote a template: `shipped`, `yours` (in /etc/backstay) or the directory that --templates named."""
    place = Path(head.path).parent
    if place in (SHIPPED, SOURCE_TREE, BY_PIP):
        return "shipped"
    return "yours" if place == ADMINS else str(place)


def headers(templates: Templates) -> tuple[Header, ...]:
    """The headers of all templates, in the order of their names."""
    return tuple(templates.header(name) for name in templates.names())


def listing(heads: Iterable[Header]) -> str:
    """One line for each template: its name, whose it is, what it is for."""
    rows = [(head.template, whose(head), head.summary or "(it says nothing about itself)") for head in heads]
    wide = max((len(name) for name, _, _ in rows), default=0)
    owner = max((len(who) for _, who, _ in rows), default=0)
    lines = []
    for name, who, what in rows:
        first = f"{name:{wide}}  {who:{owner}}  "
        lines.append(textwrap.fill(first + what, WIDTH, subsequent_indent=" " * min(len(first), 40)))
    return "\n".join(lines)


def _how(value: Value) -> str:
    if value.required:
        return "has to be given"
    often = f"{value.default} unless given" if value.default else "may be left out"
    return f"{often}; only with {value.only_with}" if value.only_with else often


def _described(value: Value) -> str:
    indent = "      "
    lines = [f"  {value.name}: {value.expected} ({_how(value)})"]
    lines = [textwrap.fill(lines[0], WIDTH, subsequent_indent=indent, break_on_hyphens=False)]
    about = value.about + (f" Example: {value.example}" if value.example else "")
    lines.append(textwrap.fill(about, WIDTH, initial_indent=indent, subsequent_indent=indent))
    return "\n".join(lines)


def description(head: Header) -> str:
    """What a template is for and every value that it takes, in full."""
    parts = [f"{head.template}: {head.summary}", f"{head.path} ({whose(head)})"]
    text = "\n".join(textwrap.fill(part, WIDTH, break_on_hyphens=False) for part in parts)
    if head.explains:
        text += "\n\n" + "\n\n".join(
            textwrap.fill(paragraph, WIDTH) for paragraph in head.explains.split("\n\n")
        )
    values = "\n".join(_described(value) for value in head.takes)
    if head.crmsh_replaces:
        text += "\n\n" + textwrap.fill(f"It is {_not_by_crmsh(head.crmsh_replaces)}.", WIDTH)
    return f"{text}\n\nIt takes:\n{values}" if head.takes else f"{text}\n\nIt takes no values."


def data(head: Header) -> dict[str, object]:
    """A header as JSON has it."""
    takes = [
        {
            "name": value.name,
            "about": value.about,
            "expected": value.expected,
            "required": value.required,
            "default": value.default,
            "several": value.many,
            "example": value.example or None,
        }
        for value in head.takes
    ]
    return {
        "template": head.template,
        "file": head.path,
        "whose": whose(head),
        "summary": head.summary,
        "takes": takes,
    }


def show(templates: Templates, describe: str | None, output: str) -> None:
    """Print what --list or --describe asks for."""
    if describe is not None:
        head = templates.header(describe)
        options.show(output, description(head), data(head))
        return
    every = headers(templates)
    options.show(output, listing(every), [data(head) for head in every])


def only_one(chosen: dict[str, bool]) -> None:
    """BadInput unless exactly one of `chosen` (option to whether it was given) was given."""
    given = [name for name, here in chosen.items() if here]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        words = ", ".join(chosen)
        raise click.UsageError(f"one of {words} is needed, and {found} was given")
