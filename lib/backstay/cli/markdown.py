# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of a manual page as Markdown, for docs/: whoever reads it there has no man(1) at hand.

Decides the form of a page and never what one says, like roff.py beside it. The same parts give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from backstay.cli.roff import Block, Code, Head, Page, Term

LICENCE = "GPL-2.0-or-later"
_MARKED = re.compile(r"(`[^`]+`)")
# What Markdown would take for markup in running text.
_SPECIAL = re.compile(r"([\\*_<>\[\]|])")


def render(page: Page) -> str:
    """The whole page, ending with a line feed."""
    return "\n".join(_lines(page)) + "\n"


def _lines(page: Page) -> Iterator[str]:
    # REUSE-IgnoreStart (the licence of what is made)
    yield f"<!-- SPDX-License-Identifier: {LICENCE} -->"
    # REUSE-IgnoreEnd
    yield "<!-- Made from the declarations in the program: do not edit it. -->"
    summary = " ".join(page.summary.split()).rstrip(".")
    yield from (f"# {page.name}", "", f"{inline(summary[:1].upper() + summary[1:])}.")
    for title, blocks in page.parts:
        if blocks:
            yield from ("", f"## {title.capitalize()}")
            yield from _blocks(blocks)


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Head):
            yield from ("", f"### {inline(block.title)}")
        elif isinstance(block, Code):
            yield from ("", "```", *block.text.splitlines(), "```")
        elif isinstance(block, Term):
            first, *rest = _paragraphs(block.text) or [""]
            yield from ("", f"- **{inline(block.term)}**: {first}")
            for paragraph in rest:
                yield from ("", f"  {paragraph}")
        else:
            for paragraph in _paragraphs(block.text):
                yield from ("", paragraph)


def _paragraphs(text: str) -> list[str]:
    return [inline(" ".join(each.split())) for each in re.split(r"\n\s*\n", text) if each.strip()]


def inline(text: str) -> str:
    """Running text: what stands in backticks stays as it is, the rest means nothing to Markdown."""
    parts = _MARKED.split(text)
    return "".join(part if odd % 2 else _SPECIAL.sub(r"\\\1", part) for odd, part in enumerate(parts))
