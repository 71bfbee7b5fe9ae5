# SPDX-License-Identifier: GPL-2.0-or-later
"""Defects that nobody can notice, known by their form alone: they are equivalent, and need not be rehearsed.

Decides that for four forms and no more: a name that only annotations read (annotations are never evaluated, every
module here begins with `from __future__ import annotations`), a value that only such a name had, `slots` of a
dataclass, which saves memory, and `frozen`: mypy, which is a test, refuses whoever changes a frozen one. What is not
certain is not called equivalent.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping

from bench.mutants import Mutant


def equivalent(mutant: Mutant, sources: Mapping[str, str]) -> bool:
    """Whether it has one of the forms. `sources` are the texts of all modules that could read its names."""
    if mutant.kind == "argument dropped" and mutant.before.endswith(" of dataclass"):
        return mutant.before in ("slots= of dataclass", "frozen= of dataclass")
    if mutant.kind == "constant" and _line(sources[mutant.path], mutant.line).startswith("@dataclass("):
        return mutant.before == "True"
    if mutant.kind == "missing import":
        name = mutant.before.partition(".")[0]
    elif (
        mutant.kind in ("deleted", "misspelt", "argument dropped", "constant")
        and mutant.function == "(module)"
    ):
        name = _assigned(sources[mutant.path], mutant.line)
    else:
        return False
    return (
        bool(name)
        and not _read(ast.parse(sources[mutant.path]), name)
        and not _taken(mutant.path, name, sources)
    )


def _line(source: str, number: int) -> str:
    """The line of that number, without its indentation."""
    return source.splitlines()[number - 1].strip()


def _assigned(source: str, line: int) -> str:
    """The one name that the statement of that line gives a value to, or nothing."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and node.lineno <= line <= (node.end_lineno or node.lineno):
            (target,) = node.targets
            return target.id if isinstance(target, ast.Name) else ""
    return ""


def _read(tree: ast.Module, name: str) -> bool:
    """Whether something that is evaluated reads the name."""
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        for node in _run(tree)
    )


def _run(node: ast.AST) -> Iterable[ast.AST]:
    """The nodes of a tree without annotations."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield from _run(each)


@functools.cache
def _nodes(source: str) -> tuple[ast.ImportFrom, ...]:
    return tuple(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom))


def _taken(path: str, name: str, sources: Mapping[str, str]) -> bool:
    """Whether another module imports the name from there, or the module whole."""
    module = path.removeprefix("lib/").removesuffix(".py").replace("/", ".")
    package, _, last = module.rpartition(".")
    for other, source in sources.items():
        if other == path or last not in source:
            continue
        for node in _nodes(source):
            names = {alias.name for alias in node.names}
            if (node.module == module and name in names) or (
                node.module == package and last in names and f"{last}.{name}" in source
            ):
                return True
    return False
