# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs an agent's executable again and again without starting an interpreter each time: a process that forks itself.

Started as `python3 -I forking.py MODULE...`, it loads those modules of the standard library once (the ones that the
agent loads itself), and then takes orders from standard input, one JSON object a line: the executable, its
environment, and the files that are its input, output and error. It answers `PID` when the run has begun and its exit
code when it has ended. A run is a process group of its own, so that whoever loses patience can end all of it. The
agent's own modules are read anew by every run, and what a process does when it ends happens as it does with an
interpreter of its own.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import sys
import traceback


def main() -> None:
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            begin(order)
        tell(pid)
        _, status = os.waitpid(pid, 0)
        tell(os.waitstatus_to_exitcode(status))


def tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def begin(order: dict[str, str | dict[str, str]]) -> None:
    """The child: becomes the agent, and ends as it does."""
    os.setsid()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        place = os.open(order[name], os.O_RDWR | os.O_CREAT)
        os.dup2(place, number)
        os.close(place)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = [order["program"]]
    code = 1
    try:
        with open(order["program"]) as source:  # noqa: PTH123
            text = compile(source.read(), order["program"], "exec")
        exec(text, {"__name__": "__main__", "__file__": order["program"]})  # noqa: S102
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if code == 1 and not isinstance(end.code, int):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001  (as the interpreter does)
        traceback.print_exc()
    finally:
        try:
            atexit._run_exitfuncs()  # noqa: SLF001
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code & 0xFF)


main()
