# SPDX-License-Identifier: GPL-2.0-or-later
"""Which statements of an agent a rehearsal runs at all: a defect in any other survives it, and need not be tried.

Decides nothing about what a defect does. The agent's executable gets a few lines that note each line that is run, and
leave them in a file when it ends.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.mutants import blocks

TRACER = """
import atexit, os, sys
TREE, NOTES, RAN = {tree!r}, {notes!r}, set()
def note(frame, event, _):
    file = frame.f_code.co_filename
    if not file.startswith(TREE):
        return None
    RAN.add(f"{{os.path.relpath(file, TREE)}}:{{frame.f_lineno}}")
    return note
def leave():
    sys.settrace(None)
    with open(NOTES, "a") as notes:
        notes.write("".join(f"{{line}}\\n" for line in RAN))
atexit.register(leave)
sys.settrace(note)
"""


def traced(door: str, tree: Path, notes: Path) -> str:
    """The executable with the tracer in front of its first import of the library."""
    head, first, rest = door.partition("from backstay.")
    return f"{head}{TRACER.format(tree=f'{tree}/', notes=str(notes))}{first}{rest}"


class Reached:
    """What was run, by file and line."""

    def __init__(self, notes: Iterable[str]) -> None:
        self.lines = {(path, int(line)) for path, _, line in (note.rpartition(":") for note in notes)}

    @classmethod
    def all(cls, several: Iterable[Reached]) -> Reached:
        """What any of them ran."""
        return cls(f"{path}:{line}" for each in several for path, line in each.lines)

    def has(self, path: str, source: str, line: int) -> bool:
        """Whether the statement of that line was run, any of its own lines; its inner ones are other statements."""
        return any((path, each) in self.lines for each in own_lines(source, line))


def coverage(sources: Mapping[str, str], elsewhere: frozenset[str], ran: Reached) -> list[str]:
    """A table in Markdown: the statements of each file, how many a rehearsal ran, and which not."""
    lines = ["| module | statements | run | not run: function (lines) |", "|---|---|---|---|"]
    total = [0, 0]
    for path, source in sources.items():
        there = [
            (statement.lineno, function)
            for block, function in blocks(ast.parse(source), "", elsewhere)
            for statement in block
            if not _without_effect(statement)
        ]
        missed: dict[str, list[int]] = {}
        for line, function in there:
            if not ran.has(path, source, line):
                missed.setdefault(function, []).append(line)
        done = len(there) - sum(map(len, missed.values()))
        total = [total[0] + len(there), total[1] + done]
        words = "; ".join(f"{name} ({', '.join(map(str, at))})" for name, at in missed.items())
        lines.append(
            f"| {path.removeprefix('lib/backstay/')} | {len(there)} | {done} | {words or 'nothing'} |"
        )
    percent = 100 * total[1] / max(1, total[0])
    return [*lines, f"| all | {total[0]} | {total[1]} ({percent:.1f} %) | |"]


def _without_effect(statement: ast.stmt) -> bool:
    """A docstring, the dots of a protocol, or what only type checkers look at."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return True
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return True
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"


@functools.cache
def own_lines(source: str, line: int) -> range:
    """The lines of the innermost statement that has this line, as far as its own body."""
    best = range(line, line + 1)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            body = getattr(node, "body", None)
            end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            best = range(first, max(end, first + 1))
    return best
