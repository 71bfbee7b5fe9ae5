# SPDX-License-Identifier: GPL-2.0-or-later
"""A corosync.conf that is there, with other members: `nodelist` and `quorum` anew, the rest as the admin has it.

Decides what of it follows from the description, what would get lost, and the number of the new version. Pure. Source:
corosync.conf(5) of Corosync 3.1, config_version included: a host that starts with an older number ends by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backstay.errors import BadInput

VERSION = "config_version"
FOLLOWS = frozenset({"two_node", "wait_for_all", "expected_votes"})
"""What of `quorum` follows from how many members there are."""

OURS = ("nodelist", "quorum")
NODE = ["nodelist", "node"]
_LINE = re.compile(r"\s*(?:(?P<open>\w+)\s*\{|(?P<close>\})|(?P<key>\w+)\s*:\s*(?P<value>.*?))\s*")


@dataclass(frozen=True, slots=True)
class Block:
    """A section at the top: its lines from `begin` to `end`, and what is set in it by path (`node.name`), in order."""

    name: str
    begin: int
    end: int
    settings: tuple[tuple[str, str], ...]


def blocks(text: str) -> tuple[Block, ...]:
    """The sections of a corosync.conf; BadInput for what is none."""
    found, place, settings, begin = [], list[str](), list[tuple[str, str]](), 0
    for number, line in enumerate(text.splitlines()):
        match = _LINE.fullmatch(line.partition("#")[0]) if not line.lstrip().startswith("#") else None
        if match is None:
            continue
        if match["open"]:
            if not place:
                begin, settings = number, []
            place.append(match["open"])
            if place == NODE:
                settings.append((NODE[1], ""))  # where another one begins: they need not have the same keys
        elif match["close"]:
            if not place:
                raise BadInput(f"corosync.conf has a brace too many in line {number + 1}")
            name = place.pop()
            if not place:
                found.append(Block(name, begin, number + 1, tuple(settings)))
        elif place:
            settings.append((".".join([*place[1:], match["key"]]), match["value"]))
    if place:
        raise BadInput(f"corosync.conf does not end its section {place[0]}")
    return tuple(found)


def version(text: str) -> int:
    """The number of the version; 0 when it has none."""
    value = dict(_block(text, "totem").settings).get(VERSION, "0")
    return int(value) if value.isdecimal() else 0


def cluster_name(text: str) -> str:
    """The name of the cluster that it is for."""
    return dict(_block(text, "totem").settings).get("cluster_name", "")


def members(text: str) -> dict[str, Mapping[str, str]]:
    """What it says of each member, by its name (by its first address where it has none)."""
    found: list[dict[str, str]] = []
    for path, value in _block(text, "nodelist").settings:
        if path == NODE[1]:
            found.append({})
        elif found:
            found[-1][path.rpartition(".")[2]] = value
    return {one.get("name") or one.get("ring0_addr", ""): one for one in found}


def same_members(one: str, other: str) -> bool:
    """Whether two say the same about members and quorum, comments, order of keys and version aside."""
    quorums = [sorted(_block(text, "quorum").settings) for text in (one, other)]
    return members(one) == members(other) and quorums[0] == quorums[1]


def renewed(text: str, rendered: str, number: int) -> str:
    """`text` with the members and the quorum of `rendered`, as version `number`."""
    lines, news = text.splitlines(), {block.name: block for block in blocks(rendered)}
    source = rendered.splitlines()
    old = {block.name: block for block in blocks(text)}
    for name in sorted(OURS, key=lambda name: -old[name].begin if name in old else 1):
        fresh = source[news[name].begin : news[name].end]
        if name in old:
            lines[old[name].begin : old[name].end] = fresh
        else:
            lines += ["", *fresh]
    return "\n".join(_numbered(lines, number)) + "\n"


def lost(text: str, rendered: str, target: str) -> tuple[str, ...]:
    """What `text` says about hosts that stay, or about the quorum, and `rendered` says otherwise or not at all."""
    return (*_of_members(members(text), members(rendered), target), *_of_quorum(text, rendered))


def _of_members(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]], target: str
) -> Iterator[str]:
    for name, was in before.items():
        if name == target:
            continue
        if name not in after:
            yield f"{name} is a member, and the description does not make it one"
            continue
        for key, value in was.items():
            if after[name].get(key) != value:
                yield f"{key} of {name} is {value}, the description says {after[name].get(key) or 'nothing of it'}"
    for name in after:
        if name not in before and name != target:
            yield f"the description makes {name} a member, which it is not yet: add it by itself"


def _of_quorum(text: str, rendered: str) -> Iterator[str]:
    after = dict(_block(rendered, "quorum").settings)
    for path, value in _block(text, "quorum").settings:
        if path not in FOLLOWS and path != "device.votes" and after.get(path) != value:
            yield f"{path} of the quorum is {value}, the description says {after.get(path) or 'nothing of it'}"


def _block(text: str, name: str) -> Block:
    return next((block for block in blocks(text) if block.name == name), Block(name, 0, 0, ()))


def _numbered(lines: list[str], number: int) -> list[str]:
    kept = [line for line in lines if not re.match(rf"\s*{VERSION}\s*:", line)]
    at = next((place for place, line in enumerate(kept) if re.match(r"\s*totem\s*\{", line)), None)
    if at is None:
        raise BadInput("corosync.conf has no section totem")
    return [*kept[: at + 1], f"  {VERSION}: {number}", *kept[at + 1 :]]
