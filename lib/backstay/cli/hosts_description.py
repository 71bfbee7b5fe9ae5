# SPDX-License-Identifier: GPL-2.0-or-later
"""The description for `backstay host`: as it lies on the disk, and as it is to be with one host more or less.

Decides which file of several is changed. What is wanted is parsed before anything is done; writing is atomic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click

from backstay.cli import options
from backstay.cloud import entry
from backstay.cloud.model import Cloud, Host
from backstay.errors import BadInput
from backstay.host.output import write_atomically

Files = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Description:
    """The files at `path`, what they are to be, and what that means."""

    path: str
    disk: Files
    wanted: Files
    cloud: Cloud

    @property
    def written(self) -> bool:
        """Whether nothing has to be written."""
        return self.disk == self.wanted

    def host(self, name: str) -> Host | None:
        """A described host."""
        return next((host for host in self.cloud.hosts if host.name == name), None)

    def write(self) -> None:
        """Replace the files that are to be other ones."""
        for (name, old), (_, new) in zip(self.disk, self.wanted, strict=True):
            if old != new:
                write_atomically(Path(name), new)
                click.echo(f"wrote {name}", err=True)


def including(path: str, name: str, given: str) -> Description:
    """The description with the host `name`; `given` is its entry, for a description without it.

    BadInput when it has none and none is given, or when with it the description is not valid.
    """
    disk = options.read_files(path)
    if any(entry.mentions(_text(one), name) for one in disk):
        description = Description(path, disk, disk, options.as_cloud(disk, path))
        return description if not given else _same(description, name, given)
    if not given:
        hint = "write its entry, or give it with --entry FILE or --set address=... --set bmc.address=..."
        raise BadInput(f"{path} has no host {name}", hint=hint)
    last = max((number for number, one in enumerate(disk) if entry.has_hosts(_text(one))), default=0)
    wanted = list(disk)
    wanted[last] = (disk[last][0], entry.with_host(_text(disk[last]), name, given).encode())
    return Description(path, disk, wanted, options.as_cloud(wanted, path))


def _same(description: Description, name: str, given: str) -> Description:
    """The description as it is, if the entry that was given says what its own says."""
    number = next(n for n, one in enumerate(description.disk) if entry.mentions(_text(one), name))
    file, text = description.disk[number][0], _text(description.disk[number])
    host = description.host(name)
    numbers = {each.name: each.nodeid for each in description.cloud.members}
    bare = entry.without_host(text, name, numbers if len(description.cloud.hosts) > 1 else {})
    other = list(description.disk)
    other[number] = (file, entry.with_host(bare, name, given).encode())
    cloud = options.as_cloud(other, description.path)
    found = next(each for each in cloud.hosts if each.name == name)
    if _without_number(found) != _without_number(host):
        hint = "change the entry by hand, or leave --entry and --set out"
        raise BadInput(f"{file} has another entry for {name} than the one that is given", hint=hint)
    return description


def _without_number(host: Host | None) -> object:
    return host and replace(host, nodeid=0)


def excluding(path: str, name: str, numbers: Mapping[str, int]) -> Description:
    """The description without the host `name`; the hosts that stay keep their `numbers` in Corosync."""
    disk = options.read_files(path)
    bare = _without(path, disk, name, {})
    if all(numbers.get(host.name) == host.nodeid for host in bare.cloud.members):
        return bare  # by their places they are what they were
    return _without(path, disk, name, numbers)


def _without(path: str, disk: Files, name: str, numbers: Mapping[str, int]) -> Description:
    wanted = [(file, _struck(file, data, name, numbers)) for file, data in disk]
    return Description(path, disk, wanted, options.as_cloud(wanted, path))


def _struck(file: str, data: bytes, name: str, numbers: Mapping[str, int]) -> bytes:
    text = _text((file, data))
    return entry.without_host(text, name, numbers).encode() if entry.mentions(text, name) else data


def _text(file: tuple[str, bytes]) -> str:
    try:
        return file[1].decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{file[0]} is not UTF-8") from error
