# SPDX-License-Identifier: GPL-2.0-or-later
"""Manual pages as man(7) wants them: parts of text in, roff out.

Decides the form of every page. Never decides what one says. The same parts give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PROJECT = "Backstay"
_MARKED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs with an empty line between them; `words` in backticks are bold."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines that stand as they are: commands and examples."""

    text: str


@dataclass(frozen=True, slots=True)
class Term:
    """Something with its explanation: an option, a parameter, an exit code."""

    term: str
    text: str


@dataclass(frozen=True, slots=True)
class Head:
    """The title of a smaller part within a part."""

    title: str


Block = Text | Code | Term | Head


@dataclass(frozen=True, slots=True)
class Page:
    """One page: `parts` are titles (NAME is made here) with what stands below them, empty ones left out."""

    name: str
    section: int
    summary: str
    parts: tuple[tuple[str, tuple[Block, ...]], ...]

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{self.name}.{self.section}"


def render(page: Page, version: str) -> str:
    """The whole page, ending with a line feed."""
    return "\n".join(_lines(page, version)) + "\n"


def _lines(page: Page, version: str) -> Iterator[str]:
    # REUSE-IgnoreStart (the licence of what is made)
    yield '.\\" SPDX-License-Identifier: GPL-2.0-or-later'
    # REUSE-IgnoreEnd
    yield '.\\" Made from the declarations in the program: do not edit it.'
    yield f'.TH "{escaped(page.name.upper())}" "{page.section}" "" "{PROJECT} {version}" "{PROJECT}"'
    # No hyphenation (options would be broken), left-aligned (a terminal is narrow).
    yield from (".nh", ".ad l", ".SH NAME")
    yield f"{escaped(page.name)} \\- {inline(_one_line(page.summary).rstrip('.'))}"
    for title, blocks in page.parts:
        if blocks:
            yield f'.SH "{escaped(title)}"'
            yield from _without_needless(_blocks(blocks))


def _without_needless(lines: Iterable[str]) -> Iterator[str]:
    """Lines without the paragraphs that begin right below a title: roff begins one there by itself."""
    below = True
    for line in lines:
        if not (below and line == ".PP"):
            yield line
        below = line.startswith(".SS ")


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Head):
            yield f'.SS "{escaped(block.title)}"'
        elif isinstance(block, Code):
            yield from (
                ".PP",
                ".RS 4",
                ".nf",
                *map(_guarded, map(escaped, block.text.splitlines())),
                ".fi",
                ".RE",
            )
        elif isinstance(block, Term):
            yield from (".TP", f"\\fB{escaped(block.term)}\\fR")
            first, *rest = _paragraphs(block.text) or [""]
            yield from _folded(first)
            for paragraph in rest:
                yield from (".IP", *_folded(paragraph))
        else:
            for paragraph in _paragraphs(block.text):
                yield from (".PP", *_folded(paragraph))


def _paragraphs(text: str) -> list[str]:
    return [_one_line(paragraph) for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


def _folded(paragraph: str) -> Iterator[str]:
    """A sentence a line, as man-pages(7) asks: a changed word is a changed line and no more."""
    for sentence in re.split(r"(?<=[.:!?]) (?=[A-Z\"`(])", paragraph):
        yield _guarded(inline(sentence))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def inline(text: str) -> str:
    """Running text: escaped, with what stands in backticks in bold."""
    parts = _MARKED.split(text)
    return "".join(f"\\fB{escaped(part)}\\fR" if odd % 2 else escaped(part) for odd, part in enumerate(parts))


def escaped(text: str) -> str:
    """`text` as roff prints it literally: options can be copied from the page, quotes stay what they are."""
    for character, instead in (("\\", "\\e"), ("-", "\\-"), ('"', "\\(dq"), ("^", "\\(ha"), ("~", "\\(ti")):
        text = text.replace(character, instead)
    return text.replace("'", "\\(aq").replace("`", "\\(ga")


def _guarded(line: str) -> str:
    """A line that does not begin with what roff takes for a request."""
    return f"\\&{line}" if line.startswith((".", "'")) else line
