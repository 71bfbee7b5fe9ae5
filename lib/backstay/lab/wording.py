# SPDX-License-Identifier: GPL-2.0-or-later
"""How the admin calls this command again, for sentences that are there to be pasted."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

NAME = "backstay"


def myself() -> str:
    """`backstay` where a shell finds it, otherwise the path that was called (in a clone `.venv/bin/backstay`)."""
    called = sys.argv[0]
    if Path(called).name != NAME or "/" not in called:
        return NAME
    return NAME if shutil.which(NAME) == called else called
