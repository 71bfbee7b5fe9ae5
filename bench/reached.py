# SPDX-License-Identifier: GPL-2.0-or-later
"""Which statements of an agent a rehearsal runs at all: a defect in any other survives it, and need not be tried.

Decides nothing about what a defect does. The agent's executable gets a few lines that note each line that is run, and
leave them in a file when it ends.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

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
        self._lines = {(path, int(line)) for path, _, line in (note.rpartition(":") for note in notes)}

    def has(self, path: str, source: str, line: int) -> bool:
        """Whether the statement of that line was run, any of its own lines; its inner ones are other statements."""
        return any((path, each) in self._lines for each in own_lines(source, line))


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
