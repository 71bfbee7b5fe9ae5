# SPDX-License-Identifier: GPL-2.0-or-later
"""Promises and their proofs: reads tests/claims.toml and the promises that a document makes.

Decides what counts as a promise and what is wrong with a claim. Opens no file and collects no test.

The rule. Under each heading called "What it promises" (any level, in README.md and docs/*.md) every bullet and every
row of a table is a promise. A claim names a document (`where`), words that stand literally in it (`text`) and the ids
of the tests that prove it (`tests`). A promise is claimed when the text of a claim about that document stands in it.
White space counts as one blank, so that a document may be folded anew.
"""

from __future__ import annotations

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


def _flat(text: str) -> str:
    return " ".join(text.split())
