# SPDX-License-Identifier: GPL-2.0-or-later
"""A small read-only FUSE file system that stops answering when told to: a datastore whose storage hangs.

Runs inside a node, alone: `python3 stallfs.py MOUNTPOINT SWITCH`. While the file SWITCH exists nothing is
answered; when it is gone, everything that was asked meanwhile is. Uses the standard library only, because it is
copied to where it runs. The protocol is that of the kernel's include/uapi/linux/fuse.h.

Who waits for an answer is in D state and stays there, SIGKILL or not, as with a dead NFS server: the kernel waits
without signals once user space has said that it does not know FUSE_INTERRUPT (fs/fuse/dev.c, request_wait_answer),
and a request that user space has taken is waited for even by a process that was killed. So the first thing that
this server does is to be interrupted once.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import stat
import struct
import sys
import time
from collections.abc import Callable

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 14, 15, 17, 18
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS = 25, 26, 27, 28, 29, 34
INTERRUPT, DESTROY, BATCH_FORGET = 36, 38, 42

REQUEST = struct.Struct("<IIQQIIIHH")  # fuse_in_header
REPLY = struct.Struct("<IiQ")  # fuse_out_header
ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")  # fuse_attr
ENTRY = struct.Struct("<QQQQII")  # fuse_entry_out before its attributes
VALID = struct.Struct("<QII")  # fuse_attr_out before its attributes
READ_IN = struct.Struct("<QQI")  # the beginning of fuse_read_in
DIRENT = struct.Struct("<QQII")  # fuse_dirent before its name

VERSION, MINOR = 7, 31
LARGEST = 128 * 1024
ROOT = 1
FILES = {2: (b"base.img", 1 << 20), 3: (b"data.img", 1 << 20)}
"""The volumes of the datastore by inode: name and size in bytes (all zeros)."""

ARM = b".arm"
"""Asking for this name is held back until the interrupt comes that the server wants to refuse."""

Handler = Callable[[int, bytes], bytes]


def attributes(inode: int) -> bytes:
    """The fuse_attr of an inode; OSError when there is none."""
    if inode == ROOT:
        mode, size = stat.S_IFDIR | 0o755, 4096
    elif inode in FILES:
        mode, size = stat.S_IFREG | 0o644, FILES[inode][1]
    else:
        raise OSError(errno.ENOENT, "no such inode")
    now = int(time.time())
    return ATTRIBUTES.pack(inode, size, size // 512, now, now, now, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _look_up(_inode: int, data: bytes) -> bytes:
    name = data.rstrip(b"\0")
    for inode, (known, _) in FILES.items():
        if name == known:
            return ENTRY.pack(inode, 0, 0, 0, 0, 0) + attributes(inode)
    raise OSError(errno.ENOENT, "no such file")


def _init(_inode: int, data: bytes) -> bytes:
    _, minor, ahead, _ = struct.unpack_from("<IIII", data)
    fields = (VERSION, min(minor, MINOR), ahead, 0, 12, 10, LARGEST, 1, 0, 0)
    return struct.pack("<IIIIHHIIHH28x", *fields)


def _attributes(inode: int, _data: bytes) -> bytes:
    # Valid for no time at all: every look has to ask the storage.
    return VALID.pack(0, 0, 0) + attributes(inode)


def _read_directory(_inode: int, data: bytes) -> bytes:
    _, offset, size = READ_IN.unpack_from(data)
    listing = b""
    entries = [(ROOT, b".", 4), (ROOT, b"..", 4), *((inode, name, 8) for inode, (name, _) in FILES.items())]
    for number, (inode, name, kind) in enumerate(entries[offset:], offset + 1):
        entry = DIRENT.pack(inode, number, len(name), kind) + name
        entry += b"\0" * (-len(entry) % 8)
        if len(listing) + len(entry) > size:
            break
        listing += entry
    return listing


def _read(inode: int, data: bytes) -> bytes:
    _, offset, size = READ_IN.unpack_from(data)
    return bytes(max(0, min(size, FILES[inode][1] - offset)))


def _statfs(_inode: int, _data: bytes) -> bytes:
    return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 19, 1 << 19, 1024, 512, 4096, 255, 4096, 0)


def _opened(_inode: int, _data: bytes) -> bytes:
    return struct.pack("<QII", 0, 1, 0)  # direct I/O: every read has to ask the storage


def _done(_inode: int, _data: bytes) -> bytes:
    return b""


HANDLERS: dict[int, Handler] = {
    LOOKUP: _look_up, GETATTR: _attributes, OPEN: _opened, READ: _read, STATFS: _statfs, RELEASE: _done,
    FLUSH: _done, INIT: _init, OPENDIR: _opened, READDIR: _read_directory, RELEASEDIR: _done, ACCESS: _done,
}  # fmt: skip
SILENT = (FORGET, BATCH_FORGET)


class Server:
    """One mounted file system. `device` is the file descriptor of /dev/fuse, `switch` the path of the switch."""

    def __init__(self, device: int, switch: str) -> None:
        self._device = device
        self._switch = switch
        self._held: list[bytes] = []
        self._armed = False

    def serve(self) -> None:
        """Answer until the file system is unmounted."""
        while True:
            readable, _, _ = select.select([self._device], [], [], 0.1)
            if self._held and self._armed and not os.path.lexists(self._switch):
                self._release()
            if not readable:
                continue
            try:
                request = os.read(self._device, LARGEST + 4096)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EAGAIN, errno.EINTR):
                    continue  # the request was taken back
                if error.errno == errno.ENODEV:
                    return
                raise
            self._take(request)

    def _take(self, request: bytes) -> None:
        _, code, unique, _, *_ = REQUEST.unpack_from(request)
        if code == INTERRUPT:
            self._reply(unique, -errno.ENOSYS)
            self._armed = True
        elif code == DESTROY:
            self._reply(unique)
        elif code in SILENT:
            return
        elif os.path.lexists(self._switch) or (not self._armed and request[REQUEST.size :].startswith(ARM)):
            self._held.append(request)
        else:
            self._answer(request)

    def _release(self) -> None:
        held, self._held = self._held, []
        for request in held:
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        _, code, unique, inode, *_ = REQUEST.unpack_from(request)
        handler = HANDLERS.get(code)
        if handler is None:
            self._reply(unique, -errno.ENOSYS)
            return
        try:
            answer = handler(inode, request[REQUEST.size :])
        except OSError as error:
            self._reply(unique, -(error.errno or errno.EIO))
        else:
            self._reply(unique, 0, answer)

    def _reply(self, unique: int, error: int = 0, answer: bytes = b"") -> None:
        try:
            os.write(self._device, REPLY.pack(REPLY.size + len(answer), error, unique) + answer)
        except OSError as problem:
            if problem.errno != errno.ENOENT:  # nobody waits for it any more
                raise


def mount(point: str) -> int:
    """Mount on `point`; returns the file descriptor that serves it. Raises OSError."""
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"stallfs", point.encode(), b"fuse.stallfs", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "the file system cannot be mounted", point)
    return device


def arm(point: str) -> None:
    """In a child: ask for the armed name, and let an alarm interrupt the wait."""
    if os.fork() == 0:
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)
        os.path.lexists(os.fsencode(point) + b"/" + ARM)
        os._exit(0)


def main(arguments: list[str]) -> None:
    """Mount and serve."""
    point, switch = arguments
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    device = mount(point)
    arm(point)
    Server(device, switch).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
