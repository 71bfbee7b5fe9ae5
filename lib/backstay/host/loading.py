# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that an agent could ever load, loaded; every name that its code could ever ask for, looked up.

    python3 -IS -c "..." LIBRARY PROGRAM      (the words: host.installed)

Decides what is missing: a module that does not compile or cannot be imported, and a name that a function takes from
its module, from a module that it imports or from the built-in ones, and that is not there. That is how an agent
breaks in a path that nobody takes until it is needed. Runs in a process of its own, begins nothing, and calls no
function. Attributes of values are not seen: those need a rehearsal that takes the path.
"""

from __future__ import annotations

import builtins
import dis
import importlib
import importlib.util
import json
import site
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType

OURS = "backstay"
ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")


def codes(code: CodeType) -> Iterator[CodeType]:
    """Give a code object and all that are in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def imported(code: CodeType) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Give (module, names taken from it, line) for each import that this code itself makes; no relative ones."""
    names: list[str] = []
    module, line = "", 0
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            if module:
                yield module, tuple(names), line
            module, names = str(step.argval), []
            line = (step.positions.lineno if step.positions else None) or code.co_firstlineno
        elif step.opname == "IMPORT_FROM":
            names.append(str(step.argval))
    if module:
        yield module, tuple(names), line


def lazily(code: CodeType) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Give the imports inside functions; those of the module itself were made, or are for the type checker alone."""
    for each in codes(code):
        if each is not code:
            yield from imported(each)


def asked_for(code: CodeType, inside: dict[str, object]) -> Iterator[tuple[str, int]]:
    """Give what functions would ask for and not get, with the line: a global name, or an attribute of a module."""
    for each in codes(code):
        line, owner = each.co_firstlineno, None
        for step in dis.get_instructions(each):
            line = (step.positions.lineno if step.positions else None) or line
            if step.opname == "LOAD_GLOBAL":
                name = str(step.argval)
                if name not in inside and not hasattr(builtins, name):
                    yield name, line
                value = inside.get(name)
                owner = value if isinstance(value, ModuleType) else None
                continue
            if step.opname in ATTRIBUTE and owner is not None and not hasattr(owner, str(step.argval)):
                yield f"{owner.__name__}.{step.argval}", line
            owner = None


def wanted_by(program: Path) -> list[str]:
    """Give the modules that a program loads, by an import or by a name in a text; SyntaxError when it is none."""
    code = compile(program.read_bytes(), str(program), "exec")
    texts = [text for each in codes(code) for text in each.co_consts if isinstance(text, str)]
    named = [text for text in texts if text.startswith(f"{OURS}.") and text.replace(".", "").isidentifier()]
    return [*(module for module, _, _ in imported(code)), *named]


def missing_from(module: ModuleType, names: tuple[str, ...]) -> list[str]:
    """Give the names that `from module import ...` would not find."""
    package = hasattr(module, "__path__")
    return [
        name
        for name in names
        if not hasattr(module, name)
        and not (package and importlib.util.find_spec(f"{module.__name__}.{name}"))
    ]


def code_of(name: str) -> CodeType | None:
    """Give the code of a module of Backstay, None for everybody else's."""
    spec = importlib.util.find_spec(name) if name.partition(".")[0] == OURS else None
    get_code = getattr(spec.loader, "get_code", None) if spec else None
    found = get_code(name) if get_code else None
    return found if isinstance(found, CodeType) else None


class Loading:
    """Everything that one program needs. `load` gives a module, or the reason why it cannot be loaded."""

    def __init__(
        self,
        load: Callable[[str], ModuleType | str],
        library: str = "",
        loaded: Callable[[], Iterable[str]] = lambda: list(sys.modules),
    ) -> None:
        self._load = load
        self._loaded = loaded
        self._library = library
        self.modules: dict[str, bool] = {}
        self.troubles: list[str] = []

    def need(self, name: str, where: str) -> ModuleType | None:
        """Load a module; trouble is noted once."""
        found = self._load(name) if self.modules.get(name, True) else ""
        if isinstance(found, ModuleType):
            self.modules[name] = True
            return found
        if found:
            self.modules[name] = False
            self.troubles.append(f"{where} needs {name}, which cannot be loaded: {found}")
        return None

    def examine(self, module: ModuleType) -> list[str]:
        """Look up every name that a module's functions ask for; give the modules that they would load."""
        code = code_of(module.__name__)
        if code is None:
            return []
        path = str(module.__file__).removeprefix(f"{self._library}/")
        for name, line in asked_for(code, vars(module)):
            self.troubles.append(f"{path}:{line} asks for {name}, which is not there")
        others = []
        for name, names, line in lazily(code):
            found = self.need(name, f"{path}:{line}")
            if found is None:
                continue
            others.append(name)
            for each in missing_from(found, names):
                self.troubles.append(f"{path}:{line} takes {each} from {name}, where it is not")
            others += [
                f"{name}.{each}" for each in names if isinstance(getattr(found, each, None), ModuleType)
            ]
        return others

    def follow(self, names: Sequence[str], where: str) -> None:
        """Load modules and whatever they need, at once or later."""
        seen: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            module = self.need(name, where)
            if module is not None:
                waiting += self.examine(module)
                waiting += [each for each in self._loaded() if each.startswith(f"{OURS}.")]


def files(program: Path) -> list[str]:
    """Give everything that this process has loaded for a program: sources, the interpreter, shared libraries."""
    sources = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        maps = ""
    rows = (line.split(maxsplit=5) for line in maps.splitlines())
    mapped = {row[5] for row in rows if len(row) == 6 and "x" in row[1]}
    return sorted(path for path in {str(program), *sources, *mapped} if path.startswith("/"))


def main() -> None:
    """Print as JSON which modules a program needs, what is wrong with them, and the files of everything it loads."""
    library, program = sys.argv[1], Path(sys.argv[2])
    sys.path += [path for path in site.getsitepackages() if path not in sys.path]

    def load(name: str) -> ModuleType | str:
        try:
            return importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  (whatever a broken module raises is what is looked for)
            return f"{type(error).__name__}: {error}"

    loading = Loading(load, library)
    try:
        loading.follow(wanted_by(program), program.name)
    except (SyntaxError, ValueError, OSError) as error:
        loading.troubles.append(f"{program.name} cannot be compiled: {error}")
    modules = sorted(name for name, fine in loading.modules.items() if fine)
    found = {"modules": modules, "troubles": sorted(set(loading.troubles)), "files": files(program)}
    json.dump(found, sys.stdout)
