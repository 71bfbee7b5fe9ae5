# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests say of a broken agent that its rehearsal let pass: which test fails, if any does.

Decides which tests are asked about which module: those without a BMC. Each defect goes into a copy of the library; a
process that has loaded pytest once forks itself for each, because most of a test run is its beginning.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

AT_ONCE = 2
PATIENCE = 120  # seconds for the tests of one defect: some of them make a wait endless
SEEN = tuple(
    f"unit/fencing/test_{name}.py"
    for name in (
        "survivors",
        "survivors_besides",
        "redfish_survivors",
        "redfish_survivors_besides",
        "https_survivors",
        "sentences",
    )
)
TALK, REDFISH = ("unit/fencing/test_protocol.py",), ("unit/fencing/test_redfish_agent.py",)
# By the end of a module's path; what is not here is asked of the tests of whole agents.
TESTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "fencing/inputs.py": ("unit/fencing/test_inputs.py", *TALK),
        "fencing/parameters.py": (
            "unit/fencing/test_inputs.py",
            "unit/fencing/test_password.py",
            *TALK,
            *REDFISH,
        ),
        "fencing/password.py": ("unit/fencing/test_password.py", *TALK),
        "fencing/power.py": ("unit/fencing/test_power.py", *TALK, *REDFISH),
        "fencing/ways.py": ("unit/fencing/test_ways.py", *TALK),
        "fencing/wording.py": ("unit/fencing/test_wording.py", *TALK),
        "host/bmc.py": ("unit/fencing/test_ipmitool.py", "unit/fencing/test_redfish_answers.py"),
        "host/clock.py": ("unit/host/test_clock.py",),
        "host/ipmitool.py": ("unit/fencing/test_ipmitool.py", *TALK),
        "host/process.py": ("integration/host/test_process.py", "integration/fencing/test_a_killed_agent.py"),
        "host/https.py": ("unit/fencing/test_https.py",),
        "host/redfish.py": ("unit/fencing/test_redfish.py",),
        "host/redfish_answers.py": ("unit/fencing/test_redfish_answers.py", "unit/fencing/test_redfish.py"),
    }
)
COPIED = ("lib", "tests", "fencing", "pyproject.toml", "setup.cfg")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "lab", "docs", "kernel", "schemas")
Defect = tuple[str, str, str]  # what it is called, its file, the whole changed source


def of(defects: Sequence[Defect], top: Path) -> Iterator[str]:
    """Two lines for each: its name, and the first test that fails, or ALIVE."""
    import hypothesis
    import pytest

    assert pytest
    assert hypothesis
    place = top / ".cache"  # links lie on the same file system
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="opinions-", dir=place) as name:
        # One process for each defect: what a test imports is the broken library.
        context = multiprocessing.get_context("fork")
        with context.Pool(AT_ONCE, maxtasksperchild=1) as pool:
            answers = pool.imap(partial(_opinion, top, Path(name)), defects, chunksize=1)
            for (title, _, _), answer in zip(defects, answers, strict=True):
                yield f"{title}\n         {answer}"


def _opinion(top: Path, directory: Path, defect: Defect) -> str:
    _, path, text = defect
    tree = Path(tempfile.mkdtemp(dir=directory))
    for each in COPIED:
        if (top / each).is_dir():
            keep = LEFT_OUT if each == "tests" else shutil.ignore_patterns("__pycache__")
            shutil.copytree(top / each, tree / each, ignore=keep, copy_function=os.link)
        else:
            os.link(top / each, tree / each)
    (tree / path).unlink()  # it is a link
    (tree / path).write_text(text)
    try:
        return _tested(tree, path)
    finally:
        shutil.rmtree(tree)


def _tested(tree: Path, path: str) -> str:
    import signal

    import pytest

    for name in [name for name in sys.modules if name.partition(".")[0] in ("backstay", "tests", "bench")]:
        del sys.modules[name]
    sys.path[:0] = [str(tree / "lib"), str(tree)]
    sys.dont_write_bytecode = True
    os.chdir(tree)
    tests = (*SEEN, *next((tests for end, tests in TESTS.items() if path.endswith(end)), (*TALK, *REDFISH)))
    said = tree / "said"
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(PATIENCE)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no", "-rfE"]
    with said.open("w") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = int(pytest.main([*options, *(f"tests/{test}" for test in tests)]))
        except TimeoutError:
            return f"killed by the tests not ending within {PATIENCE} s"
        finally:
            signal.alarm(0)
    text = said.read_text()
    if code == 0:
        return "ALIVE"
    first = re.search(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
    return f"killed by {first[1] if first else (text.strip().splitlines() or ['no word'])[-1]}"


def _late(*_: object) -> None:
    raise TimeoutError
