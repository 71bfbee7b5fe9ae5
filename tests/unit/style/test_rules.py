# SPDX-License-Identifier: GPL-2.0-or-later
"""Each house rule is shown to fail on a planted source, and to leave a good one alone."""

from __future__ import annotations

import pytest

from tests.unit.style import rules
from tests.unit.style.source import Source

# REUSE-IgnoreStart
LICENCE = "# SPDX-License-Identifier: GPL-2.0-or-later\n"
# REUSE-IgnoreEnd
LONG = "def long() -> None:\n" + "    pass\n" * 60
CAUGHT = "def main() -> None:\n    try: f()\n    except Exception: pass\n"
# Put together here, so that the rule about words does not find them in this file.
MAS = "Mas" + "ter"
TODO = "TO" + "DO"

PLANTED = [
    # rule, path, text, line of the finding, part of the finding
    (rules.imports_go_one_way, "cloud/model.py", "import backstay.cib.render", 1, "cloud must not import backstay.cib"),
    (rules.imports_go_one_way, "cloud/model.py", "from backstay import host", 1, "backstay.host"),
    (rules.imports_go_one_way, "cloud/model.py", "from .. import plan", 1, "backstay.plan"),
    (rules.imports_go_one_way, "cib/render.py", "\ndef f():\n    from backstay.host import process", 3, "backstay.host"),
    (rules.imports_go_one_way, "ocf/agent.py", "from backstay.agents.domain import AGENT", 1, "backstay.agents"),
    (rules.imports_go_one_way, "ocf/agent.py", "from backstay.host.state import State", 1, "backstay.host"),
    (rules.imports_go_one_way, "host/proc.py", "from backstay.ocf import codes", 1, "backstay.ocf"),
    (rules.imports_go_one_way, "agents/domain.py", "from backstay.lab import node", 1, "backstay.lab"),
    (rules.imports_go_one_way, "cli/fence.py", "\nfrom backstay.lab.node import Node", 2, "a command for a real cluster"),
    (rules.imports_go_one_way, "__init__.py", "from backstay.cloud import model", 1, "backstay.cloud"),
    (rules.imports_go_one_way, "errors.py", "from backstay.host import clock, proc", 1, "backstay.host.proc"),
    (rules.imports_go_one_way, "novelty/x.py", "import os", 1, "no place in the import rule"),
    (rules.imports_go_one_way, "cib/a.py", "if TYPE_CHECKING:\n    from backstay.host.process import run", 2, "host"),
    (rules.only_host_and_lab_touch_the_world, "cib/a.py", "import subprocess", 1, "subprocess"),
    (rules.only_host_and_lab_touch_the_world, "agents/a.py", "def f():\n    import libvirt", 2, "libvirt"),
    (rules.only_host_and_lab_touch_the_world, "plan/a.py", "from socket import socket", 1, "socket"),
    (rules.only_host_and_lab_touch_the_world, "plan/a.py", "import os\nos.kill(1, 9)", 2, "os.kill"),
    (rules.only_host_and_lab_touch_the_world, "plan/a.py", "import os\nos.execvp('a', [])", 2, "os.execvp"),
    (rules.only_host_and_lab_touch_the_world, "plan/a.py", "import signal\nsignal.alarm(1)", 2, "signal.alarm"),
    (rules.only_host_and_lab_touch_the_world, "cli/a.py", "import time\ntime.sleep(1)", 2, "time.sleep"),
    (rules.only_host_and_lab_touch_the_world, "cli/a.py", "open('x', 'w')", 1, "open for writing (w)"),
    (rules.only_host_and_lab_touch_the_world, "cli/a.py", "open('x', mode='rb+')", 1, "open for writing"),
    (rules.only_host_and_lab_touch_the_world, "cli/a.py", "p.open('a')", 1, "open for writing"),
    (rules.only_host_and_lab_touch_the_world, "cli/a.py", "p.write_text('x')", 1, "write_text"),
    (rules.modules_are_short, "cib/a.py", "a = 1\n" * 401, 1, "401 lines"),
    (rules.functions_are_short, "cib/a.py", LONG, 1, "long has 61 lines"),
    (rules.everything_is_typed, "cib/a.py", "def f(a, b: int) -> int: ...", 1, "the type of a"),
    (rules.everything_is_typed, "cib/a.py", "def f(a: int): ...", 1, "what it returns"),
    (rules.public_things_have_docstrings, "cib/a.py", "a = 1", 1, "no module docstring"),
    (rules.public_things_have_docstrings, "cib/a.py", '"""D."""\ndef f() -> None: ...', 2, "f has no docstring"),
    (rules.public_things_have_docstrings, "cib/a.py", '"""D."""\nclass C: ...', 2, "C has no docstring"),
    (rules.only_guards_catch_everything, "cib/a.py", "try: f()\nexcept Exception: pass", 2, "catches everything"),
    (rules.only_guards_catch_everything, "cib/a.py", CAUGHT, 3, "catches everything"),
    (rules.only_guards_catch_everything, "cib/a.py", "try: f()\nexcept: pass", 2, "catches everything"),
    (rules.only_guards_catch_everything, "cib/a.py", "try: f()\nexcept (OSError, BaseException): pass", 2, "catches"),
    (rules.only_guards_catch_everything, "lab/a.py", "with contextlib.suppress(Exception): f()", 1, "suppresses"),
    (rules.nothing_is_global, "cib/a.py", "def f():\n    global x\n    x = 1", 2, "global x"),
    (rules.nothing_is_global, "cib/a.py", "cache = {}", 1, "cache is state"),
    (rules.nothing_is_global, "cib/a.py", "_seen: set[str] = set()", 1, "_seen is state"),
    (rules.names_say_something, "cib/utils.py", "", 1, "utils says nothing"),
    (rules.names_say_something, "common/x.py", "", 1, "common says nothing"),
    (rules.a_licence_is_named, "cib/a.py", '"""D."""', 1, "SPDX"),
    (rules.a_licence_is_named, "cib/a.py", '#!/bin/bash\n"""D."""', 2, "SPDX"),
    (rules.words_are_ours, "cib/a.py", f"role = '{MAS}'", 1, "Promoted and Unpromoted"),
    (rules.words_are_ours, "cib/a.py", "\n# sl" + "aves", 2, "Promoted and Unpromoted"),
    (rules.words_are_ours, "cib/a.py", f"p = '{rules.HERE}/x'", 1, "checkout"),
    (rules.words_are_ours, "cib/a.py", "u = 'http://deb.deb" + "ian.org'", 1, "package sources"),
    (rules.words_are_ours, "cib/a.py", f"# {TODO}: later", 1, "unfinished"),
]  # fmt: skip

