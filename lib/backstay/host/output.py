# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that Backstay writes for an admin: complete, or not at all.

Decides how a file is replaced. Never leaves a part of one behind.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from backstay.errors import BackstayError, BadInput, CannotAsk

PUBLIC = 0o644
PRIVATE = 0o600
"""The mode of what holds a whole live CIB: somebody's hand-made fence device may have its password in it."""


def write_atomically(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Replace the file `path` by one that holds `data`; a reader sees the old or the new one, never a part.

    The new file has the old one's mode, or `mode`. Raises BadInput when it cannot be written there, and CannotAsk when
    there is no room.
    """
    target = path.resolve()
    # Renaming over /dev/null, or over a directory, is never what was meant.
    if target.exists() and not target.is_file():
        raise BadInput(
            f"{path} is not a regular file", hint="name a file, or leave the option out for stdout"
        )
    try:
        mode = target.stat().st_mode & 0o7777 if target.exists() else mode
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise _unwritten(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(target)
    except OSError as error:
        raise _unwritten(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _unwritten(path: Path, error: OSError) -> BackstayError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = f"{path} could not be written, and is as it was: {error.strerror}"
        return CannotAsk(why, hint="make room there, or name another file")
    return BadInput(f"{path} cannot be written: {error.strerror}", hint="name another file")


def make_directory(path: Path) -> None:
    """Make the directory `path` and those above it, where they are missing; BadInput when that cannot be done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be made: {error.strerror}", hint="name another directory") from error
