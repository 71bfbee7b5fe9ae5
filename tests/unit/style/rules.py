# SPDX-License-Identifier: GPL-2.0-or-later
"""The house rules as pure functions: each takes one source text and returns what is wrong in it, with the line.

Decides what a finding is. Never opens a file, so that every rule is shown to fail on a planted source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
LONGEST_PROGRAM = 15
LIBRARY = "lib/backstay/"

# Who may import whom. `errors` belongs to everybody. What stands under TYPE_CHECKING or describes a protocol is free.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "": frozenset(),
    "errors": frozenset(),
    "cloud": frozenset(),
    "host": frozenset({"host"}),
    "ocf": frozenset({"cloud", "host"}),
    "cib": frozenset({"cloud"}),
    "plan": frozenset({"cloud", "cib"}),
    "fencing": frozenset({"cloud", "host", "ocf"}),
    "agents": frozenset({"cloud", "cib", "plan", "fencing", "ocf", "host"}),
    "lab": frozenset({"cloud", "cib", "plan", "fencing", "ocf", "host", "agents"}),
    "cli": frozenset({"cloud", "cib", "plan", "fencing", "ocf", "host", "agents", "lab"}),
}
# host/clock.py is time itself (deadlines, waits): a value, not an effect on a host.
FREE = frozenset({"backstay.errors", "backstay.host.clock", "backstay.__version__"})

MAY_TOUCH_THE_WORLD = ("host", "lab")
WORLDLY_MODULES = frozenset(
    {
        "asyncio", "ctypes", "fcntl", "libvirt", "libvirt_qemu", "multiprocessing", "psutil", "pty", "select",
        "selectors", "shutil", "signal", "socket", "socketserver", "subprocess", "tempfile", "threading", "urllib",
        "http",
    }
)  # fmt: skip
WORLDLY_CALLS = frozenset(
    {
        "os.abort", "os.chmod", "os.chown", "os.fork", "os.kill", "os.killpg", "os.link", "os.makedirs", "os.mkdir",
        "os.mkfifo", "os.popen", "os.posix_spawn", "os.posix_spawnp", "os.remove", "os.removedirs", "os.rename",
        "os.replace", "os.rmdir", "os.symlink", "os.system", "os.truncate", "os.unlink", "os.utime", "os.write",
        "time.sleep",
    }
)  # fmt: skip
WRITING_METHODS = frozenset(
    {"write_text", "write_bytes", "unlink", "rmdir", "symlink_to", "hardlink_to", "touch"}
)
# The guards of OCF and fencing processes end a hanging process and print; that is their office.
GUARDS = frozenset(
    {
        f"{LIBRARY}ocf/runtime.py",
        f"{LIBRARY}ocf/log.py",
        f"{LIBRARY}fencing/protocol.py",
        f"{LIBRARY}cli/__init__.py",
    }
)
# A process each: the agent, the fence agent, the command, and the child in which libvirt is asked. The lab starts more
# of them (a BMC, a witness), and each of those has its guard in its own main module.
MAY_CATCH_ALL = (GUARDS - {f"{LIBRARY}ocf/log.py"}) | {f"{LIBRARY}host/child.py"}
GUARD_FILES = re.compile(rf"{LIBRARY}(lab|cli)/(.+/)?__main__\.py$")

VAGUE_NAMES = frozenset({"common", "helper", "helpers", "lib", "misc", "stuff", "tools", "util", "utils"})
SPDX = "SPDX-License-Identifier: GPL-2.0-or-later"


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
        return bool(re.match(r"(agents/[^/.]+|fencing/fence_[^/.]+)$", self.path))

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


Rule = Callable[[Source], Iterator[Finding]]


def imports_go_one_way(source: Source) -> Iterator[Finding]:
    """Imports follow the table above: cli, agents -> plan, cib, fencing, ocf -> cloud."""
    if not source.is_library:
        return
    allowed = MAY_IMPORT.get(source.package)
    if allowed is None:
        yield Finding(1, f"{source.package} has no place in the import rule (MAY_IMPORT of the house rules)")
        return
    for line, name in _imports(source):
        parts = name.split(".")
        if parts[0] != "backstay" or any(name == free or name.startswith(f"{free}.") for free in FREE):
            continue
        target = parts[1] if len(parts) > 1 else ""
        if target and target != source.package and target not in allowed:
            yield Finding(line, f"{source.package or 'backstay'} must not import {name}")


def only_host_and_lab_touch_the_world(source: Source) -> Iterator[Finding]:
    """Processes, sockets, signals, libvirt, sleeping and writing files belong to host/ and lab/."""
    if not source.is_library or source.package in MAY_TOUCH_THE_WORLD or source.path in GUARDS:
        return
    for line, name in _imports(source):
        if name.split(".")[0] in WORLDLY_MODULES:
            yield Finding(line, f"imports {name}: only host/ and lab/ touch the world")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            what = _worldly(node)
            if what:
                yield Finding(node.lineno, f"calls {what}: only host/ and lab/ touch the world")


def modules_are_short(source: Source) -> Iterator[Finding]:
    """A module has at most 400 lines."""
    lines = source.text.count("\n")
    if source.is_python and lines > LONGEST_MODULE:
        yield Finding(1, f"{lines} lines; a module has {LONGEST_MODULE} at most")


def functions_are_short(source: Source) -> Iterator[Finding]:
    """A function has at most 60 lines, decorators and docstring included."""
    for node in _functions(source):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > LONGEST_FUNCTION:
            yield Finding(
                node.lineno, f"{node.name} has {lines} lines; a function has {LONGEST_FUNCTION} at most"
            )


def everything_is_typed(source: Source) -> Iterator[Finding]:
    """Every parameter and every result of the library has a type."""
    if not source.is_library:
        return
    for node in _functions(source):
        a = node.args
        plain = [*a.posonlyargs, *a.args, *a.kwonlyargs, *(x for x in (a.vararg, a.kwarg) if x)]
        bare = [x.arg for x in plain if x.annotation is None and x.arg not in ("self", "cls")]
        if bare:
            yield Finding(node.lineno, f"{node.name} does not say the type of {', '.join(bare)}")
        if node.returns is None:
            yield Finding(node.lineno, f"{node.name} does not say what it returns")


def public_things_have_docstrings(source: Source) -> Iterator[Finding]:
    """Every module of the library, and every public class and top-level function in it, says what it is."""
    if not source.is_python or (source.path.startswith("tests/") and not source.path.endswith(".py")):
        return
    if not source.is_program and not ast.get_docstring(source.tree):
        yield Finding(1, "has no module docstring (what it decides, what it never does)")
    if not source.is_library:
        return
    for node in source.tree.body:
        speaks = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if speaks and not node.name.startswith("_") and not ast.get_docstring(node):
            yield Finding(node.lineno, f"{node.name} has no docstring")


def only_guards_catch_everything(source: Source) -> Iterator[Finding]:
    """`except Exception` and wider belong to the one guard of a process, unless they end with `raise`."""
    if not source.is_library or source.path in MAY_CATCH_ALL or GUARD_FILES.match(source.path):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and _catches_all(node.type) and not _raises_on(node):
            yield Finding(node.lineno, "catches everything; only the entry guard of a process may")
        suppresses = isinstance(node, ast.Call) and _dotted(node.func).endswith("suppress")
        if suppresses and any(_catches_all(argument) for argument in node.args):
            yield Finding(node.lineno, "suppresses everything; only the entry guard of a process may")


def nothing_is_global(source: Source) -> Iterator[Finding]:
    """No `global`, and no list, dict or set that a module keeps and changes (constants are in capitals)."""
    if not source.is_python:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Global):
            yield Finding(node.lineno, f"global {', '.join(node.names)}: pass it instead")
    if not source.is_library:
        return
    for statement in source.tree.body:
        for name in _mutable_names(statement):
            yield Finding(statement.lineno, f"{name} is state of the module; pass it, or make it a constant")


def names_say_something(source: Source) -> Iterator[Finding]:
    """No utils, helpers or common."""
    parts = re.split(r"[/.]", source.path.removeprefix("lib/"))
    for part in parts:
        if part in VAGUE_NAMES:
            yield Finding(1, f"{part} says nothing: name the module after the noun that it is about")


def a_licence_is_named(source: Source) -> Iterator[Finding]:
    """The first line (the second after a shebang or an XML declaration) is the SPDX line."""
    lines = source.text.split("\n")
    if not source.text.strip():
        return
    first = 1 if lines[0].startswith(("#!", "<?xml")) else 0
    if SPDX not in (lines[first] if len(lines) > first else ""):
        yield Finding(first + 1, f"the SPDX line is missing: {SPDX}")


def programs_are_doors(source: Source) -> Iterator[Finding]:
    """An installed executable has at most 15 lines and runs the distribution's Python, isolated."""
    if not source.is_program:
        return
    lines = source.text.count("\n")
    if lines > LONGEST_PROGRAM:
        yield Finding(1, f"{lines} lines; a program is a door of {LONGEST_PROGRAM} at most")
    if not source.text.startswith("#!/usr/bin/python3 -I\n"):
        yield Finding(1, "the first line of a program is #!/usr/bin/python3 -I")


