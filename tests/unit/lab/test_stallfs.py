# SPDX-License-Identifier: GPL-2.0-or-later
"""The stalling file system's answers, as the kernel's fuse.h lays them out."""

from __future__ import annotations

import errno
import os
import stat
import struct

import pytest

from backstay.lab import stallfs


def names(listing):
    found, offset = [], 0
    while offset < len(listing):
        inode, position, length, kind = stallfs.DIRENT.unpack_from(listing, offset)
        start = offset + stallfs.DIRENT.size
        found.append((inode, position, listing[start : start + length], kind))
        offset = start + (length + 7) // 8 * 8
    return found


def read_in(offset, size):
    return stallfs.READ_IN.pack(0, offset, size) + bytes(20)


def handle(code, inode, data=b""):
    return stallfs.HANDLERS[code](inode, data)


def test_the_root_is_a_directory_and_the_volumes_are_files():
    assert stat.S_ISDIR(stallfs.ATTRIBUTES.unpack(stallfs.attributes(stallfs.ROOT))[9])
    fields = stallfs.ATTRIBUTES.unpack(stallfs.attributes(2))
    assert (fields[0], fields[1], stat.S_ISREG(fields[9])) == (2, 1 << 20, True)


@pytest.mark.parametrize(("inode", "name"), [(2, b"base.img"), (3, b"data.img")])
def test_a_volume_is_found_by_its_name(inode, name):
    assert stallfs.ENTRY.unpack_from(handle(stallfs.LOOKUP, stallfs.ROOT, name + b"\0"))[0] == inode


def test_a_name_that_is_not_there():
    with pytest.raises(OSError) as caught:
        handle(stallfs.LOOKUP, stallfs.ROOT, b"nothing\0")
    assert caught.value.errno == errno.ENOENT


def test_the_whole_directory():
    assert [name for _, _, name, _ in names(handle(stallfs.READDIR, 1, read_in(0, 4096)))] == [
        b".", b"..", b"base.img", b"data.img",
    ]  # fmt: skip


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4])
def test_a_directory_is_read_on_from_where_the_kernel_was(offset):
    rest = names(handle(stallfs.READDIR, 1, read_in(offset, 4096)))
    assert [position for _, position, _, _ in rest] == list(range(offset + 1, 5))


def test_a_listing_never_exceeds_the_kernels_buffer():
    listing = handle(stallfs.READDIR, 1, read_in(0, 70))
    assert len(listing) <= 70
    assert [name for _, _, name, _ in names(listing)] == [b".", b".."]


@pytest.mark.parametrize(
    ("offset", "size", "length"), [(0, 512, 512), ((1 << 20) - 8, 512, 8), (1 << 21, 512, 0)]
)
def test_a_volume_is_read_up_to_its_end(offset, size, length):
    assert handle(stallfs.READ, 2, read_in(offset, size)) == bytes(length)


def test_every_look_asks_the_storage():
    assert struct.unpack_from("<QI", handle(stallfs.GETATTR, 2)) == (0, 0)


class Wire:
    """/dev/fuse as a pipe: what the server answers can be read back."""

    def __init__(self, tmp_path):
        self.reader, self.writer = os.pipe()
        self.switch = tmp_path / "switch"
        self.server = stallfs.Server(self.writer, str(self.switch))

    def ask(self, code, unique, data=b"", inode=1):
        size = stallfs.REQUEST.size + len(data)
        self.server._take(stallfs.REQUEST.pack(size, code, unique, inode, 0, 0, 1, 0, 0) + data)

    def answers(self):
        os.set_blocking(self.reader, False)
        try:
            data = os.read(self.reader, 65536)
        except BlockingIOError:
            return []
        found = []
        while data:
            size, error, unique = stallfs.REPLY.unpack_from(data)
            found.append((unique, error))
            data = data[size:]
        return found


@pytest.fixture
def wire(tmp_path):
    made = Wire(tmp_path)
    yield made
    os.close(made.reader)
    os.close(made.writer)


def test_the_first_interrupt_is_refused_so_that_waiting_is_uninterruptible(wire):
    wire.ask(stallfs.LOOKUP, 10, stallfs.ARM + b"\0")
    assert wire.answers() == []
    wire.ask(stallfs.INTERRUPT, 11, struct.pack("<Q", 10))
    assert wire.answers() == [(11, -errno.ENOSYS)]
    wire.server._release()
    assert wire.answers() == [(10, -errno.ENOENT)]


def test_while_it_is_stalled_nothing_is_answered_and_then_everything_is(wire):
    wire.ask(stallfs.GETATTR, 1)
    wire.switch.touch()
    for unique in (2, 3, 4):
        wire.ask(stallfs.GETATTR, unique)
    assert wire.answers() == [(1, 0)]
    wire.switch.unlink()
    wire.server._release()
    assert wire.answers() == [(2, 0), (3, 0), (4, 0)]


def test_what_it_does_not_know_is_refused(wire):
    wire.ask(22, 1)
    assert wire.answers() == [(1, -errno.ENOSYS)]


def test_nobody_waits_for_a_forgotten_inode(wire):
    wire.ask(stallfs.FORGET, 1)
    assert wire.answers() == []
