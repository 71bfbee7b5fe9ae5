# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies of a fence agent that are broken and mended again, each with BMCs of its own to be rehearsed with.

Decides which steps are played with which of the two devices. What a step must come to is the rehearsal's.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from backstay.cli.proving import simulator
from backstay.fencing.ours import IPMI_AGENT, OURS
from backstay.fencing.rehearsal import Step, rehearse
from backstay.host.fence_agents import FenceAgents, Said
from bench.forks import Forks, loaded
from bench.reached import Reached, traced
from bench.subjects import Subject

TOP = Path(__file__).resolve().parents[1]
PATIENCE = 40.0  # seconds: the agent ends within 30 s or so by itself, the rehearsal would wait for 60
Move = tuple[int, Step]  # one step with the device of that number
# What a BMC does to one device that is configured in another way. All other faults do not depend on what is configured.
TWICE = frozenset(
    {"", "fail-set", "fail-on", "quick-cycle", "full", "forget", "hang-up", "impostor", "password"}
)
# It reads a long list of makers before each call, which nobody here needs: half of what a rehearsal costs.
IPMITOOL = '#!/bin/sh\nHOME="${0%/*}" exec /usr/bin/ipmitool "$@"\n'
MAKERS = ".local/usr/share/misc/enterprise-numbers.txt"


class Tree(FenceAgents):
    """A copy of the agent that is broken and mended again, and the BMCs that it is rehearsed with."""

    def __init__(self, directory: Path, subject: Subject, running: contextlib.ExitStack) -> None:
        super().__init__(directory / "fencing")
        self.directory = directory
        self.subject = subject
        self.itself = False  # the executable runs with an interpreter of its own
        self.forks = Forks(loaded(subject.names, subject.modules), running)
        self.door = (TOP / subject.door).read_text()
        nothing = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TOP / "lib" / "backstay", directory / "lib" / "backstay", ignore=nothing)
        (directory / "fencing").mkdir()
        self.write(subject.door, self.door)
        tool = directory / "ipmitool"
        tool.write_text(IPMITOOL)
        tool.chmod(0o755)
        (directory / MAKERS).parent.mkdir(parents=True)
        (directory / MAKERS).write_text("0\n  Reserved\n")
        quick = {"ipmitool_path": str(tool)} if subject.agent == IPMI_AGENT else {}
        self.devices = [
            (configured | quick, running.enter_context(simulator(subject.agent, configured)))
            for configured in (subject.configured, subject.otherwise)
        ]

    def rehearsed(self, more: Mapping[str, str], moves: Sequence[Move] | None = None) -> str:
        """What the rehearsal says of the agent as it is now, of those steps or of all."""
        for move in self.moves(more) if moves is None else moves:
            said = self.played(move, more)
            if said:
                return said
        return ""

    def moves(self, more: Mapping[str, str]) -> list[Move]:
        """Every step of the rehearsal with the first device, and of the other one those where it could matter."""
        script = OURS[self.subject.agent].script
        return [
            (number, step)
            for number, (configured, _) in enumerate(self.devices)
            for step in script.steps({**configured, **more})
            if number == 0 or step.fault in TWICE
        ]

    def played(self, move: Move, more: Mapping[str, str]) -> str:
        """What the rehearsal says after that step alone."""
        number, step = move
        configured, bmc = self.devices[number]
        script = replace(OURS[self.subject.agent].script, steps=lambda _: (step,))
        return rehearse(self.subject.agent, {**configured, **more}, self, bmc, script)

    def write(self, path: str, text: str) -> None:
        """Put a file into the tree, where the executable finds its own modules."""
        place = self.directory / path
        # Compiled code is trusted by second and size, and two defects may have both in common.
        for stale in place.parent.glob(f"__pycache__/{place.stem}.*"):
            stale.unlink()
        if path == self.subject.door and not text.startswith("#!"):
            text = f"{self.door.splitlines()[0]}\n{text}"
        place.write_text(text)
        place.chmod(0o755)

    def run(self, agent: str, action: str, parameters: Mapping[str, str], timeout: float) -> Said:
        """As Pacemaker does, with less patience."""
        if self.itself:
            return super().run(agent, action, parameters, min(timeout, PATIENCE))
        text = "".join(f"{name}={value}\n" for name, value in parameters.items()) + f"action={action}\n"
        place = {name: self.directory / name for name in ("stdin", "stdout", "stderr")}
        for name, file in place.items():
            file.write_text(text if name == "stdin" else "")
        begin = time.monotonic()
        code = self.forks.run(
            str(self.directory / self.subject.door),
            {name: str(file) for name, file in place.items()},
            PATIENCE,
        )
        out, err = (place[name].read_text(errors="replace") for name in ("stdout", "stderr"))
        if code is None:
            err += f"\nno end within {PATIENCE:.0f} s"
        return Said(code, out, err, time.monotonic() - begin)


class Trees:
    """One tree for each thread, all gone at the end."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._running = contextlib.ExitStack()
        name = self._running.enter_context(tempfile.TemporaryDirectory(prefix="backstay-mutants-"))
        self._directory = Path(name)
        self._mine = threading.local()
        self.all: list[Tree] = []

    def __enter__(self) -> Trees:
        return self

    def __exit__(self, *_error: object) -> None:
        self._running.close()

    def get(self) -> Tree:
        if not hasattr(self._mine, "tree"):
            directory = Path(tempfile.mkdtemp(dir=self._directory))
            self._mine.tree = Tree(directory, self.subject, self._running)
            self.all.append(self._mine.tree)
        return self._mine.tree

    def reached(self) -> list[tuple[Move, Reached]]:
        """Which statements each step runs, with the agent as it is, the quickest first; ends the process when one does
        not pass.
        """
        tree, notes = self.get(), self._directory / "ran"
        found = []
        tree.write(self.subject.door, traced(tree.door, tree.directory, notes))
        try:
            for move in tree.moves({}):
                notes.write_text("")
                begin = time.monotonic()
                require_good(tree.played(move, {}))
                found.append((time.monotonic() - begin, move, Reached(notes.read_text().splitlines())))
        finally:
            tree.write(self.subject.door, tree.door)
        return [(move, ran) for _, move, ran in sorted(found, key=lambda each: each[0])]


def require_good(said: str) -> None:
    if said:
        sys.exit(f"the agent does not pass its rehearsal as it is: {said}")