# Each: what is looked for, what to write instead, and lines in which it may stand.
FORBIDDEN_WORDS: tuple[tuple[re.Pattern[str], str, re.Pattern[str] | None], ...] = (
    (
        re.compile(r"\b(master|slave)s?\b", re.IGNORECASE),
        "OCF 1.1 says Promoted and Unpromoted",
        # Names that others gave: LINBIT's roles, Ganeti's daemon, iproute2's keyword, libvirt's key file.
        re.compile(r"linbit|drbdadm|ganeti|link (set|add|show)|master[-_ ]key", re.IGNORECASE),
    ),
    (
        re.compile(r"/work/(main|plan|shared)|/root/\.|/opt/(wheels|pypi)"),
        "this machine's paths stay out",
        None,
    ),
    (
        re.compile(
            r"\b(deb|security|ftp\.\w+|snapshot)\.debian\.org|pypi\.org|pythonhosted\.org|archive\.ubuntu"
        ),
        "the admin's own package sources are used, never a host of ours",
        None,
    ),
    (re.compile(r"\b(TODO|FIXME|XXX)\b"), "unfinished work is an issue, not a comment", None),
    (
        re.compile(r"\bissue [A-Z]\b|\bthe helpers?\b|\bLLM\b|\bAI\b"),
        "the repository speaks of Backstay alone",
        None,
    ),
)


