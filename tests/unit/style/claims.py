# SPDX-License-Identifier: GPL-2.0-or-later
"""Promises and their proofs: reads tests/claims.toml and the promises that a document makes.

Decides what counts as a promise and what is wrong with a claim. Opens no file and collects no test.

The rule. Under each heading called "What it promises" (any level, in README.md and docs/*.md) every bullet and every
row of a table is a promise. A claim names a document (`where`), words that stand literally in it (`text`) and the ids
of the tests that prove it (`tests`). A promise is claimed when the text of a claim about that document stands in it.
White space counts as one blank, so that a document may be folded anew.

A claim may rest on a test that is marked `long`, which continuous integration does not run. Then the newest row of
tests/records.md that names the test's file (the first one, with as much of its path as the row tells) has to say "passed",
and not "failed": what nobody saw, or what went wrong the last time, is no proof.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

HEADING = "What it promises"


@dataclass(frozen=True, slots=True)
class Claim:
    """One promise: its words, the document in which they stand, and the tests that prove it."""

    text: str
    where: str
    tests: tuple[str, ...]


def parse(text: str) -> tuple[Claim, ...]:
    """Read claims.toml; KeyError or TOMLDecodeError when it is not one."""
    entries = tomllib.loads(text).get("claim", [])
    return tuple(Claim(entry["text"], entry["where"], tuple(entry["tests"])) for entry in entries)


def promises(document: str) -> tuple[str, ...]:
    """The bullets and table rows under the headings that make promises, each on one line."""
    found: list[str] = []
    promising, code, head = False, False, True
    for line in document.split("\n"):
        if line.startswith("```"):
            code = not code
        if code:
            continue
        if line.startswith("#"):
            promising = line.lstrip("#").strip().rstrip(".:") == HEADING
        elif promising and re.match(r"\s*([-*+]|\d+[.)]) ", line):
            found.append(_flat(re.sub(r"^\s*([-*+]|\d+[.)]) ", "", line)))
        elif promising and line.startswith("|"):
            rule = set(line) <= set("|-: ")
            if not head and not rule:
                found.append(_flat(line.strip("| ")))
            head = False
        elif promising and line.startswith(" ") and found:
            found[-1] = _flat(f"{found[-1]} {line}")
        if not line.startswith("|"):
            head = True
    return tuple(found)


def faults(claims: tuple[Claim, ...], documents: Mapping[str, str]) -> tuple[str, ...]:
    """What is wrong between claims and documents: words that nobody wrote, promises that nobody proves."""
    wrong: list[str] = []
    for claim in claims:
        if not claim.tests:
            wrong.append(f"{claim.where}: no test proves: {claim.text}")
        if claim.where not in documents:
            wrong.append(f"{claim.where} is not there; it was to say: {claim.text}")
        elif _flat(claim.text) not in _flat(documents[claim.where]):
            wrong.append(f"{claim.where} does not say: {claim.text}")
    for name, document in documents.items():
        words = [_flat(claim.text) for claim in claims if claim.where == name]
        wrong += [
            f"{name} promises, and no claim proves it: {promise}"
            for promise in promises(document)
            if not any(word in promise for word in words)
        ]
    return tuple(wrong)


def unseen(claims: tuple[Claim, ...], modules: Mapping[str, str], records: str) -> tuple[str, ...]:
    """Test modules (by path; `modules` has their texts) with a long test of a claim, and no newest row that it passed."""
    named = {test.partition("[")[0] for claim in claims for test in claim.tests}
    wanted = {name.partition("::")[0] for name in named if _is_long(modules, name)}
    return tuple(sorted(path for path in wanted if not _passed(path, records)))


def _is_long(modules: Mapping[str, str], name: str) -> bool:
    """Whether a test (`path::function`) is marked long, by itself or with its whole module."""
    path, _, function = name.partition("::")
    body = ast.parse(modules[path]).body
    marks = [
        mark
        for each in body
        if isinstance(each, ast.FunctionDef) and each.name == function
        for mark in each.decorator_list
    ]
    marks += [
        each.value
        for each in body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "pytestmark"
    ]
    return any(re.search(r"pytest\.mark\.long\b", ast.unparse(mark)) for mark in marks if not _chooses(mark))


def _chooses(mark: ast.expr) -> bool:
    """Whether it marks some cases of a test alone: then the others are run."""
    return isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("parametrize")


def _passed(path: str, records: str) -> bool:
    """Whether the newest row of the table of records that names a test file says that it passed."""
    for line in records.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        named = re.findall(r"[\w/]*\btest_\w+\.py\b", cells[2]) if len(cells) == 5 else []
        if any(f"/{path}".endswith(f"/{name}") for name in named):
            return bool(re.search(r"\bpassed\b", cells[4])) and not re.search(r"\bfailed\b", cells[4])
    return False


def _flat(text: str) -> str:
    return " ".join(text.split())
