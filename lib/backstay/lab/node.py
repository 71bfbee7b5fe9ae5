# SPDX-License-Identifier: GPL-2.0-or-later
"""One node of the lab, seen from the machine: run something in it, read and write its files.

Decides nothing about the cluster. Runs nothing on the machine itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from backstay.errors import CannotAsk
from backstay.host.process import Completed
from backstay.lab import kinds
from backstay.lab.kinds import Body
from backstay.lab.layout import Layout, NodeLayout

PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
ENVIRONMENT = {"HOME": "/root", "TERM": "dumb", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Node:
    """A node by its name."""

    layout: Layout
    name: str

    @property
    def places(self) -> NodeLayout:
        """Its paths, names and addresses."""
        return self.layout.node(self.name)

    @property
    def root(self) -> Path:
        """Its root as the machine sees it, on or off; /run and /tmp inside are other file systems."""
        return self.places.root

    @property
    def _body(self) -> Body:
        return kinds.body(self.layout, self.name)

    def leader(self) -> int | None:
        """The pid of a container's PID 1 on the machine; None while it is off, and for a VM node always."""
        return self._body.leader()

    def is_ready(self) -> bool:
        """Whether a command can be run in it now: it has power, and is far enough with its boot."""
        return self._body.is_ready()

    def run(self, command: str | Sequence[str], timeout: float = 30.0, stdin: str = "") -> Completed:
        """Run a command (a string: a shell's) in the node to its end; `timeout` in seconds.

        Raises CannotAsk while it is off or does not answer, ProcessTimedOut.
        """
        return self._body.run(_words(command), timeout, ENVIRONMENT, stdin)

    def become(self, command: str | Sequence[str]) -> NoReturn:
        """Let this process be a command in the node: terminal, signals and exit code are that one's own."""
        self._body.become(_words(command), ENVIRONMENT | _terminal())

    def check(self, command: str | Sequence[str], timeout: float = 30.0, stdin: str = "") -> str:
        """Run a command that has to succeed and return its output; CannotAsk with its last words otherwise."""
        completed = self.run(command, timeout, stdin)
        if not completed.ok:
            words = command if isinstance(command, str) else " ".join(command)
            raise CannotAsk(f"{self.name}: {words} failed ({completed.returncode}): {completed.complaint()}")
        return completed.stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the node, on or off. A path below /run or /tmp exists only while the node is on."""
        target = self._body.path(path)
        if target is None:
            script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
            self.check(["sh", "-c", script, "sh", path, f"{mode:o}"], stdin=text)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def read(self, path: str) -> str:
        """Read a file of the node, on or off."""
        target = self._body.path(path)
        return self.check(["cat", path]) if target is None else target.read_text()

    def pull_cable(self) -> None:
        """Cut the living node off the network: its card loses the carrier."""
        self._body.detach()

    def plug_cable(self) -> None:
        """Connect it again."""
        self._body.attach()


def _words(command: str | Sequence[str]) -> list[str]:
    return ["/bin/bash", "-c", command] if isinstance(command, str) else list(command)


def _terminal() -> dict[str, str]:
    return {"TERM": os.environ.get("TERM", "dumb")}


def become(argv: Sequence[str]) -> NoReturn:
    """Replace this process by another program, so that terminal, signals and exit code are that one's own."""
    os.execvpe(argv[0], list(argv), ENVIRONMENT | PATH | _terminal())
