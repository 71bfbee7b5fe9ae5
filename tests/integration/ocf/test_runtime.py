# SPDX-License-Identifier: GPL-2.0-or-later
"""The runtime around an agent that misbehaves: exit codes, reasons, deadlines."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
RECURRING = {"OCF_RESKEY_CRM_meta_interval": "10000", "OCF_RESOURCE_INSTANCE": "test-runtime"}
GOOD = {"OCF_RESKEY_directory": "/srv"}


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    yield
    Path("/run/backstay/sample-test-runtime.failing").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("action", "environ", "code", "reason"),
    [
        ("monitor", {}, 0, ""),
        ("start", {}, 0, ""),
        ("stop", {}, 0, ""),
        ("reload-agent", {}, 0, ""),
        ("promote", {}, 3, "there is no action 'promote'"),
        ("", {}, 3, "there is no action ''"),
        ("monitor", {"OCF_RESKEY_way": "stopped"}, 7, ""),
        ("monitor", {"OCF_RESKEY_way": "stopped", **RECURRING}, 7, "there is no process"),
        ("monitor", {"OCF_RESKEY_way": "degraded", **RECURRING}, 190, "it is slow"),
        ("monitor", {"OCF_RESKEY_way": "degraded"}, 190, "it is slow"),
        ("monitor", {"OCF_RESKEY_way": "strange"}, 1, "a code that OCF does not know"),
        ("monitor", {"OCF_RESKEY_way": "bug"}, 1, "internal error, KeyError: 'one\\ntwo'"),
        ("monitor", {"OCF_RESKEY_way": "bug", **RECURRING}, 190, "counts as running for 600 s more"),
        ("monitor", {"OCF_RESKEY_way": "unknown", **RECURRING}, 190, "does not answer; look at it"),
        ("start", {"OCF_RESKEY_way": "bug", **RECURRING}, 1, "internal error"),
        ("start", {"OCF_RESKEY_way": "unknown"}, 1, "the daemon does not answer; look at it"),
        ("start", {"OCF_RESKEY_wait": "x"}, 6, "parameter wait must be a time"),
        ("start", {"OCF_RESKEY_way": "odd"}, 0, ""),
        ("reload-agent", {"OCF_RESKEY_way": "odd"}, 0, ""),
        ("validate-all", {"OCF_RESKEY_way": "odd"}, 6, "parameter way must be one of"),
        ("stop", {"OCF_RESKEY_way": "odd"}, 0, ""),
        ("monitor", {"OCF_RESKEY_way": "odd"}, 0, ""),
        ("start", {"OCF_RESKEY_directory": ""}, 6, "parameter directory must be set"),
        ("stop", {"OCF_RESKEY_directory": ""}, 0, ""),
        ("validate-all", {}, 0, ""),
        ("validate-all", {"OCF_RESKEY_wait": "x"}, 6, "parameter wait must be a time"),
        ("validate-all", {"OCF_CHECK_LEVEL": "10"}, 190, "looked at this host"),
        ("start", {"OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "9"}, 0, ""),
        ("start", {"OCF_RA_VERSION_MAJOR": "2"}, 1, "speaks version 1 of the resource agent API, not '2'"),
    ],
)
def test_exit_codes_and_reasons(
    call: Run, action: str, environ: dict[str, str], code: int, reason: str
) -> None:
    done = call("sample", action, "--ignored", "meta-data", **{**GOOD, **environ})
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    if reason:
        assert done.stderr.startswith("ocf-exit-reason:")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
    else:
        assert done.stderr == ""


def test_without_any_argument(call: Run) -> None:
    assert call("sample").returncode == 3


def test_the_prefix_is_pacemakers(call: Run) -> None:
    done = call("sample", "start", OCF_EXIT_REASON_PREFIX="why:")
    assert done.stderr == "why:parameter directory must be set\n"


def test_an_agent_that_exits_by_itself_does_not_look_well(call: Run) -> None:
    done = call("sample", "monitor", OCF_RESKEY_way="exit", **GOOD)
    assert done.returncode == 1
    assert "SystemExit" in done.stderr


@pytest.mark.parametrize(
    ("way", "reason"), [("asleep", "within its timeout"), ("stuck", "cannot be interrupted")]
)
@pytest.mark.parametrize(("environ", "code"), [({}, 1), (RECURRING, 190)])
def test_an_action_ends_before_pacemaker_kills_it(
    call: Run, way: str, reason: str, environ: dict[str, str], code: int
) -> None:
    began = time.monotonic()
    done = call(
        "sample", "monitor", OCF_RESKEY_way=way, OCF_RESKEY_CRM_meta_timeout="2000", **GOOD, **environ
    )
    assert time.monotonic() - began < 2.0
    assert done.returncode == code
    assert reason in done.stderr


@pytest.mark.parametrize(("timeout", "left"), [("100000", 95.0), ("20000", 18.0), ("2000", 1.5)])
def test_the_deadline_leaves_a_margin_and_counts_from_the_start_of_the_process(
    call: Run, timeout: str, left: float
) -> None:
    done = call("sample", "monitor", OCF_RESKEY_way="deadline", OCF_RESKEY_CRM_meta_timeout=timeout, **GOOD)
    said = float(done.stderr.split(":", 1)[1].split()[0])
    assert left - 1.0 < said <= left
    slept = call(
        "sample", "monitor", OCF_RESKEY_way="deadline", OCF_RESKEY_CRM_meta_timeout=timeout, **GOOD,
        before="import time; time.sleep(0.4)",
    )  # fmt: skip
    assert float(slept.stderr.split(":", 1)[1].split()[0]) <= left - 0.3


def test_a_package_that_cannot_be_imported_does_not_restart_what_it_watches(call: Run, tree: Path) -> None:
    (tree / "lib" / "broken_agent.py").write_text("def oops(:\n")
    (tree / "agents" / "broken").write_text("from backstay.ocf.runtime import enter\nenter('broken_agent')\n")
    try:
        assert call("broken", "start").returncode == 1
        assert call("broken", "monitor").returncode == 1
        monitored = call("broken", "monitor", **RECURRING)
        assert monitored.returncode == 190
        assert "SyntaxError" in monitored.stderr
    finally:
        (tree / "agents" / "broken").unlink()
        Path("/run/backstay/broken_agent-test-runtime.failing").unlink(missing_ok=True)


def test_a_failure_before_a_stop_is_not_held_against_what_runs_later(call: Run) -> None:
    kept = Path("/run/backstay/sample-test-runtime.failing")
    assert call("sample", "monitor", OCF_RESKEY_way="bug", **GOOD, **RECURRING).returncode == 190
    assert kept.exists()
    once = {**RECURRING, "OCF_RESKEY_CRM_meta_interval": "0"}
    assert call("sample", "monitor", **GOOD, **once).returncode == 0
    assert kept.exists()
    assert call("sample", "stop", **GOOD, **once).returncode == 0
    assert not kept.exists()


def test_closed_standard_streams_change_no_code(call: Run) -> None:
    shut = "import os; os.close(1); os.close(2)"
    assert call("sample", "monitor", before=shut, OCF_RESKEY_way="degraded", **GOOD).returncode == 190
    assert call("sample", "monitor", before=shut, **GOOD).returncode == 0


def test_the_hot_path_imports_nothing_heavy(tree: Path) -> None:
    heavy = "dataclasses enum json logging pathlib re signal subprocess threading traceback typing xml libvirt lxml"
    code = f"""
import sys
sys.path[:0] = [{str(tree / "lib")!r}]
import backstay.ocf.runtime
print(*sorted(set("{heavy}".split()) & set(sys.modules)))
"""
    # -S: what the .pth files of a host import is not ours
    done = subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")
