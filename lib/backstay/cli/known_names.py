# SPDX-License-Identifier: GPL-2.0-or-later
"""Names that an admin may mean: of hosts, domains, resources and devices, for completion.

Decides where they are read: from a description or a CIB named on the line, else from the live CIB. Whatever cannot be
read, quickly, has no names: a shell that waits or complains is worse than one that does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from backstay.cloud import tree
from backstay.cloud.problems import InvalidDescription, Report
from backstay.cloud.tree import Node, Scalar
from backstay.errors import BackstayError
from backstay.host.pacemaker import Pacemaker
from backstay.host.process import Completed, run

PATIENCE = 2.0  # seconds for the live CIB; an admin has pressed a key and waits
LARGEST = 32 << 20  # bytes of a file
DESCRIPTIONS = (".yaml", ".yml")
CIBS = (".xml",)
_RESOURCES = "configuration/resources//*[self::primitive or self::group or self::clone or self::bundle]"


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a description or a CIB has, each kind in its own order; `mirrors` are DRBD's."""

    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()


def names(words: Iterable[str]) -> Names:
    """The names of the description or the CIB among the `words` of a command line, else those of the live cluster."""
    for word in words:
        path = Path(word)
        try:
            if path.is_dir():
                files = sorted(
                    each for each in path.iterdir() if each.suffix in DESCRIPTIONS and _short(each)
                )
                if files:
                    return of_description([each.read_bytes() for each in files])
            elif path.suffix in DESCRIPTIONS and _short(path):
                return of_description([path.read_bytes()])
            elif path.suffix in CIBS and _short(path):
                return of_cib(path.read_bytes())
        except OSError:
            continue
    return of_cluster()


def _short(path: Path) -> bool:
    """Whether it is a file, which keeps nobody waiting, and none that takes long to read; not an editor's."""
    return path.is_file() and path.stat().st_size <= LARGEST and not path.name.startswith(".")


def of_description(files: Iterable[bytes]) -> Names:
    """The names in the files of a cloud description, also of one that is not finished."""
    found: dict[str, list[str]] = {"hosts": [], "domains": [], "storage": [], "devices": []}
    mirrors: list[str] = []
    for data in files:
        try:
            root = tree.read_tree(data, Report(""))
        except InvalidDescription:
            continue
        for section in found:
            found[section] += _below(root, section)
        mirrors += _mirrors(root)
    domains, devices = tuple(found["domains"]), tuple(found["devices"])
    return Names(tuple(found["hosts"]), domains, (*domains, *found["storage"]), devices, tuple(mirrors))


def _mirrors(root: Node) -> list[str]:
    """The DRBD resources of domains and storage; one that has no name of its own has its owner's."""
    disks = [(name, part.items["drbd"][1]) for name, part in _parts(root, "domains") if "drbd" in part.items]
    disks += [(name, part) for name, part in _parts(root, "storage") if _word(part, "type") == "drbd"]
    return [_word(disk, "resource") or name for name, disk in disks if isinstance(disk, tree.Mapping)]


def _word(mapping: tree.Mapping, key: str) -> str:
    node = mapping.items[key][1] if key in mapping.items else None
    return node.value if isinstance(node, Scalar) else ""


def _parts(root: Node, section: str) -> list[tuple[str, tree.Mapping]]:
    return [(name, part) for name, part in _below(root, section).items() if isinstance(part, tree.Mapping)]


def _below(node: Node, key: str) -> dict[str, Node]:
    """What stands in the mapping under `key`."""
    inner = node.items.get(key) if isinstance(node, tree.Mapping) else None
    items = inner[1].items if inner is not None and isinstance(inner[1], tree.Mapping) else {}
    return {name: value for name, (_, value) in items.items()}


def of_cib(cib: bytes) -> Names:
    """The names in a CIB."""
    try:
        root = etree.fromstring(cib)
    except etree.XMLSyntaxError:
        return Names()
    hosts = [*_values(root, "configuration/nodes/node/@uname"), *_values(root, _REMOTE)]
    return Names(
        tuple(dict.fromkeys(hosts)),
        _values(root, "configuration/resources//primitive[@type='domain' or @type='VirtualDomain']/@id"),
        _values(root, f"{_RESOURCES}[not(@class='stonith')]/@id"),
        _values(root, "configuration/resources//primitive[@class='stonith']/@id"),
        _values(root, "configuration/resources//nvpair[@name='drbd_resource']/@value"),
    )


_REMOTE = "configuration/resources//primitive[@provider='pacemaker' and @type='remote']/@id"


def _values(root: etree._Element, path: str) -> tuple[str, ...]:
    found = root.xpath(path)
    return tuple(str(value) for value in found) if isinstance(found, list) else ()


def of_cluster() -> Names:
    """The names in the live CIB; none when the cluster does not answer at once."""

    def quickly(
        argv: Iterable[str], *, timeout: float, environment: Mapping[str, str] | None = None, stdin: str = ""
    ) -> Completed:
        return run(list(argv), timeout=min(timeout, PATIENCE), environment=environment, stdin=stdin)

    try:
        return of_cib(Pacemaker(runner=quickly).live())
    except BackstayError:
        return Names()
