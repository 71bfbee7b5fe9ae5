# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands twice in a description is read twice: what is wrong with the second is said while the first is there.

Decides how often: a file of keys that repeat without end is not read without end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from backstay.cloud.problems import Position
from backstay.cloud.tree import Mapping, Node, Scalar, nodes

MOST = 8
"""The most further readings of a description."""
Repeated = tuple[Mapping, Scalar, Node]


def readings(root: Node) -> Iterator[frozenset[Position]]:
    """What stood again takes the place of what stood first, until the next is asked for; given are the places of it."""
    return islice(_readings([root]), MOST)


def _readings(roots: Iterable[Node]) -> Iterator[frozenset[Position]]:
    for layer in _layers(roots):
        before = [(holder, key.value, holder.items[key.value]) for holder, key, _ in layer]
        for holder, key, value in layer:
            holder.items[key.value] = (key, value)
        values = [value for _, _, value in layer]
        inside = {node.at for node in nodes(values)} | {key.at for value in values for key in _keys(value)}
        yield frozenset(inside | {key.at for _, key, _ in layer})
        yield from _readings(values)
        for holder, name, first in before:
            holder.items[name] = first


def _layers(roots: Iterable[Node]) -> list[list[Repeated]]:
    """The second of each key that repeats, then the third, and so on."""
    layers: list[list[Repeated]] = []
    for holder in nodes(roots):
        times: dict[str, int] = {}
        if not isinstance(holder, Mapping):
            continue
        for key, value in holder.again:
            times[key.value] = times.get(key.value, 0) + 1
            if times[key.value] > len(layers):
                layers.append([])
            layers[times[key.value] - 1].append((holder, key, value))
    return layers


def _keys(root: Node) -> Iterator[Scalar]:
    for node in nodes([root]):
        if isinstance(node, Mapping):
            yield from (key for key, _ in node.items.values())
