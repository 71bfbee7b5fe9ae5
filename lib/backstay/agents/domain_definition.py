# SPDX-License-Identifier: GPL-2.0-or-later
"""Who a domain is, by its definition: name and UUID out of libvirt's XML.

Decides what a usable definition is. Never reads a file. The parser is a real one (expat, in the interpreter), so
one long line, comments, namespaces and entities are all the same to it; xml.etree would cost more than it gives.
"""

from __future__ import annotations

import pyexpat

from backstay.errors import BadInput

HEXADECIMAL = "0123456789abcdef"
GROUPS = (8, 4, 4, 4, 12)
SAME = ("", "utf-8", "us-ascii")
BYTE_ORDERS = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 begins
DEEPEST = 256  # elements inside each other; libvirt's parser takes no more
LONGEST = 255  # characters of a name: libvirt makes a file of it


class Definition:
    """A parsed definition: `name`, `uuid` (lower case with dashes, empty when it has none) and its `content`.

    `place` is where in the content, in bytes, the element <name> begins.
    """

    __slots__ = ("content", "name", "place", "uuid")

    def __init__(self, name: str, uuid: str, content: bytes, place: int = 0) -> None:
        self.name = name
        self.uuid = uuid
        self.content = content
        self.place = place

    def xml(self, uuid: str = "") -> str:
        """Give the text for libvirt; a definition without a UUID gets this one, or libvirt would invent another."""
        content = self.content
        if uuid and not self.uuid:
            content = content[: self.place] + f"<uuid>{uuid}</uuid>".encode() + content[self.place :]
        return content.decode("utf-8", "replace")


def normal_uuid(text: str) -> str:
    """Give a UUID in libvirt's own form; raises ValueError. Dashes and case may be anything, as libvirt takes it."""
    digits = text.strip().lower().replace("-", "")
    if len(digits) != sum(GROUPS) or any(digit not in HEXADECIMAL for digit in digits):
        raise ValueError("must be a UUID such as 6b3c8f8e-1f9e-4d0a-9c55-0d6a7c1f2b3a")
    parts = []
    for length in GROUPS:
        parts.append(digits[:length])
        digits = digits[length:]
    return "-".join(parts)


def parse(content: bytes, path: str) -> Definition:
    """Give name and UUID of a domain's definition; raises BadInput that names the file and the line."""
    reader = _Reader()
    found = reader.read(content, path)
    if reader.encoding.lower() not in SAME or content[:2] in BYTE_ORDERS:
        return parse(_recoded(content, reader.encoding or "utf-16", path), path)
    name = found.get("name", "").strip()
    if not name or "/" in name or not name.isprintable():
        raise BadInput(f"{path}: <domain> has no usable <name>")
    given = found.get("uuid", "")
    try:
        uuid = normal_uuid(given) if given.strip() else ""
    except ValueError as complaint:
        raise BadInput(f"{path}: <uuid> {complaint}, not {given.strip()!r}") from None
    return Definition(name, uuid, content, reader.place)


def _recoded(content: bytes, encoding: str, path: str) -> bytes:
    """Give the content in UTF-8 without its declaration: libvirt is given a text, not a file."""
    try:
        text = content.decode(encoding)
        if text.startswith("<?xml"):
            text = text.partition("?>")[2]
        return text.encode()
    except (ValueError, LookupError) as error:
        raise BadInput(f"{path}: not XML for libvirt: {error}") from None


class _Reader:
    """Collects the text of /domain/name and /domain/uuid, whatever stands around it."""

    __slots__ = ("depth", "encoding", "found", "inside", "parser", "place", "root")

    def __init__(self) -> None:
        self.parser = pyexpat.ParserCreate(None, " ")
        self.place = 0
        self.depth = 0
        self.root = ""
        self.encoding = ""
        self.inside = ""
        self.found: dict[str, str] = {}

    def read(self, content: bytes, path: str) -> dict[str, str]:
        parser = self.parser
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        parser.XmlDeclHandler = self.declaration
        try:
            parser.Parse(content, True)
        except pyexpat.ExpatError as error:
            raise BadInput(f"{path}:{error.lineno}: not XML: {pyexpat.ErrorString(error.code)}") from None
        except (ValueError, LookupError) as error:  # what is refused below; an encoding that does not exist
            raise BadInput(f"{path}:{parser.CurrentLineNumber}: not XML for libvirt: {error}") from None
        if self.root != "domain":
            raise BadInput(f"{path}: <{self.root}> where <domain> is expected")
        return self.found

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.encoding = encoding or ""

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"has more than {DEEPEST} elements inside each other")
        local = tag.rpartition(" ")[2]
        if self.depth == 1:
            self.root = local
        self.inside = (
            local if self.depth == 2 and local in ("name", "uuid") and local not in self.found else ""
        )
        if self.inside:
            self.found[local] = ""
        if self.inside == "name":
            self.place = self.parser.CurrentByteIndex

    def end(self, _tag: str) -> None:
        self.depth -= 1
        self.inside = ""

    def text(self, data: str) -> None:
        if self.inside:
            self.found[self.inside] += data
            if len(self.found[self.inside]) > LONGEST:
                raise ValueError(f"has a <{self.inside}> of more than {LONGEST} characters")
