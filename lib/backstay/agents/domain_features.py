# SPDX-License-Identifier: GPL-2.0-or-later
"""What in a definition matters to the cluster besides name and UUID, and how little of it is changed for libvirt.

Decides which words of a definition are overridden when the domain is created; the file itself is never written.
Everything else of the definition stays byte for byte as the admin wrote it.

A TPM's state is kept. libvirt 9.0 deletes the state (/var/lib/libvirt/swtpm/UUID) of a transient domain that ends,
seen on a real one, unless its <backend> says persistent_state='yes'; so that is added where the definition does not
say it. An explicit 'no' is the admin's own word and stays. NVRAM is left alone by libvirt.
"""

from __future__ import annotations

import pyexpat

INSTEAD = {"restart": "destroy", "rename-restart": "destroy", "coredump-restart": "coredump-destroy"}
ENDINGS = ("on_crash", "on_poweroff")  # on_reboot=restart is what a reboot is
NVRAM = "/var/lib/libvirt/qemu/nvram"  # where libvirt puts the one that a definition does not place
LONGEST = 4096  # characters of a text that could matter here (a path)
TPM = "/var/lib/libvirt/swtpm"  # libvirt 9.0 knows no other place


class Features:
    """What was found in one definition.

    `restarts` is an element of ENDINGS to its value where that means a restart by libvirt itself. `nvram` is where
    the UEFI variables lie (empty: there are none), `tpm` whether there is an emulated TPM. `disks` are the writable
    disks that are files.
    """

    __slots__ = ("disks", "nvram", "restarts", "tpm")

    def __init__(self) -> None:
        self.restarts: dict[str, str] = {}
        self.nvram = ""
        self.tpm = False
        self.disks: tuple[str, ...] = ()


def read(content: bytes) -> Features:
    """Give the features of a definition that was parsed before; what cannot be parsed any more has none."""
    return _scan(content).found


def overridden(content: bytes, restarts: bool) -> bytes:
    """Give the definition for libvirt: a TPM that keeps its state and, if `restarts`, no restart by libvirt itself."""
    scanned = _scan(content)
    wanted = scanned.tpms + (scanned.endings if restarts else [])
    for begin, end, words in sorted(wanted, reverse=True):
        content = content[:begin] + words + content[end:]
    return content


def marked(content: bytes, mark: bytes) -> bytes:
    """Give the definition with an element in its <metadata>; libvirt reads the first <metadata> only."""
    begin, name = (scanned := _scan(content)).metadata, scanned.name_at
    if begin < 0:
        return (
            content[:name] + b"<metadata>" + mark + b"</metadata>" + content[name:] if name >= 0 else content
        )
    end = _after_tag(content, begin)
    if content[end - 2 : end] == b"/>":
        return content[:begin] + b"<metadata>" + mark + b"</metadata>" + content[end:]
    return content[:end] + mark + content[end:]


def _scan(content: bytes) -> _Scanner:
    scanner = _Scanner(content)
    try:
        scanner.parser.Parse(content, True)
    except (pyexpat.ExpatError, ValueError, LookupError):
        return _Scanner(b"")
    scanner.finish()
    return scanner


class _Scanner:
    """Follows the path of the element that is open; collects features, and places (in bytes) to be changed."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.found = Features()
        self.tpms: list[tuple[int, int, bytes]] = []
        self.endings: list[tuple[int, int, bytes]] = []
        self.path: list[str] = []
        self.text = ""
        self.begin = 0
        self.name = ""
        self.name_at = self.metadata = -1  # where these elements begin
        self.disk = ""
        self.is_efi = False
        self.parser = pyexpat.ParserCreate(None, " ")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.path.append(tag.rpartition(" ")[2])
        self.text = ""
        self.begin = self.parser.CurrentByteIndex
        where = "/".join(self.path[1:])
        if where == "name" and self.name_at < 0:
            self.name_at = self.begin
        elif where == "metadata" and self.metadata < 0:
            self.metadata = self.begin
        elif where == "os/nvram" or (where == "os" and attributes.get("firmware") == "efi"):
            self.is_efi = True
        elif where == "devices/disk":
            self.disk = ""
        elif where == "devices/disk/source":
            self.disk = attributes.get("file", "")
        elif where == "devices/tpm/backend" and attributes.get("type") == "emulator":
            self._tpm(attributes)

    def end(self, _tag: str) -> None:
        where = "/".join(self.path[1:])
        self.path.pop()
        if where == "name":
            self.name = self.text.strip()
        elif where == "os/nvram":
            self.found.nvram = self.text.strip()
        elif where == "devices/disk/readonly":
            self.disk = ""
        elif where == "devices/disk" and self.disk:
            self.found.disks += (self.disk,)
        elif where in ENDINGS:
            self._ending(where)
        self.text = ""

    def characters(self, data: str) -> None:
        if len(self.text) < LONGEST:
            self.text += data

    def finish(self) -> None:
        if self.is_efi and not self.found.nvram:
            self.found.nvram = f"{NVRAM}/{self.name}_VARS.fd"

    def _tpm(self, attributes: dict[str, str]) -> None:
        self.found.tpm = True
        if "persistent_state" not in attributes:
            place = self.begin
            while self.content[place : place + 1] not in (b" ", b"\t", b"\r", b"\n", b"/", b">", b""):
                place += 1
            self.tpms.append((place, place, b" persistent_state='yes'"))

    def _ending(self, element: str) -> None:
        value = self.text.strip()
        if value in INSTEAD:
            self.found.restarts[element] = value
            begin = _after_tag(self.content, self.begin)
            self.endings.append((begin, self.parser.CurrentByteIndex, INSTEAD[value].encode()))


def _after_tag(content: bytes, begin: int) -> int:
    """Give the place after the tag that begins there; a value in quotes may hold a `>`."""
    quote = 0
    for place in range(begin, len(content)):
        byte = content[place]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == ord(">"):
            return place + 1
    return len(content)
