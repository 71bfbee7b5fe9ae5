# SPDX-License-Identifier: GPL-2.0-or-later
"""One source file as the house rules see it, and what they ask its syntax tree.

Decides how Python is read. Never decides what is allowed: that is rules.py. Opens no file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

LIBRARY = "lib/backstay/"
WORLDLY_CALLS = frozenset(
    {
        "os.abort", "os.chmod", "os.chown", "os.fork", "os.kill", "os.killpg", "os.link", "os.makedirs", "os.mkdir",
        "os.mkfifo", "os.popen", "os.posix_spawn", "os.posix_spawnp", "os.remove", "os.removedirs", "os.rename",
        "os.replace", "os.rmdir", "os.symlink", "os.system", "os.truncate", "os.unlink", "os.utime", "os.write",
        "signal.alarm", "signal.pidfd_send_signal", "signal.pthread_kill", "signal.raise_signal", "signal.setitimer",
        "signal.signal", "time.sleep",
    }
)  # fmt: skip
WRITING_METHODS = frozenset(
    {"write_text", "write_bytes", "unlink", "rmdir", "symlink_to", "hardlink_to", "touch"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where."""

    line: int
    text: str


@dataclass(frozen=True)
class Source:
    """One file: its path from the top of the repository and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; SyntaxError when the text is not Python."""
        return ast.parse(self.text, self.path)

    @property
    def is_python(self) -> bool:
        """A module, or a program whose first line names Python."""
        return self.path.endswith(".py") or "python" in self.text.split("\n", 1)[0][:40]

    @property
    def is_program(self) -> bool:
        """One of the thin executables that are installed."""
        return bool(
            re.match(r"(agents/[^/.]+|fencing/fence_[^/.]+|libexec/(command|drbd-fence))$", self.path)
        )

    @property
    def is_library(self) -> bool:
        """Part of the package that is installed."""
        return self.path.startswith(LIBRARY) and self.path.endswith(".py")

    @property
    def package(self) -> str:
        """The part of backstay that the module belongs to: cloud, host, ... ("" for backstay itself)."""
        rest = self.path.removeprefix(LIBRARY).split("/")
        if len(rest) > 1:
            return rest[0]
        return "" if rest[0] == "__init__.py" else rest[0].removesuffix(".py")

    @property
    def module(self) -> str:
        """The dotted name of the module's package, which relative imports start from."""
        return ".".join(self.path.removeprefix("lib/").split("/")[:-1])


def imports(source: Source, *, types: bool = False) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that the module imports; `from a import b` gives a.b.

    What only the type checker imports is left out, unless `types` is true.
    """
    for node in ast.walk(source.tree) if types else running(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = source.module.split(".")
            start = base[: len(base) - node.level + 1] if node.level else []
            stem = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{stem}.{alias.name}"


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, but not the body of `if TYPE_CHECKING:`, which never runs."""
    yield node
    if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING"):
        children: list[ast.AST] = list(node.orelse)
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from running(child)


def outside_of_main(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node, but not the function `main` of a module that is run by itself."""
    runs = any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in tree.body)
    for statement in tree.body:
        if not (runs and isinstance(statement, ast.FunctionDef) and statement.name == "main"):
            yield from ast.walk(statement)


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    if source.is_python:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def worldly(call: ast.Call) -> str:
    """The name of the effect that a call has, or nothing."""
    name = dotted(call.func)
    if name in WORLDLY_CALLS or name.startswith(("os.exec", "os.spawn")):
        return name
    if name == "open" or name.endswith(".open"):
        how = mode(call, position=1 if name in ("open", "io.open", "os.open") else 0)
        return f"open for writing ({how})" if set(how) & set("wax+") and len(how) <= 3 else ""
    method = name.rpartition(".")[2]
    return f".{method}()" if "." in name and method in WRITING_METHODS else ""


def mode(call: ast.Call, position: int) -> str:
    """The mode that a call of open names; the empty string when it is a variable."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    given += call.args[position : position + 1]
    first = given[0] if given else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def catches_all(node: ast.expr | None) -> bool:
    if node is None:
        return True
    if isinstance(node, ast.Tuple):
        return any(catches_all(element) for element in node.elts)
    return dotted(node).rpartition(".")[2] in ("Exception", "BaseException")


def raises_on(handler: ast.ExceptHandler) -> bool:
    """Whether what is caught, if it is not understood, goes on: the last statement is a bare `raise`."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def mutable_names(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement of a module binds to something that can be changed."""
    if isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets, value = [statement.target], statement.value
    else:
        return
    display = isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
    built = isinstance(value, ast.Call) and dotted(value.func) in (
        "list",
        "dict",
        "set",
        "defaultdict",
        "deque",
    )
    if display or built:
        for target in targets:
            if isinstance(target, ast.Name) and not target.id.isupper() and not target.id.startswith("__"):
                yield target.id


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an expression; the last parts only when it starts with something else than a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""