def words_are_ours(source: Source) -> Iterator[Finding]:
    """Roles are Promoted and Unpromoted; no path of a machine, no host of a registry, no unfinished business."""
    for number, line in enumerate(source.text.split("\n"), start=1):
        for pattern, instead, unless in FORBIDDEN_WORDS:
            found = pattern.search(line)
            if found and not (unless and unless.search(line)):
                yield Finding(number, f"{found.group()!r}: {instead}")


RULES: tuple[Rule, ...] = (
    imports_go_one_way,
    only_host_and_lab_touch_the_world,
    modules_are_short,
    functions_are_short,
    everything_is_typed,
    public_things_have_docstrings,
    only_guards_catch_everything,
    nothing_is_global,
    names_say_something,
    a_licence_is_named,
    programs_are_doors,
    words_are_ours,
)


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that the module imports at run time; `from a import b` gives a.b."""
    for node in _running(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = source.module.split(".")
            start = base[: len(base) - node.level + 1] if node.level else []
            stem = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{stem}.{alias.name}"


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, but not the body of `if TYPE_CHECKING:`, which never runs."""
    yield node
    if isinstance(node, ast.If) and _dotted(node.test).endswith("TYPE_CHECKING"):
        children: list[ast.AST] = list(node.orelse)
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from _running(child)


def _functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    if source.is_python:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def _worldly(call: ast.Call) -> str:
    """The name of the effect that a call has, or nothing."""
    name = _dotted(call.func)
    if name in WORLDLY_CALLS or name.startswith(("os.exec", "os.spawn")):
        return name
    if name == "open" or name.endswith(".open"):
        mode = _mode(call, position=1 if name in ("open", "io.open", "os.open") else 0)
        return f"open for writing ({mode})" if set(mode) & set("wax+") and len(mode) <= 3 else ""
    method = name.rpartition(".")[2]
    return f".{method}()" if "." in name and method in WRITING_METHODS else ""


def _mode(call: ast.Call, position: int) -> str:
    """The mode that a call of open names; the empty string when it is a variable."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    given += call.args[position : position + 1]
    first = given[0] if given else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _catches_all(node: ast.expr | None) -> bool:
    if node is None:
        return True
    if isinstance(node, ast.Tuple):
        return any(_catches_all(element) for element in node.elts)
    return _dotted(node).rpartition(".")[2] in ("Exception", "BaseException")


def _raises_on(handler: ast.ExceptHandler) -> bool:
    """Whether what is caught, if it is not understood, goes on: the last statement is a bare `raise`."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _mutable_names(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement of a module binds to something that can be changed."""
    if isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets, value = [statement.target], statement.value
    else:
        return
    display = isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
    built = isinstance(value, ast.Call) and _dotted(value.func) in (
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


def _dotted(node: ast.AST) -> str:
    """`a.b.c` of an expression; the last parts only when it starts with something else than a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ""
