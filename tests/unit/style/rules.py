# SPDX-License-Identifier: GPL-2.0-or-later
"""The house rules as pure functions: each takes one source text and returns what is wrong in it, with the line.

Decides what a finding is. Never opens a file, so that every rule is shown to fail on a planted source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.unit.style.source import (
    LIBRARY,
    Finding,
    Source,
    catches_all,
    dotted,
    functions,
    imports,
    mutable_names,
    outside_of_main,
    raises_on,
    worldly,
)

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
LONGEST_PROGRAM = 15

# Who may import whom. `errors` belongs to everybody. Types count: what
# is imported for the type checker alone follows the same order.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "": frozenset(),
    "errors": frozenset(),
    "steps": frozenset(),
    "__main__": frozenset({"cli"}),
    "cloud": frozenset(),
    "host": frozenset({"host"}),
    "ocf": frozenset({"cloud"}),
    "cib": frozenset({"cloud"}),
    "plan": frozenset({"cloud", "cib"}),
    "fencing": frozenset({"cloud", "host", "ocf"}),
    "members": frozenset({"cloud", "cib", "host", "steps"}),
    "mirror": frozenset({"host", "steps"}),
    "alerts": frozenset({"cloud", "host", "ocf"}),
    "agents": frozenset({"cloud", "cib", "plan", "fencing", "ocf", "host"}),
    "lab": frozenset({"cloud", "cib", "plan", "fencing", "ocf", "host", "agents"}),
    "cli": frozenset(
        {"cloud", "cib", "plan", "fencing", "ocf", "host", "members", "mirror", "alerts", "agents", "lab"}
    ),
}
# The commands of the lab, and the words that the shell completes for them.
ABOUT_THE_LAB = ("lab", "completion.py")
# host/clock.py is time itself (deadlines, waits): a value, not an effect on a host.
FREE = frozenset({"backstay.errors", "backstay.host.clock", "backstay.__version__"})

MAY_TOUCH_THE_WORLD = ("host", "lab")
WORLDLY_MODULES = frozenset(
    {
        "asyncio", "ctypes", "fcntl", "libvirt", "libvirt_qemu", "multiprocessing", "psutil", "pty", "select",
        "selectors", "shutil", "socket", "socketserver", "subprocess", "tempfile", "threading", "urllib",
        "http",
    }
)  # fmt: skip
PURE = "urllib.parse"  # takes texts apart
# The guards of OCF and fencing processes end a hanging process and print; that is their office.
GUARDS = frozenset(
    {
        f"{LIBRARY}ocf/runtime.py",
        f"{LIBRARY}ocf/log.py",
        f"{LIBRARY}fencing/protocol.py",
        f"{LIBRARY}__main__.py",
        f"{LIBRARY}cli/__init__.py",
    }
)
# A process each: the agent, the fence agent, the command, and the child in which libvirt is asked. A module that is run
# by itself (a healer, a BMC, a witness) has its guard in its `main`.
# Whatever goes wrong in the short way of a monitor, the long way answers.
MAY_CATCH_ALL = (GUARDS - {f"{LIBRARY}ocf/log.py"}) | {
    f"{LIBRARY}alerts/agent.py",
    f"{LIBRARY}host/child.py",
    f"{LIBRARY}host/loading.py",  # whatever a broken module raises is what it looks for
    f"{LIBRARY}host/unchanged.py",
}

VAGUE_NAMES = frozenset({"common", "helper", "helpers", "lib", "misc", "stuff", "tools", "util", "utils"})
# REUSE-IgnoreStart
SPDX = "SPDX-License-Identifier: GPL-2.0-or-later"
# REUSE-IgnoreEnd


Rule = Callable[[Source], Iterator[Finding]]


def imports_go_one_way(source: Source) -> Iterator[Finding]:
    """Imports follow the table above: cli, agents -> plan, cib, fencing, ocf -> cloud."""
    if not source.is_library:
        return
    allowed = MAY_IMPORT.get(source.package)
    if allowed is None:
        yield Finding(1, f"{source.package} has no place in the import rule (MAY_IMPORT of the house rules)")
        return
    for line, name in imports(source, types=True):
        parts = name.split(".")
        if parts[0] != "backstay" or any(name == free or name.startswith(f"{free}.") for free in FREE):
            continue
        target = parts[1] if len(parts) > 1 else ""
        if target == "host" and source.path in GUARDS:
            continue
        if (
            target == "lab"
            and source.package == "cli"
            and not Path(source.path).name.startswith(ABOUT_THE_LAB)
        ):
            yield Finding(line, f"a command for a real cluster must not import {name}")
        elif target and target != source.package and target not in allowed:
            yield Finding(line, f"{source.package or 'backstay'} must not import {name}")


def only_host_and_lab_touch_the_world(source: Source) -> Iterator[Finding]:
    """Processes, sockets, signals, libvirt, sleeping and writing files belong to host/ and lab/."""
    if not source.is_library or source.package in MAY_TOUCH_THE_WORLD or source.path in GUARDS:
        return
    for line, name in imports(source):
        if name.split(".")[0] in WORLDLY_MODULES and not name.startswith(PURE):
            yield Finding(line, f"imports {name}: only host/ and lab/ touch the world")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            what = worldly(node)
            if what:
                yield Finding(node.lineno, f"calls {what}: only host/ and lab/ touch the world")


def modules_are_short(source: Source) -> Iterator[Finding]:
    """A module has at most 400 lines."""
    lines = source.text.count("\n")
    if source.is_python and lines > LONGEST_MODULE:
        yield Finding(1, f"{lines} lines; a module has {LONGEST_MODULE} at most")


def functions_are_short(source: Source) -> Iterator[Finding]:
    """A function has at most 60 lines, decorators and docstring included."""
    for node in functions(source):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > LONGEST_FUNCTION:
            yield Finding(
                node.lineno, f"{node.name} has {lines} lines; a function has {LONGEST_FUNCTION} at most"
            )


def everything_is_typed(source: Source) -> Iterator[Finding]:
    """Every parameter and every result of the library has a type."""
    if not source.is_library:
        return
    for node in functions(source):
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
    if not source.is_library or source.path in MAY_CATCH_ALL:
        return
    for node in outside_of_main(source.tree):
        if isinstance(node, ast.ExceptHandler) and catches_all(node.type) and not raises_on(node):
            yield Finding(node.lineno, "catches everything; only the entry guard of a process may")
        suppresses = isinstance(node, ast.Call) and dotted(node.func).endswith("suppress")
        if suppresses and any(catches_all(argument) for argument in node.args):
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
        for name in mutable_names(statement):
            yield Finding(statement.lineno, f"{name} is state of the module; pass it, or make it a constant")


def names_say_something(source: Source) -> Iterator[Finding]:
    """No utils, helpers or common."""
    parts = re.split(r"[/.]", source.path.removeprefix("lib/"))
    for part in parts:
        if part in VAGUE_NAMES:
            yield Finding(1, f"{part} says nothing: name the module after the noun that it is about")


def a_licence_is_named(source: Source) -> Iterator[Finding]:
    """The first line (the second after a shebang, an XML declaration or what zsh reads first) is the SPDX line."""
    lines = source.text.split("\n")
    if not source.text.strip():
        return
    first = 1 if lines[0].startswith(("#!", "<?xml", "#compdef")) else 0
    if SPDX not in (lines[first] if len(lines) > first else ""):
        yield Finding(first + 1, f"the SPDX line is missing: {SPDX}")


def programs_are_doors(source: Source) -> Iterator[Finding]:
    """An installed executable has at most 15 lines and runs the distribution's Python, isolated."""
    if not source.is_program:
        return
    lines = source.text.count("\n")
    if lines > LONGEST_PROGRAM:
        yield Finding(1, f"{lines} lines; a program is a door of {LONGEST_PROGRAM} at most")
    if not source.text.startswith(("#!/usr/bin/python3 -I\n", "#!/usr/bin/python3 -IS\n")):
        yield Finding(1, "the first line of a program is #!/usr/bin/python3 -I (or -IS)")


