# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates filled in with symbols instead of values: what a wizard fills in later.

Decides how `{% if value %}` and `{% for value in values %}` of a template become parts of the result that are there
only when the value is given. A symbol is written as crmsh's cluster scripts write a value, `{{name}}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from backstay.cib.header import Header, Value
from backstay.cloud.units import cib_duration, mebibytes

WHEN = "backstay-when"
"""The element around what is only there when the value named by its attribute `value` is given."""

SLOTS = 3
"""How many items of a list a wizard offers, when the template sets no bound."""


class Symbol(str):
    """A value that is not known yet, as the text `{{name}}`; `name` is what the template's header calls it."""

    __slots__ = ("name",)

    def __new__(cls, name: str) -> Symbol:
        made = super().__new__(cls, "{{" + name + "}}")
        made.name = name
        return made

    name: str


def _later(function: object) -> object:
    """A filter that leaves symbols as they are: whoever gives the value writes it as Pacemaker wants it."""

    def use(value: object) -> object:
        return value if isinstance(value, Symbol) else function(value)  # type: ignore[operator]

    return use


def _place(node: nodes.Node) -> str:
    """`domain.uuid` for the expression that reads it, or empty for any other expression."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        before = _place(node.node)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _list(node: nodes.Node) -> str:
    """The place of the list that is gone through, the whole of it or a part."""
    part = isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)
    return _place(node.node if part else node)  # type: ignore[attr-defined]  # a Getitem has one


def _markup(text: str) -> nodes.Output:
    return nodes.Output([nodes.TemplateData(text)])


class _Wrapped(NodeTransformer):
    """Puts WHEN around what depends on one of `optional` (place to name), and around each item of a list."""

    def __init__(self, optional: Mapping[str, str], lists: frozenset[str]) -> None:
        self.optional = optional
        self.lists = lists

    def visit_If(self, node: nodes.If) -> object:
        self.generic_visit(node)
        name = self.optional.get(_place(node.test))
        if name is None or node.elif_:
            return node
        parts = [_markup(f'<{WHEN} value="{name}">'), *node.body, _markup(f"</{WHEN}>")]
        if node.else_:
            parts += [_markup(f'<{WHEN} not="{name}">'), *node.else_, _markup(f"</{WHEN}>")]
        return parts

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        if _list(node.iter) in self.lists and isinstance(node.target, nodes.Name):
            item = nodes.Name(node.target.name, "load")
            begin = nodes.Output([nodes.TemplateData(f'<{WHEN} value="'), item, nodes.TemplateData('">')])
            node.body = [begin, *node.body, _markup(f"</{WHEN}>")]
        return node


def environment(header: Header, switches: frozenset[str]) -> type[ImmutableSandboxedEnvironment]:
    """The kind of Jinja environment in which the template of `header` is filled in with symbols.

    `switches` are the names of values that are known after all. What the template makes of them is XML with WHEN
    elements, which stand around what depends on one optional value or on one item of a list. Values whose header says
    `scripts: no` are none of the wizard's.
    """
    unknown = [value for value in header.takes if value.name not in switches and value.scripts != "no"]
    optional = {value.at: value.name for value in unknown if not value.required and not value.many}
    lists = frozenset(value.at for value in unknown if value.many)

    class Symbolic(ImmutableSandboxedEnvironment):
        def __init__(self, **options: object) -> None:
            super().__init__(**options)
            self.filters["duration"] = _later(cib_duration)
            self.filters["mebibytes"] = _later(mebibytes)

        def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
            made = super()._parse(source, name, filename)
            _Wrapped(optional, lists).visit(made)
            return made

    return Symbolic


def slots(value: Value) -> tuple[Symbol, ...]:
    """The symbols for the items of a list: `needs`, `needs_2` and `needs_3`.

    How many: what the header's `scripts` says (a number, or `least`), else the most that the value takes where that is
    at most 2 * SLOTS, else SLOTS or the least if that is more.
    """
    count = value.most if value.most <= 2 * SLOTS else max(SLOTS, value.least)
    if value.scripts == "least":
        count = value.least
    elif value.scripts.isdecimal():
        count = int(value.scripts)
    return tuple(Symbol(value.name if n == 1 else f"{value.name}_{n}") for n in range(1, count + 1))


def tests(tree: nodes.Template) -> Iterator[nodes.Node]:
    """The conditions in a template: those of its `if` blocks, then those of its `a if b else c`."""
    yield from (node.test for node in tree.find_all(nodes.If))
    yield from (node.test for node in tree.find_all(nodes.CondExpr))


def compared(tree: nodes.Template) -> frozenset[str]:
    """The places (`domain.uuid`) of the values on which conditions of a template depend, at any depth."""
    return frozenset(
        place
        for test in tests(tree)
        for node in (test, *test.find_all((nodes.Name, nodes.Getattr)))
        if (place := _place(node))
    )
