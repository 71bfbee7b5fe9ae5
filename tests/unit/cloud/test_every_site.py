# SPDX-License-Identifier: GPL-2.0-or-later
"""Every place in the reader of descriptions that says what is wrong is reached by the corpus of broken ones."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import backstay.cloud
from backstay.cloud.parse import parse
from backstay.cloud.problems import InvalidDescription, Report
from backstay.cloud.tree import LARGEST
from tests.unit.cloud.test_corpus import FILES, read

# What cannot lie in the corpus: too large, and no text.
BESIDES = (
    (b" " * (LARGEST + 1), "1:1: found 8388609 bytes, expected at most 8388608 bytes"),
    (b"# a\ncluster: {name: caf\xe9}", "2:20: found the byte 0xe9, expected text in UTF-8"),
)
CLOUD = Path(backstay.cloud.__path__[0])


def sites():
    """Each call of a report's `add` in the source, by the name of its file and its first line."""
    for file in sorted(CLOUD.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("report.add", "self.stop")):
                yield file.name, range(node.lineno, (node.end_lineno or node.lineno) + 1)


@pytest.fixture
def reached(monkeypatch):
    """The files and lines from which something was reported."""
    found = set()
    add = Report.add

    def note(self, *said, **more):
        for frame in (sys._getframe(1), sys._getframe(2)):  # `stop` of the tree adds for its caller
            found.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        add(self, *said, **more)

    monkeypatch.setattr(Report, "add", note)
    return found


def test_each_site_is_reached_by_the_corpus(reached):
    for file in FILES:
        with pytest.raises(InvalidDescription):
            read(file)
    for data, said in BESIDES:
        with pytest.raises(InvalidDescription, match=said):
            parse(data, "c.yaml")
    every = list(sites())
    assert len(every) > 60
    missed = [
        f"{name}:{lines[0]}" for name, lines in every if not any((name, line) in reached for line in lines)
    ]
    assert missed == []
