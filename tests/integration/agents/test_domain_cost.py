# SPDX-License-Identifier: GPL-2.0-or-later
"""What a monitor loads: imports are most of its cost, and a heavy one comes back unnoticed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"
HEAVY = {
    "asyncio", "collections", "dataclasses", "enum", "functools", "inspect", "json", "libvirt", "logging", "lxml", "pathlib", "psutil", "re", "socket",
    "subprocess", "tempfile", "traceback", "typing", "xml",
}  # fmt: skip
CODE = """
import sys
sys.path.insert(0, {lib!r})
bare = set(sys.modules)
import backstay.ocf.runtime
import backstay.agents.domain
sys.stdout.write(" ".join(sorted({{name.partition(".")[0] for name in set(sys.modules) - bare}})))
"""


def loaded(repository: Path) -> set[str]:
    code = CODE.format(lib=str(repository / "lib"))
    done = subprocess.run([PYTHON, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_monitor_path_loads_nothing_heavy(repository: Path) -> None:
    assert loaded(repository) & HEAVY == set()


@pytest.mark.parametrize(
    "module", ["domain_start", "domain_stop", "domain_migration", "qmp", "definition_copies"]
)
def test_what_only_other_actions_need_is_not_loaded(repository: Path, module: str) -> None:
    code = CODE.format(lib=str(repository / "lib")).replace('.partition(".")[0]', "")
    done = subprocess.run([PYTHON, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.endswith(f".{module}")]
