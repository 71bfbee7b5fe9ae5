# SPDX-License-Identifier: GPL-2.0-or-later
"""A bad share: a FUSE file system whose files can be opened and whose reads never end, or end with an error.

Run as a program: `bad_share.py hang|fail|late DIRECTORY`. Who reads from one that hangs waits in D state, where SIGKILL
does not reach; the wait ends when this program does. One that is late reads zeros, and hangs who closes a file from
the moment when there is DIRECTORY.hang. Speaks the kernel's protocol itself (linux/fuse.h), so nothing has to be installed.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import zlib
from pathlib import Path

FORGET, INIT, READ, INTERRUPT, BATCH_FORGET = 2, 26, 15, 36, 42
LOOKUP, GETATTR, OPEN, RELEASE, FLUSH = 1, 3, 14, 18, 25
NOT_IMPLEMENTED, INPUT_OUTPUT_ERROR = -38, -5
ROOT = 1
HEADER = 40  # bytes of a request's header
SIZE = 1 << 20  # bytes of each file
UNANSWERED = (FORGET, INTERRUPT, BATCH_FORGET)


def attributes(node: int) -> bytes:
    mode, size = (0o040755, 0) if node == ROOT else (0o100644, SIZE)
    return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(operation: int, node: int, rest: bytes, how: str) -> tuple[int, bytes]:
    """Give error number and body of the answer; each name is a file of its own."""
    if operation == INIT:
        return 0, struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 12, 9, 4096, 1, 1, 0, *[0] * 8)
    if operation == LOOKUP:
        found = ROOT + 1 + zlib.crc32(rest)
        return 0, struct.pack("<4Q2I", found, 0, 60, 60, 0, 0) + attributes(found)
    if operation == GETATTR:
        return 0, struct.pack("<Q2I", 60, 0, 0) + attributes(node)
    if operation == OPEN:
        return 0, struct.pack("<Q2I", 1, 0, 0)
    if operation == READ:
        return (0, bytes(struct.unpack_from("<QQI", rest)[2])) if how == "late" else (INPUT_OUTPUT_ERROR, b"")
    if operation in (RELEASE, FLUSH):
        return 0, b""
    return NOT_IMPLEMENTED, b""


def main(how: str, directory: str) -> None:
    unanswered = (*UNANSWERED, READ) if how == "hang" else UNANSWERED
    device = os.open("/dev/fuse", os.O_RDWR)
    settings = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"bad", directory.encode(), b"fuse.bad", 0, settings):
        raise OSError(ctypes.get_errno(), f"cannot mount on {directory}")
    while True:
        request = os.read(device, 1 << 17)
        _length, operation, unique, node = struct.unpack_from("<IIQQ", request)
        if operation in unanswered or (operation == FLUSH and Path(f"{directory}.hang").exists()):
            continue
        error, body = answer(operation, node, request[HEADER:], how)
        os.write(device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
