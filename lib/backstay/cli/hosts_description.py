# SPDX-License-Identifier: GPL-2.0-or-later
"""The description for `backstay host`: as it lies on the disk, and as it is to be with one host more or less.

Decides which file of several is changed. What is wanted is parsed before anything is done; writing is atomic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from backstay.cli import options
from backstay.cloud import entry
from backstay.cloud.model import Cloud, Host
from backstay.cloud.names import HOST_NAME, HOST_NAME_EXPECTED
from backstay.cloud.problems import InvalidDescription
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
    if HOST_NAME.fullmatch(name) is None:
        raise BadInput(f"{name!r} is no host's name", hint=f"expected: {HOST_NAME_EXPECTED}")
    disk = options.read_described(path)
    if any(_mentions(one, name) for one in disk):
        description = Description(path, disk, disk, options.as_cloud(disk, path))
        return description if not given else _same(description, name, given)
    if not given:
        hint = "write its entry, or give it with --entry FILE or --set address=... --set bmc.address=..."
        raise BadInput(f"{path} has no host {name}", hint=hint)
    last = max((number for number, one in enumerate(disk) if entry.has_hosts(_text(one))), default=0)
    wanted = list(disk)
    wanted[last] = _changed(disk[last], lambda text: entry.with_host(text, name, given))
    return Description(path, disk, wanted, _with_entry(disk, wanted, path))


def _with_entry(disk: Files, wanted: Files, path: str) -> Cloud:
    """What is wrong with the files as they are is said first; then what the entry makes wrong."""
    try:
        return options.as_cloud(wanted, path)
    except InvalidDescription as error:
        options.as_cloud(disk, path)
        error.hint = (
            "mend what --set or --entry says: the lines are those of the file with the new entry in it"
        )
        raise


def _same(description: Description, name: str, given: str) -> Description:
    """The description as it is, if the entry that was given says what its own says."""
    number = next(n for n, one in enumerate(description.disk) if _mentions(one, name))
    other = list(description.disk)
    other[number] = _changed(other[number], lambda text: entry.with_other(text, name, given))
    cloud = _with_entry(description.disk, other, description.path)
    if replace(description, cloud=cloud).host(name) != description.host(name):
        hint = "change the entry by hand, or leave --entry and --set out"
        file = other[number][0]
        raise BadInput(f"{file} has another entry for {name} than the one that is given", hint=hint)
    return description


@contextmanager
def said_of(file: str) -> Iterator[None]:
    """What stands against a text is said with the name of its file."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{file}: {error}", hint=error.hint) from error


def _mentions(file: tuple[str, bytes], name: str) -> bool:
    text = _text(file)
    with said_of(file[0]):
        return entry.mentions(text, name)


def _changed(file: tuple[str, bytes], change: Callable[[str], str]) -> tuple[str, bytes]:
    text = _text(file)
    with said_of(file[0]):
        return file[0], change(text).encode()


def excluding(path: str, name: str, numbers: Mapping[str, int]) -> Description:
    """The description without the host `name`; the hosts that stay keep their `numbers` in Corosync."""
    disk = options.read_described(path)
    bare = _without(path, disk, name, {})
    if all(numbers.get(host.name) == host.nodeid for host in bare.cloud.members):
        return bare  # by their places they are what they were
    return _without(path, disk, name, numbers)


def _without(path: str, disk: Files, name: str, numbers: Mapping[str, int]) -> Description:
    wanted = [_changed(one, lambda text: entry.without_host(text, name, numbers)) for one in disk]
    return Description(path, disk, wanted, options.as_cloud(wanted, path))


def _text(file: tuple[str, bytes]) -> str:
    try:
        return file[1].decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{file[0]} is not UTF-8") from error
