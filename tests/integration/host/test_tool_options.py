# SPDX-License-Identifier: GPL-2.0-or-later
"""Every option that we give to Pacemaker's tools is one that the tool has.

A word that a tool does not know is found here and not on the night on which it is first said.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TOOLS = (
    "attrd_updater", "cibadmin", "crm_attribute", "crm_diff", "crm_mon", "crm_node", "crm_resource", "crm_simulate",
    "crm_verify", "stonith_admin",
)  # fmt: skip


def words(node: ast.AST) -> Iterator[str]:
    """The literal words of a command line, or how they begin."""
    parts = (
        node.elts
        if isinstance(node, ast.List | ast.Tuple)
        else node.args
        if isinstance(node, ast.Call)
        else []
    )
    for part in parts:
        if isinstance(part, ast.JoinedStr) and part.values:
            part = part.values[0]
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


@cache
def given(top: Path) -> dict[str, dict[str, str]]:
    """Each tool's options in our source, and where one of them stands."""
    found: dict[str, dict[str, str]] = {tool: {} for tool in TOOLS}
    for file in sorted((top / "lib/backstay").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            tool, *rest = [*words(node), ""]
            for word in rest if tool in TOOLS else ():
                if re.match(r"--[a-z]", word):
                    found[tool].setdefault(word.partition("=")[0], f"{file.name}:{node.lineno}")
    return found


@pytest.mark.parametrize("tool", TOOLS)
def test_every_option_is_known(tool: str, repository: Path, need) -> None:
    need("crm_verify", tool)
    done = subprocess.run([tool, "--help-all"], capture_output=True, text=True, timeout=60, check=False)
    known = set(re.findall(r"--[a-z][a-z-]*", done.stdout + done.stderr))
    assert len(known) > 5, done
    unknown = {word: place for word, place in given(repository)[tool].items() if word not in known}
    assert not unknown


def test_the_search_finds_what_is_there(repository: Path) -> None:
    found = given(repository)
    assert {"--fence", "--tag"} <= set(found["stonith_admin"])
    assert "--sync-call" in found["cibadmin"]
