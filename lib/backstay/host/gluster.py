# SPDX-License-Identifier: GPL-2.0-or-later
"""A GlusterFS volume as its servers describe it: bricks, their sizes, a quota, what waits to be healed.

Decides nothing. Every question is bounded. Source: gluster(8), the XML of `gluster --xml` of GlusterFS 10.3.
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host.process import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


class Brick:
    """One brick, `host:/path`; sizes are in bytes, 0 where they are not told. `arbiter` holds names, no data."""

    __slots__ = ("arbiter", "free", "name", "online", "pending", "size", "split")

    def __init__(
        self,
        name: str,
        *,
        online: bool = True,
        size: int = 0,
        free: int = 0,
        arbiter: bool = False,
        pending: int = 0,
        split: int = 0,
    ) -> None:
        self.name = name
        self.online = online
        self.size = size
        self.free = free
        self.arbiter = arbiter
        self.pending = pending
        self.split = split


class Quota:
    """A limit on a directory of the volume, in bytes."""

    __slots__ = ("limit", "path", "used")

    def __init__(self, path: str, limit: int, used: int) -> None:
        self.path = path
        self.limit = limit
        self.used = used


class Volume:
    """A volume: its bricks in order, `together` of which hold the same data (1: none is mirrored), its quotas."""

    __slots__ = ("bricks", "name", "quotas", "together")

    def __init__(
        self, name: str, bricks: tuple[Brick, ...], together: int = 1, quotas: tuple[Quota, ...] = ()
    ) -> None:
        self.name = name
        self.bricks = bricks
        self.together = together
        self.quotas = quotas


def ask(name: str, timeout: float) -> Volume:
    """Ask glusterd of this host about a volume; raises CannotAsk, also while another host is asking."""
    info = _tell(["volume", "info", name], timeout)
    volume = info.find("volInfo/volumes/volume")
    if volume is None:
        raise CannotAsk(f"GlusterFS knows no volume {name}")
    status = _tell(["volume", "status", name, "detail"], timeout)
    online = {_of(node): node for node in status.iterfind(".//node") if node.findtext("path")}
    options = {
        option.findtext("name"): option.findtext("value") for option in volume.iterfind("options/option")
    }
    together = max(_number(volume, "replicaCount"), _number(volume, "disperseCount"), 1)
    mirrored = _number(volume, "replicaCount") > 1 or _number(volume, "disperseCount") > 1
    healing = _healing(name, timeout) if mirrored else {}
    bricks = []
    for each in volume.iterfind("bricks/brick"):
        brick = each.findtext("name") or ""
        said = online.get(brick)
        pending, split = healing.get(brick, (0, 0))
        bricks.append(
            Brick(
                brick,
                online=said is not None and said.findtext("status") == "1",
                size=_number(said, "sizeTotal"),
                free=_number(said, "sizeFree"),
                arbiter=each.findtext("isArbiter") == "1",
                pending=pending,
                split=split,
            )
        )
    quotas = _quotas(name, timeout) if options.get("features.quota") == "on" else ()
    return Volume(name, tuple(bricks), together, quotas)


def _healing(name: str, timeout: float) -> dict[str, tuple[int, int]]:
    """Give how many entries of each brick wait to be healed, and how many nobody can heal (split-brain)."""
    said = _tell(["volume", "heal", name, "info", "summary"], timeout)
    return {
        brick.findtext("name") or "": (
            _number(brick, "totalNumberOfEntries"),
            _number(brick, "numberOfEntriesInSplitBrain"),
        )
        for brick in said.iterfind("healInfo/bricks/brick")
    }


def _quotas(name: str, timeout: float) -> tuple[Quota, ...]:
    said = _tell(["volume", "quota", name, "list"], timeout)
    return tuple(
        Quota(limit.findtext("path") or "?", _number(limit, "hard_limit"), _number(limit, "used_space"))
        for limit in said.iterfind("volQuota/limit")
    )


def _tell(words: list[str], timeout: float) -> Element:
    from xml.etree import ElementTree as ET

    done = run(["gluster", "--mode=script", "--xml", *words], timeout=timeout)
    try:
        root = ET.fromstring(done.stdout)
    except ET.ParseError:
        raise CannotAsk(f"gluster {' '.join(words)}: {done.complaint()}") from None
    if root.findtext("opRet") not in (None, "0"):
        raise CannotAsk(f"gluster {' '.join(words)}: {root.findtext('opErrstr') or 'refused'}")
    return root


def _of(node: Element) -> str:
    return f"{node.findtext('hostname')}:{node.findtext('path')}"


def _number(element: Element | None, name: str) -> int:
    text = (element.findtext(name) if element is not None else "") or ""
    return int(text) if text.isdecimal() else 0
