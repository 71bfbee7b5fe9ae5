# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations that were live before they were replaced, kept on this host.

Decides names, place and how many are kept. Readable by root alone: a CIB may hold what is nobody's business.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from backstay.errors import BadInput, CannotAsk
from backstay.host.output import PRIVATE, write_atomically

DIRECTORY = Path("/var/lib/backstay/checkpoints")
KEPT = 20


class Checkpoints:
    """The checkpoints of this host, newest last; their names sort by time (UTC)."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory

    def names(self) -> tuple[str, ...]:
        """The names of those that there are; CannotAsk when this user may not know."""
        try:
            return tuple(sorted(path.stem for path in self._directory.iterdir() if path.suffix == ".xml"))
        except FileNotFoundError:
            return ()
        except OSError as error:
            why = f"the checkpoints in {self._directory} cannot be read: {error.strerror}"
            raise CannotAsk(why, hint="run it as root") from error

    def take(self, cib: bytes) -> str:
        """Keep `cib` and give its name; the oldest beyond 20 go. CannotAsk when it cannot be written."""
        name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        taken = self.names()
        if name in taken:
            name += f"-{sum(one.startswith(name) for one in taken) + 1}"
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
            write_atomically(self._directory / f"{name}.xml", cib, PRIVATE)
            for old in self.names()[:-KEPT]:
                os.unlink(self._directory / f"{old}.xml")  # noqa: PTH108
        except (OSError, BadInput, CannotAsk) as error:
            raise CannotAsk(f"no checkpoint can be kept in {self._directory}: {error}") from error
        return name

    def drop(self, name: str) -> None:
        """Forget one that was taken for nothing."""
        (self._directory / f"{name}.xml").unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """The CIB of a checkpoint; BadInput when there is none of that name."""
        known = self.names()
        if name not in known:
            there = ", ".join(known[-5:]) or "none"
            raise BadInput(
                f"there is no checkpoint {name} in {self._directory}", hint=f"the newest are: {there}"
            )
        return (self._directory / f"{name}.xml").read_bytes()
