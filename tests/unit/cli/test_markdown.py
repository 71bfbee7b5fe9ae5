# SPDX-License-Identifier: GPL-2.0-or-later
"""One page for each agent in docs/agents/, with the words of its manual page."""

from __future__ import annotations

import re

import pytest

from backstay.cli import manual
from backstay.cli.markdown import inline, render
from backstay.cli.roff import Code, Head, Page, Term, Text


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.is_file())


@pytest.fixture(scope="module")
def made(repository):
    found = manual.of_agents(names(repository / "agents"), names(repository / "fencing"))
    return {f"{page.name}.md": render(page) for page in found}


def test_each_page_is_the_one_of_the_declarations(made, repository, request):
    place = repository / "docs/agents"
    if request.config.getoption("--regenerate-golden"):
        place.mkdir(exist_ok=True)
        for name, text in made.items():
            (place / name).write_text(text, encoding="utf-8")
    there = {path.name: path.read_text(encoding="utf-8") for path in place.iterdir()}
    assert there == made, "--regenerate-golden writes them anew"


def test_the_index_leads_to_each(made, repository):
    index = (repository / "docs/README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(agents/([\w-]+\.md)\)", index)) == set(made)


def test_a_page_has_every_kind_of_part():
    blocks = (
        Text("One.\n\nTwo `a_b` c_d."),
        Head("More"),
        Term("x (y)", "It.\n\nDefault: `1`."),
        Code("a <b>"),
    )
    page = Page("it", 7, "does it", (("DESCRIPTION", blocks), ("EMPTY", ())))
    assert render(page).split("\n", 2)[2] == (
        "# it\n\nDoes it.\n\n## Description\n\nOne.\n\nTwo `a_b` c\\_d.\n\n### More\n\n"
        "- **x (y)**: It.\n\n  Default: `1`.\n\n```\na <b>\n```\n"
    )


def test_nothing_of_a_text_is_taken_for_markup():
    assert inline("a*b [c] <d> `e*f` g|h") == r"a\*b \[c\] \<d\> `e*f` g\|h"
