# SPDX-License-Identifier: GPL-2.0-or-later
"""Broken descriptions and what is said about them, word by word; --regenerate-golden writes the words anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.cloud.parse import parse_files
from backstay.cloud.problems import InvalidDescription

CORPUS = Path(__file__).with_name("corpus")
FILES = sorted(CORPUS.glob("*.yaml"))


def definition(config):
    """The libvirt definition that the corpus has for a domain, if it has one."""
    path = CORPUS / "definitions" / config.name
    return path.read_bytes() if path.is_file() else None


def read(file):
    """Read one broken description; files in a directory of its name belong to it."""
    more = sorted(file.with_suffix(".d").glob("*.yaml"))
    parts = [("c.yaml", file.read_bytes()), *((each.name, each.read_bytes()) for each in more)]
    return parse_files(parts, "c.yaml", definition)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_said(file, request):
    with pytest.raises(InvalidDescription) as caught:
        read(file)
    said = "".join(f"{problem}\n".removeprefix("c.yaml:") for problem in caught.value.problems)
    expected = file.with_suffix(".expected")
    if request.config.getoption("--regenerate-golden"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")
    assert said.replace("\n", "").isprintable()
    assert "hunter2" not in said
    assert max(map(len, said.splitlines())) < 420


def test_nothing_is_left_over():
    assert [file.stem for file in sorted(CORPUS.glob("*.expected"))] == [file.stem for file in FILES]
