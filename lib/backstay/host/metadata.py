# SPDX-License-Identifier: GPL-2.0-or-later
"""The metadata that Pacemaker's daemons and the agents of this host print (30 to 50 ms each); works without a cluster.

Decides nothing: who is not installed, or does not answer, says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import run

DAEMONS = ("/usr/lib/pacemaker", "/usr/libexec/pacemaker")  # Debian, and who follows its own prefix
TIMEOUT = 20.0  # seconds


class Installed:
    """What is installed on this host; the daemons lie in one of the `directories`."""

    def __init__(self, directories: Sequence[str] = DAEMONS) -> None:
        self._directories = directories

    def daemon(self, name: str) -> str:
        """The metadata of one of Pacemaker's daemons (`pacemaker-schedulerd`)."""
        files = [Path(directory) / name for directory in self._directories]
        return next((_said(str(file), "metadata") for file in files if file.exists()), "")

    def agent(self, name: str) -> str:
        """The metadata of an agent (`ocf:backstay:domain`), as Pacemaker gets it."""
        return _said("crm_resource", f"--show-metadata={name}")


def _said(*argv: str) -> str:
    try:
        done = run(argv, timeout=TIMEOUT)
    except CannotAsk:
        return ""
    return done.stdout if done.ok else ""
