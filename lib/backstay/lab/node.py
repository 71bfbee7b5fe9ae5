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
from backstay.host.process import Completed, run
from backstay.lab import power
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

    def leader(self) -> int | None:
        """The pid of its PID 1 on the machine; None while it is off."""
        return power.leader(self.layout, self.name)

    def argv(self, command: str | Sequence[str]) -> list[str]:
        """The argument list that runs a command (a string: a shell's) in the node; CannotAsk while it is off."""
        leader = self.leader()
        if leader is None:
            raise CannotAsk(
                f"{self.name} is off", hint=f"switch it on through its BMC ({self.places.bmc_address})"
            )
        words = ["/bin/bash", "-c", command] if isinstance(command, str) else list(command)
        return ["nsenter", f"--target={leader}", "--all", "--", *words]

    def run(self, command: str | Sequence[str], timeout: float = 30.0, stdin: str = "") -> Completed:
        """Run a command in the node to its end; `timeout` in seconds. Raises CannotAsk, ProcessTimedOut."""
        return run(self.argv(command), timeout=timeout, environment=ENVIRONMENT, stdin=stdin)

    def check(self, command: str | Sequence[str], timeout: float = 30.0, stdin: str = "") -> str:
        """Run a command that has to succeed and return its output; CannotAsk with its last words otherwise."""
        completed = self.run(command, timeout, stdin)
        if not completed.ok:
            words = command if isinstance(command, str) else " ".join(command)
            raise CannotAsk(f"{self.name}: {words} failed ({completed.returncode}): {completed.complaint()}")
        return completed.stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the node, on or off. A path below /run or /tmp exists only while the node is on."""
        target = self._outside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def read(self, path: str) -> str:
        """Read a file of the node, on or off."""
        return self._outside(path).read_text()

    def _outside(self, path: str) -> Path:
        """Through the leader's own root while it is on: the only view that has its temporary file systems."""
        leader = self.leader()
        base = Path(f"/proc/{leader}/root") if leader else self.root
        return base / path.lstrip("/")


def become(argv: Sequence[str]) -> NoReturn:
    """Replace this process by another program, so that terminal, signals and exit code are that one's own."""
    terminal = {"TERM": os.environ.get("TERM", "dumb")}
    os.execvpe(argv[0], list(argv), ENVIRONMENT | PATH | terminal)
