# SPDX-License-Identifier: GPL-2.0-or-later
"""What a fault is: a name, a sentence, and the two functions that break and mend one node.

Decides how a command that must work inside a node is run. Knows no fault by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backstay.errors import CannotAsk
from backstay.lab.node import Node

QUICK = 30.0
"""Seconds for one command inside a node: none of them takes longer than a few on two busy cores."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break a node. `inject` and `heal` may both be repeated; `heal` works on a node that rebooted."""

    name: str
    what: str
    inject: Callable[[Node], None]
    heal: Callable[[Node], None]


def shell(node: Node, command: str, timeout: float = QUICK) -> str:
    """Run a shell command in `node` and give its output; CannotAsk with the command's own words when it fails."""
    done = node.run(command, timeout=timeout)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CannotAsk(f"{node.name}: «{command.splitlines()[0]}» ended with {done.returncode}: {said[-1:] or '-'}")
    return done.stdout
