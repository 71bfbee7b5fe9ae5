# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded listings of drbdsetup events2, and the state that a stream of changes comes to."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parent / "data"
HAPPENED = ("exists", "create", "change", "destroy")
IDENTITY = ("name", "peer-node-id", "volume", "local", "peer")


def sections(name: str) -> dict[str, str]:
    """The sections of a file of recordings by their titles."""
    _, *parts = (DATA / name).read_text().split("##### ")
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def come_to(stream: str) -> str:
    """What `--now` would list after that stream: each object with its last word on everything."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for line in stream.splitlines():
        happened, kind, *words = line.split()
        if happened not in HAPPENED or kind == "-":
            continue
        pairs = dict(word.partition(":")[::2] for word in words)
        key = (kind, *(pairs.get(word, "") for word in IDENTITY))
        if happened == "destroy":
            found.pop(key)
        else:
            found[key] = found.get(key, {}) | pairs
    lines = [
        f"exists {key[0]} " + " ".join(":".join(pair) for pair in words.items())
        for key, words in found.items()
    ]
    return "\n".join([*lines, "exists -", ""])