HERE = Path(__file__).resolve().parents[3]

# Each: what is looked for, what to write instead, and lines in which it may stand.
FORBIDDEN_WORDS: tuple[tuple[re.Pattern[str], str, re.Pattern[str] | None], ...] = (
    (
        re.compile(r"\b(master|slave)s?\b", re.IGNORECASE),
        "OCF 1.1 says Promoted and Unpromoted",
        # Names that others gave: LINBIT's roles, Ganeti's daemon, iproute2's and mountinfo's words, libvirt's key.
        re.compile(
            r"linbit|drbdadm|ganeti|link (set|add|show)|sys/class/net|master[-_ ]key|master:\d", re.IGNORECASE
        ),
    ),
    (re.compile(re.escape(f"{HERE}/")), "the path of a checkout stays out", None),
    (
        re.compile(r"\bhttps?://\S*\b(debian|ubuntu|pypi|pythonhosted)\S*\.(org|com|io)\b"),
        "the admin's own package sources are used, never a host of ours",
        None,
    ),
    (re.compile(r"\b(TODO|FIXME|XXX)\b"), "unfinished work is an issue, not a comment", None),
)


def words_are_ours(source: Source) -> Iterator[Finding]:
    """Roles are Promoted and Unpromoted; no path of a machine, no host of a registry, no unfinished business."""
    for number, line in enumerate(source.text.split("\n"), start=1):
        for pattern, instead, unless in FORBIDDEN_WORDS:
            found = pattern.search(line)
            # A file about Ganeti alone need not name it in each line.
            if found and not (unless and unless.search(f"{source.path} {line}")):
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
