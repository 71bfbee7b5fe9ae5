# SPDX-License-Identifier: GPL-2.0-or-later
"""Defects that a program could have, made mechanically: one small change of its syntax tree each.

Decides which changes there are, in an order that depends on the source alone; never runs anything. Left out
are what no interpreter sees (docstrings, annotations) and strings that are sentences for a human.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Return)
BODIES = ("body", "orelse", "finalbody")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One defect: where it is, of what kind, and how the place looked before and looks after."""

    path: str
    function: str
    line: int
    kind: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.function}: {self.kind}: {self.before} -> {self.after}"


Change = tuple[
    ast.AST, str, str, Callable[[], str]
]  # the place, the kind, how it looks, what makes the change


def count(source: str, elsewhere: frozenset[str]) -> int:
    """How many defects one file can have. `elsewhere` are functions that are not looked at."""
    return sum(1 for _ in _changes(ast.parse(source), elsewhere))


def mutant(path: str, source: str, elsewhere: frozenset[str], number: int) -> tuple[Mutant, str]:
    """One of them with the whole changed source."""
    tree = ast.parse(source)
    for found, (function, (node, kind, before, change)) in enumerate(_changes(tree, elsewhere)):
        if found == number:
            after = change()
            made = Mutant(path, function, getattr(node, "lineno", 0), kind, _short(before), _short(after))
            return made, ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    raise AssertionError(number)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 70 else line[:67] + "..."


def _changes(tree: ast.Module, elsewhere: frozenset[str]) -> Iterator[tuple[str, Change]]:
    for block, function in blocks(tree, "", elsewhere):
        for place, statement in enumerate(list(block)):
            for change in _of_statement(block, place, statement):
                yield function, change


def blocks(node: ast.AST, name: str, elsewhere: frozenset[str]) -> Iterator[tuple[list[ast.stmt], str]]:
    """Every list of statements with the name of the function or class that it is in."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        if node.name in elsewhere or (
            isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
        ):
            return
        name = f"{name}.{node.name}".lstrip(".")
    for field in BODIES:
        block = getattr(node, field, None)
        if not isinstance(block, list):
            continue
        if field == "body" and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield block, name or "(module)"
        for statement in block:
            yield from blocks(statement, name, elsewhere)
    for handler in getattr(node, "handlers", ()):
        yield from blocks(handler, name, elsewhere)


def _of_statement(block: list[ast.stmt], place: int, statement: ast.stmt) -> Iterator[Change]:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return  # a docstring, or the dots of a protocol
    if isinstance(statement, ast.Import | ast.ImportFrom):
        if ast.unparse(statement).startswith("from __future__"):
            return
        for alias in statement.names:
            yield statement, "missing import", alias.name, _dropper(block, place, statement, alias)
        return
    if isinstance(statement, SIMPLE):
        yield statement, "deleted", ast.unparse(statement), _deleter(block, place)
    if isinstance(statement, ast.Return) and statement.value is not None:
        yield (
            statement,
            "returns None",
            ast.unparse(statement),
            _setter(statement, "value", ast.Constant(None)),
        )
    if isinstance(statement, ast.If | ast.While):
        test = statement.test
        negated = ast.UnaryOp(ast.Not(), test)
        yield statement, "condition negated", ast.unparse(test), _setter(statement, "test", negated)
    yield from _in_expressions(statement)


def _in_expressions(statement: ast.stmt) -> Iterator[Change]:
    misspelt = False
    for node in _expressions(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and not misspelt:
            misspelt = True  # one for each statement: what it costs when nobody ever ran that line
            yield node, "misspelt", node.id, _setter(node, "id", f"{node.id}_", f"{node.id}_")
        yield from _of_expression(node)


def _of_expression(node: ast.AST) -> Iterator[Change]:
    text = ast.unparse(node) if isinstance(node, ast.expr) else ""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield (
            node,
            "comparison",
            text,
            _operator(node, "ops", [COMPARISONS[type(node.ops[0])](), *node.ops[1:]]),
        )
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, "and, or", text, _operator(node, "op", other)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield node, "arithmetic", text, _operator(node, "op", ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        doubled = ast.UnaryOp(ast.Not(), node.operand)
        yield node, "not dropped", text, _operator(node, "operand", doubled)
    elif isinstance(node, ast.IfExp):
        swapped = ast.UnaryOp(ast.Not(), node.test)
        yield node, "condition negated", text, _operator(node, "test", swapped)
    elif isinstance(node, ast.Constant):
        other = _other(node.value)
        if other is not None:
            yield node, "constant", text, _setter(node, "value", other, repr(other))
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg:
                yield (
                    node,
                    "argument dropped",
                    f"{keyword.arg}= of {ast.unparse(node.func)}",
                    _without(node, keyword),
                )


def _other(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return None if " " in value.strip() and not value.startswith("^") else f"X{value}"
    if isinstance(value, bytes):
        return b"X" + value
    return None


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """What is evaluated in a statement itself, without the statements inside it and without annotations."""
    for field, value in ast.iter_fields(statement):
        if field in (*BODIES, "handlers", "annotation", "returns"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.arguments):
                for default in [*node.defaults, *filter(None, node.kw_defaults)]:
                    yield from ast.walk(default)
            elif isinstance(node, ast.AST):
                yield from ast.walk(node)


def _setter(node: ast.AST, field: str, value: object, shown: str = "") -> Callable[[], str]:
    def change() -> str:
        setattr(node, field, value)
        return shown or (ast.unparse(value) if isinstance(value, ast.AST) else ast.unparse(node))

    return change


def _operator(node: ast.AST, field: str, value: object) -> Callable[[], str]:
    def change() -> str:
        setattr(node, field, value)
        return ast.unparse(ast.fix_missing_locations(node))

    return change


def _deleter(block: list[ast.stmt], place: int) -> Callable[[], str]:
    def change() -> str:
        block[place] = ast.copy_location(ast.Pass(), block[place])
        return "pass"

    return change


def _dropper(
    block: list[ast.stmt], place: int, statement: ast.Import | ast.ImportFrom, alias: ast.alias
) -> Callable[[], str]:
    def change() -> str:
        statement.names.remove(alias)
        if not statement.names:
            block[place] = ast.copy_location(ast.Pass(), statement)
        return "nothing"

    return change


def _without(node: ast.Call, keyword: ast.keyword) -> Callable[[], str]:
    def change() -> str:
        node.keywords.remove(keyword)
        return "nothing"

    return change
