#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay apply FILE` to the CIB in a file, which it changes: what an apply costs besides the cluster's own work.

    bench/apply_on_file.py CIB FILE

Pacemaker's tools work on the file. Where a cluster would have to be there, one is that is at rest at once and has
fenced nobody; so nothing of the plan happens, and the exit code is 1.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from backstay import cli
from backstay.host import process
from backstay.host.checkpoints import Checkpoints
from backstay.host.pacemaker import Pacemaker


def main() -> None:
    """Apply."""
    cib, file = sys.argv[1:]
    process.ENVIRONMENT["CIB_file"] = cib
    Pacemaker.settled = lambda _self, _seconds: True  # type: ignore[method-assign]
    Pacemaker.fencings = lambda _self: frozenset()  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as directory:
        Checkpoints.__init__.__defaults__ = (Path(directory),)
        cli.main(["apply", "--yes", "--allow-stop", file])


if __name__ == "__main__":
    main()
