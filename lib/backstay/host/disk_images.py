# SPDX-License-Identifier: GPL-2.0-or-later
"""Disk images, by qemu-img: what a file is, and a new throw-away layer over another.

Decides nothing about when. A new layer is made under another name and renamed, so that a file that an emulator may
still have open elsewhere is never written into.
"""

from __future__ import annotations

import os

from backstay.errors import CannotAsk
from backstay.host.process import run

QEMU_IMG = "/usr/bin/qemu-img"


class Image:
    """What qemu-img says of a file: `format` (qcow2, raw), the `backing` file's full path or an empty text."""

    __slots__ = ("backing", "format")

    def __init__(self, format: str, backing: str = "") -> None:
        self.format = format
        self.backing = backing


class Images:
    """Disk images of this host. Every method raises CannotAsk; `timeout` is in seconds."""

    __slots__ = ()

    def look(self, path: str, timeout: float) -> Image | None:
        """Say what a file is; None when there is none."""
        # -U: reading the header does no harm to a file that an emulator has locked
        done = run([QEMU_IMG, "info", "-U", "--output=json", path], timeout=timeout)
        if not done.ok:
            if "No such file" in done.stderr:
                return None
            raise CannotAsk(f"{path}: {done.complaint()}")
        import json

        try:
            said = json.loads(done.stdout)
            return Image(
                said["format"], said.get("full-backing-filename") or said.get("backing-filename") or ""
            )
        except (ValueError, KeyError, AttributeError) as error:
            raise CannotAsk(f"{path}: qemu-img said what cannot be understood: {error}") from None

    def layer(self, path: str, backing: str, backing_format: str, timeout: float) -> None:
        """Replace `path` by an empty qcow2 over `backing`."""
        fresh = f"{path}.{os.uname().nodename}.{os.getpid()}"
        argv = [QEMU_IMG, "create", "-q", "-f", "qcow2", "-b", backing, "-F", backing_format, fresh]
        done = run(argv, timeout=timeout)
        try:
            if not done.ok:
                raise CannotAsk(f"{path}: {done.complaint()}")
            os.replace(fresh, path)  # noqa: PTH105
        except OSError as error:
            raise CannotAsk(f"{path}: {error.strerror}") from None
