# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of the command: backstay(8), and one for each verb, from what `--help` is made of.

Decides which parts of a verb's help stand where in its page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from backstay.cli import cli
from backstay.cli.roff import Block, Code, Page, Term, Text

SECTION = 8
FILES = (
    (
        "/etc/backstay/crm-templates",
        "An admin's own templates; one of the same name wins over the shipped one.",
    ),
    ("/usr/share/backstay/crm-templates", "The shipped templates."),
    ("/run/backstay/inhibit", "While it exists, nothing is done to a libvirtd in trouble."),
    (
        "/var/lib/backstay",
        "What a host remembers: whose BMC is whose, configurations of before, copies of definitions.",
    ),
)
MAIN = ("`backstay-cloud`(5), `backstay-alert`(8), `pacemaker`(7), `corosync.conf`(5)",)
EXIT_CODES = (
    ("0", "Good."),
    ("1", "The answer is no, or there are findings."),
    ("2", "Wrong usage or input; nothing was changed."),
    ("3", "The cluster, the host or a tool could not be asked."),
    ("4", "Refused because it would hurt; the message says how to insist."),
)


def pages() -> Iterator[Page]:
    """backstay(8), then every verb and every verb below one."""
    yield from _pages(cli, click.Context(cli, info_name="backstay"))


def _pages(command: click.Command, context: click.Context) -> Iterator[Page]:
    below = list(_below(command, context))
    yield _page(command, context, [(each.command, each) for each in below])
    for each in below:
        yield from _pages(each.command, each)


def _below(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield click.Context(found, info_name=name, parent=context)


def name_of(context: click.Context) -> str:
    """What the page of a verb is called: `backstay-fence-check`."""
    return context.command_path.replace(" ", "-")


def _page(
    command: click.Command, context: click.Context, below: list[tuple[click.Command, click.Context]]
) -> Page:
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    # The exit codes have a part of their own.
    text = re.sub(r"\n\nExit codes: .*", "", inspect.cleandoc(command.help or ""), flags=re.DOTALL)
    summary, _, _ = text.partition("\n\n")
    verbs = [
        Term(each.info_name or "", f"{_first(sub)} See `{name_of(each)}`({SECTION}).") for sub, each in below
    ]
    parent = context.parent
    also = f"`{name_of(parent)}`({SECTION})" if parent else MAIN[0]
    parts: tuple[tuple[str, tuple[Block, ...]], ...] = (
        ("SYNOPSIS", (Code(usage),)),
        ("DESCRIPTION", tuple(_help(text))),
        ("VERBS", tuple(verbs)),
        ("OPTIONS", tuple(_options(command, context))),
        ("EXIT STATUS", tuple(Term(code, said) for code, said in EXIT_CODES)),
        ("FILES", tuple(Term(file, said) for file, said in FILES) if parent is None else ()),
        ("SEE ALSO", (Text(also),)),
    )
    return Page(name_of(context), SECTION, _lower(summary), parts)


def _help(text: str) -> Iterator[Block]:
    """A help text: click leaves a paragraph that begins with a backspace as it is."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            yield Code(paragraph.lstrip("\b\n"))
        else:
            yield Text(paragraph)


def _options(command: click.Command, context: click.Context) -> Iterator[Block]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)  # nothing for arguments and what is hidden
        if record:
            yield Term(*record)


def _first(command: click.Command) -> str:
    summary, _, _ = inspect.cleandoc(command.help or "").partition("\n\n")
    return " ".join(summary.split()).rstrip(".") + "."


def _lower(summary: str) -> str:
    """A summary as it stands behind a name: no capital, no stop."""
    flat = " ".join(summary.split()).rstrip(".")
    return flat[:1].lower() + flat[1:] if not flat[1:2].isupper() else flat
