# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay host` was asked for, and how it says what it is about to do and what came of it.

Decides words and the shape of `--output json`; nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import click

from backstay.cli import options
from backstay.members.candidate import ERROR, Finding
from backstay.members.course import Table
from backstay.members.steps import Step

GO_ON = "run the same command again: it goes on where it stopped"
ENDS = {"add": "is a host of this cluster", "remove": "is no host of this cluster", "replace": "is in place"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What all three verbs are told: HOST, the description at `path`, how long waits may take (s), and the flags.

    `insisted` are the flags by which an admin insists.
    """

    name: str
    path: str
    output: str
    seconds: float
    yes: bool
    only_plan: bool
    settings: bool
    insisted: tuple[str, ...] = ()


class Wish:
    """A verb, what it was told, and the table of its steps; `begun` are the steps that were begun so far."""

    def __init__(self, verb: str, asked: Asked, table: Table) -> None:
        self.verb, self.asked, self.table = verb, asked, table
        self.name, self.output = asked.name, asked.output
        self.moves: tuple[tuple[str, str], ...] = ()
        self.examined = False
        self.begun: list[Step] = []


def show(
    wish: Wish, here: str, steps: Sequence[Step], findings: Sequence[Finding], against: Sequence[str]
) -> None:
    """Say on stderr what would be done, and all that speaks against it."""
    lines = [f"host {wish.verb} {wish.name}, from {here}"]
    lines += [f"  {step.text(host=wish.name, here=here)}" for step in steps] or ["  nothing is to be done"]
    lines += [f"  - {guest} moves live to {target}" for guest, target in wish.moves]
    lines += [
        f"  {'!' if each.severity == ERROR else '-'} {each.text}{f'; {each.todo}' if each.todo else ''}"
        for each in findings
    ]
    lines += [f"  ! {text}" for text in against]
    click.echo("\n".join(lines), err=True)


def answer(
    wish: Wish,
    here: str,
    steps: Sequence[Step],
    findings: Sequence[Finding],
    against: Sequence[str],
    *,
    changed: bool,
    done: bool,
) -> None:
    """Say on stdout what came of it."""
    data = {
        "host": wish.name,
        "verb": wish.verb,
        "changed": changed,
        "done": done,
        "steps": [
            {
                "step": step.verb.name.lower(),
                "where": step.where,
                "text": step.text(host=wish.name, here=here),
            }
            for step in steps
        ],
        "moves": [{"guest": guest, "to": target} for guest, target in wish.moves],
        "findings": [asdict(each) for each in findings],
        "refusals": list(against),
    }
    text = f"{wish.name} {ENDS[wish.verb]}{'' if changed else '; nothing had to be done'}."
    options.show(wish.output, text if done else "Nothing was changed.", data)
