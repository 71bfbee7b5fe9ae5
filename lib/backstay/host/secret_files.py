# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that hold or print a secret: whether others could read or change them. Never reads one."""

from __future__ import annotations

import stat
from pathlib import Path

EVERYBODY = 0o077
WRITERS = 0o022


def exposed(path: Path) -> str:
    """What is wrong with the file in one sentence; empty when it is one that only its owner, root, can read."""
    try:
        found = path.stat()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is no file"
    if found.st_mode & EVERYBODY or found.st_uid != 0:
        return f"{path} can be read by others than root (chown root and chmod 0600 mend that)"
    return ""


def changeable(path: Path) -> str:
    """What is wrong with a program that root runs, in one sentence; empty when only its owner, root, can change it."""
    try:
        found = path.stat()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if found.st_mode & WRITERS or found.st_uid != 0:
        return f"{path} can be changed by others than root, who runs it (chown root and chmod 0755 mend that)"
    return ""
