# SPDX-License-Identifier: GPL-2.0-or-later
"""manual.py DIRECTORY: writes every manual page there, from the declarations in this source tree."""

from __future__ import annotations

import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE / "lib"))

from backstay.cli.manual import pages  # noqa: E402


def programs(pattern: str) -> list[str]:
    """The names of the programs that the packages install."""
    return sorted(path.name for path in SOURCE.glob(pattern) if path.is_file())


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    example = (SOURCE / "examples/three-hosts.yaml").read_text(encoding="utf-8")
    for name, text in pages(programs("agents/*"), programs("fencing/fence_*"), example).items():
        (directory / name).write_text(text, encoding="utf-8")
