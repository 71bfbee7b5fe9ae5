# SPDX-License-Identifier: GPL-2.0-or-later
"""Which agents can write into the cluster's configuration or status at all: whatever their modules could import and start.

A monitor that writes there begins a transition. A test that calls the agent sees the ways that it takes; this one sees
all that there are: every module that an agent imports, also in the middle of a function, and every call in them of a
program of Pacemaker that can write.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[3] / "lib"
PROGRAMS = {
    "cibadmin", "crm_attribute", "attrd_updater", "crm_resource", "crm_master", "crm_standby", "crm_failcount",
    "crm_ticket", "crm", "pcs",
}  # fmt: skip
ONLY_ASKS = {"--query", "--get-parameter", "--wait"}
ATTRIBUTES = "backstay.host.attributes"
TELLS = {
    "publish",
    "whisper",
}  # its methods that write; a private attribute is never written, but is one step from it
MAY_WRITE = {
    "datastore": {ATTRIBUTES},
    "domain": {ATTRIBUTES},  # and calls none of them, see below
    "drbd": {ATTRIBUTES, "backstay.host.pacemaker"},
    "frontend": {ATTRIBUTES, "backstay.host.recoveries"},
    "libvirtd": {ATTRIBUTES},
}


def file_of(module: str) -> Path | None:
    place = LIBRARY / module.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()), None)


@cache
def tree_of(module: str) -> ast.Module:
    path = file_of(module)
    assert path is not None
    return ast.parse(path.read_text())


def imported(module: str) -> Iterator[str]:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def reach(module: str) -> set[str]:
    """Every module of ours that this one may import, itself included."""
    seen: set[str] = set()
    ahead = [module]
    while ahead:
        here = ahead.pop()
        if here not in seen:
            seen.add(here)
            ahead += [name for name in imported(here) if name.startswith("backstay.") and file_of(name)]
    return seen


def writes(module: str) -> list[str]:
    """The calls of programs in a module that may write, by their words."""
    found = []
    for node in ast.walk(tree_of(module)):
        words = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
        said = [word.value for word in words if isinstance(word, ast.Constant)]
        if said and said[0] in PROGRAMS and isinstance(words[0], ast.Constant) and not ONLY_ASKS & set(said):
            found.append(ast.unparse(node))
    return found


def tells(module: str) -> list[str]:
    calls = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call)]
    return [
        ast.unparse(one) for one in calls if isinstance(one.func, ast.Attribute) and one.func.attr in TELLS
    ]


def agents() -> list[str]:
    return sorted(door.name for door in (LIBRARY.parent / "agents").iterdir() if door.is_file())


@pytest.mark.parametrize("agent", agents())
def test_an_agent_reaches_no_other_program_that_writes_than_it_may(agent: str) -> None:
    assert {module for module in reach(f"backstay.agents.{agent}") if writes(module)} == MAY_WRITE[agent]


def test_the_agent_of_domains_publishes_nothing() -> None:
    beyond = reach("backstay.agents.domain") - {ATTRIBUTES}
    assert {module: tells(module) for module in beyond if tells(module)} == {}
    assert tells("backstay.host.libvirtd")  # a call that is one is seen
