# SPDX-License-Identifier: GPL-2.0-or-later
"""What a domain's libvirt definition says about it: name, UUID, memory, vCPUs, disks.

Decides what can be read from a definition. Never reads a file by itself: a `Reader` gives the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from backstay.cloud.units import Bytes

Reader = Callable[[PurePosixPath], bytes | None]
"""Gives the content of a definition, or None when it cannot be read here."""

# libvirt's units (formatdomain.html, "Memory Allocation"); without one it is KiB.
UNITS = {
    "b": 1, "bytes": 1,
    "KB": 10**3, "k": 2**10, "KiB": 2**10,
    "MB": 10**6, "M": 2**20, "MiB": 2**20,
    "GB": 10**9, "G": 2**30, "GiB": 2**30,
    "TB": 10**12, "T": 2**40, "TiB": 2**40,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What a definition says; empty, 0 and () where it does not. `disks` are those that the guest writes alone."""

    name: str
    uuid: str
    memory: Bytes
    vcpus: int
    disks: tuple[PurePosixPath, ...]


def facts(data: bytes) -> Facts:
    """The facts in a definition; ValueError says what is wrong with it."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError((error.msg or "not XML").split(", line ")[0]) from None
    if etree.QName(root).localname != "domain":
        raise ValueError(f"<{etree.QName(root).localname}> where <domain> is expected")
    memory = root.find("memory")
    return Facts(
        name=(root.findtext("name") or "").strip(),
        uuid=_uuid(root.findtext("uuid") or ""),
        memory=Bytes(_number(memory.text) * _unit(memory.get("unit", "KiB")))
        if memory is not None
        else Bytes(0),
        vcpus=_number(root.findtext("vcpu")) if root.find("vcpu") is not None else 0,
        disks=tuple(dict.fromkeys(filter(None, map(_disk, root.iterfind("devices/disk"))))),
    )


def _uuid(text: str) -> str:
    digits = text.strip().lower().replace("-", "")
    if not digits:
        return ""
    if len(digits) != 32 or set(digits) - set("0123456789abcdef"):
        raise ValueError(f"its <uuid> is none: {text.strip()[:60]!r}")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _number(text: str | None) -> int:
    word = (text or "").strip()
    if not word.isdecimal() or len(word) > 18:
        raise ValueError(f"{word[:60]!r} where a whole number is expected")
    return int(word)


def _unit(word: str) -> int:
    if word not in UNITS:
        raise ValueError(f"the unit {word[:20]!r} of its <memory>")
    return UNITS[word]


def _disk(disk: object) -> PurePosixPath | None:
    """The file or device of a disk that nobody else may use; None for a CD, and for what may be shared."""
    from lxml import etree

    assert isinstance(disk, etree._Element)  # noqa: SLF001  (lxml's own name of its type)
    source = disk.find("source")
    shared = any(disk.find(tag) is not None for tag in ("readonly", "shareable"))
    if source is None or shared or disk.get("device", "disk") not in ("disk", "lun"):
        return None
    path = source.get("file") or source.get("dev") or ""
    return PurePosixPath(path) if path.startswith("/") else None
