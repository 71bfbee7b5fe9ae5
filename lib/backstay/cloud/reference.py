# SPDX-License-Identifier: GPL-2.0-or-later
"""The reference of a cloud description: every key with its kind, its default and what it means, as Markdown.

Decides the form of the tables in docs/cloud-description.md, and what backstay-cloud(5) has in common with them. Their
content is what the parser uses.
"""

from __future__ import annotations

from collections.abc import Iterator

from backstay.cloud.keys import CLOUD
from backstay.cloud.kinds import Kind
from backstay.cloud.sections import Key, Named, Section, Variants

MARK = "<!-- What follows is made from the parser's own declarations: do not edit it. -->\n"


def reference() -> str:
    """The tables of all sections, in the order in which they are declared."""
    return "".join(part for title, section in sections() for part in _section(section, title))


def sections() -> Iterator[tuple[str, Section]]:
    """Every section with its title, in the order in which they are declared."""
    yield from _sections(CLOUD, "The whole")


def _sections(section: Section, title: str) -> Iterator[tuple[str, Section]]:
    yield title, section
    for key in section.keys:
        yield from _below(key.kind)


def _below(kind: Kind | Section | Named | Variants) -> Iterator[tuple[str, Section]]:
    if isinstance(kind, Section):
        yield from _sections(kind, f"`{kind.title}`")
    elif isinstance(kind, Named) and not isinstance(kind.value, Kind):
        yield from _below(kind.value)
    elif isinstance(kind, Variants):
        for value, section in kind.sections:
            yield from _sections(section, f"`{kind.title}` with `{kind.key}: {value}`")


def _section(section: Section, title: str) -> Iterator[str]:
    yield f"\n## {title}\n\n{section.doc}\n\n"
    yield "| key | what it is | default | what it means |\n|---|---|---|---|\n"
    for key in section.keys:
        default = "**required**" if key.required else _cell(key.default)
        yield f"| `{key.name}` | {_cell(word(key))} | {default} | {_cell(key.doc)} |\n"
    for said in demands(section):
        yield f"\n{said}\n"


def demands(section: Section) -> Iterator[str]:
    """What holds between the keys of a section, a sentence each."""
    for how, names in (("At least", section.at_least_one), ("Exactly", section.exactly_one)):
        if names:
            yield f"{how} one of {' and '.join(f'`{name}`' for name in names)} is given."


def word(key: Key) -> str:
    """What the value of a key is, in a few words."""
    kind = key.kind
    if isinstance(kind, Kind):
        return kind.word
    if isinstance(kind, Named):
        value = f", each with its {kind.value.word}" if isinstance(kind.value, Kind) else ""
        return f"{kind.noun}s by name{value}"
    return "keys, see below"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
