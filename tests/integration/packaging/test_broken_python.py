# SPDX-License-Identifier: GPL-2.0-or-later
"""A distribution whose Python or library is broken, as `backstay agents check` reports it: what an admin reads.

In a mount namespace of its own a file of the real interpreter has other contents: a module that does not compile, a
shared library that was cut off, an interpreter that crashes or is none.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

PYTHON = Path("/usr/bin/python3").resolve()
LIBRARY = Path("/usr/lib") / PYTHON.name
SSL = Path("/usr/lib") / str(sysconfig.get_config_var("MULTIARCH")) / "libssl.so.3"
TORN, CUT, CRASHING = "def (\n", "", "#!/bin/sh\nkill -SEGV $$\n"
CANNOT = "backstay: the check itself cannot run: "


@pytest.fixture(scope="module")
def tree(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed, without the agents whose rehearsal takes long; the handlers are left."""
    place = tmp_path_factory.mktemp("version")
    for name in ("bin", "libexec", "lib"):
        shutil.copytree(repository / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    return place


@pytest.fixture
def check(tree: Path, tmp_path: Path, need):
    """`check(file, contents, *options)` asks where that file of the machine has those contents."""
    need("unshare", "mount")

    def run(file: Path, contents: str, *options: str) -> subprocess.CompletedProcess[str]:
        assert file.is_file(), "the test must break something"
        other = tmp_path / "contents"
        other.write_text(contents)
        other.chmod(0o755 if contents.startswith("#!") else 0o644)
        script = f'mount --bind {other} {file} && exec "$0" "$@"'
        argv = [
            tree / "bin/backstay",
            "agents",
            "check",
            "--own",
            "--version",
            tree,
            "--memory",
            tmp_path / "memory",
        ]
        return subprocess.run(
            ["unshare", "--mount", "--propagation=private", "/bin/sh", "-c", script, *argv, *options],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("file", "contents", "why"),
    [
        (
            LIBRARY / "json/__init__.py",
            TORN,
            f"SyntaxError: invalid syntax ({LIBRARY}/json/__init__.py, line 1)",
        ),
        (LIBRARY / "encodings/__init__.py", TORN, "Fatal Python error: init_fs_encoding"),
        (SSL, CUT, "libssl.so.3: file too short"),
        (PYTHON, CRASHING, "python3 does not start, or does not end (exit code 139)"),
        (PYTHON, CUT, "failed to run command"),
    ],
    ids=["module", "codec", "shared-library", "crash", "no-program"],
)
def test_a_broken_interpreter_is_reported_in_one_sentence(check, file, contents, why) -> None:
    done = check(file, contents)
    assert (done.returncode, done.stdout) == (3, "")
    assert CANNOT in done.stderr
    assert why in done.stderr.splitlines()[-1]
    told = json.loads(check(file, contents, "--output", "json").stdout)
    assert (told["ready"], why in told["reason"]) == (False, True)


def test_a_module_that_one_agent_needs_breaks_that_agent_alone(check) -> None:
    done = check(LIBRARY / "smtplib.py", TORN, "--output", "json")
    told = json.loads(done.stdout)
    cells = {(cell["agent"], cell["column"]): (cell["state"], cell["reason"]) for cell in told["cells"]}
    state, reason = cells["alert", "load"]
    assert (done.returncode, told["ready"], state) == (1, False, "broken")
    assert "SyntaxError: invalid syntax (smtplib.py, line 1)" in reason
    assert cells["drbd-fence", "load"][0] == "ok"


def test_the_same_with_nothing_broken(check) -> None:
    """The other tests prove something only if this one passes."""
    done = check(LIBRARY / "smtplib.py", (LIBRARY / "smtplib.py").read_text())
    assert (done.returncode, done.stderr) == (0, "")
