# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a fence agent many times without starting an interpreter for each: the side that gives the orders.

Decides when patience with a run ends. What runs it is bench/forking.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from backstay.host.fence_agents import ENVIRONMENT as AS_PACEMAKER
from backstay.host.process import ENVIRONMENT

TOP = Path(__file__).resolve().parents[1]


class Forks:
    """The process that runs an agent without starting an interpreter for each run (bench/forking.py)."""

    def __init__(self, modules: Sequence[str], running: contextlib.ExitStack) -> None:
        argv = ["/usr/bin/python3", "-I", str(TOP / "bench" / "forking.py"), *modules]
        self._process = running.enter_context(
            subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/", env=ENVIRONMENT
            )
        )
        assert self._process.stdin
        running.callback(self._process.stdin.close)

    def run(self, program: str, streams: Mapping[str, str], patience: float) -> int | None:
        """The exit code; None when it had to be killed after so many seconds."""
        process = self._process
        assert process.stdin
        assert process.stdout
        order = {"program": program, "environment": ENVIRONMENT | AS_PACEMAKER, **streams}
        process.stdin.write(f"{json.dumps(order)}\n")
        process.stdin.flush()
        pid = int(process.stdout.readline())
        late = not select.select([process.stdout], [], [], patience)[0]
        if late:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        code = int(process.stdout.readline())
        return None if late else code


def loaded(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """The modules of the standard library that the agent loads, at once or when it needs them."""
    modules = [f"backstay.{name.replace('/', '.')}" for name in names]
    later = {
        found
        for path in paths
        for found in re.findall(
            r"^ +(?:import|from) ([a-z_][a-z_.]*)", (TOP / path).read_text(), re.MULTILINE
        )
        if not found.startswith("backstay")
    }
    asks = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1])\n"
        "import importlib; [importlib.import_module(name) for name in sys.argv[2:]]\n"
        "print(*(name for name in sys.modules if name not in before and not name.startswith('backstay')))"
    )
    argv = ["/usr/bin/python3", "-I", "-c", asks, str(TOP / "lib"), *modules, *sorted(later)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