GOOD = [
    (
        rules.imports_go_one_way,
        "cib/a.py",
        "from backstay.cloud import model\nfrom backstay.errors import BadInput",
    ),
    (rules.imports_go_one_way, "ocf/a.py", "from backstay.host.clock import Deadline"),
    (rules.imports_go_one_way, "ocf/runtime.py", "from backstay.host.state import State"),
    (rules.imports_go_one_way, "cloud/a.py", "from . import model\nimport os, backstay.errors"),
    (
        rules.imports_go_one_way,
        "cli/lab_a.py",
        "from backstay.lab import node\nfrom backstay import __version__",
    ),
    (rules.only_host_and_lab_touch_the_world, "agents/a.py", "import signal\nSTEPS = (signal.SIGTERM,)"),
    (rules.only_host_and_lab_touch_the_world, "host/a.py", "import subprocess, os\nos.kill(1, 2)"),
    (rules.only_host_and_lab_touch_the_world, "lab/bmc/a.py", "import socket\nopen('x', 'w')"),
    (
        rules.only_host_and_lab_touch_the_world,
        "cloud/a.py",
        "open('x')\nopen('x', 'rb')\np.open()\nlog.open(a, b)",
    ),
    (
        rules.only_host_and_lab_touch_the_world,
        "cib/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import libvirt",
    ),
    (rules.modules_are_short, "cib/a.py", "a = 1\n" * 400),
    (rules.functions_are_short, "cib/a.py", LONG.removesuffix("    pass\n")),
    (rules.everything_is_typed, "cib/a.py", "class C:\n    def f(self, *a: int, **k: str) -> None: ..."),
    (rules.public_things_have_docstrings, "cib/a.py", '"""D."""\ndef _f() -> None: ...\nX = 1'),
    (rules.only_guards_catch_everything, "ocf/runtime.py", "try: f()\nexcept Exception: pass"),
    (rules.only_guards_catch_everything, "cib/a.py", "try: f()\nexcept (OSError, ValueError): pass"),
    (rules.only_guards_catch_everything, "cib/a.py", "try: f()\nexcept Exception:\n    g()\n    raise"),
    (
        rules.only_guards_catch_everything,
        "lab/bmc/__main__.py",
        f"{CAUGHT}if __name__ == '__main__':\n    main()",
    ),
    (rules.nothing_is_global, "cib/a.py", "NAMES = {}\n__all__ = ['a']\nplain = (1, 2)"),
    (rules.names_say_something, "lab/network.py", ""),
    (rules.a_licence_is_named, "cib/a.py", LICENCE),
    (rules.a_licence_is_named, "cib/a.py", "#!/bin/sh\n" + LICENCE),
    (rules.words_are_ours, "cib/a.py", f"# the provider linbit says {MAS}\n# mastery"),
]


def planted(path: str, text: str) -> Source:
    return Source(f"lib/backstay/{path}", text)


@pytest.mark.parametrize(("rule", "path", "text", "line", "part"), PLANTED)
def test_a_planted_fault_is_found(rule, path, text, line, part):
    findings = list(rule(planted(path, text)))
    assert [finding for finding in findings if finding.line == line and part in finding.text], findings


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_good_code_is_left_alone(rule, path, text):
    assert list(rule(planted(path, text))) == []


@pytest.mark.parametrize(
    ("path", "text", "part"),
    [
        ("agents/domain", "#!/usr/bin/python3\n" + LICENCE, "-I"),
        ("fencing/fence_x", "#!/usr/bin/env python3\n" + LICENCE, "-I"),
        ("agents/domain", "#!/usr/bin/python3 -I\n" + LICENCE + "a = 1\n" * 14, "16 lines"),
    ],
)
def test_a_program_is_a_door(path, text, part):
    findings = list(rules.programs_are_doors(Source(path, text)))
    assert any(part in finding.text for finding in findings), findings


def test_every_rule_is_planted():
    shown = {row[0] for row in PLANTED} | {rules.programs_are_doors}
    assert shown == set(rules.RULES)
