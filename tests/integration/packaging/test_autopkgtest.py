# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's autopkgtest: what its control file asks for, and scripts/autopkgtest with a stand-in for it.

The real one says 8 when only superficial tests passed, which is no failure of what was asked for. A real run is
`make test-debian` (tests/records.md).
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.packaging.built import run
from tests.integration.packaging.test_packages import is_executable

KNOWN = {"superficial", "allow-stderr", "needs-internet", "isolation-machine", "needs-root"}
"""Restrictions that autopkgtest has."""
STAND_IN = """#!/bin/sh
for word; do case $word in --output-dir=*) place=${word#*=} ;; esac; done
echo "$*" >"$ASKED"
mkdir -p "$place" && printf "$SUMMARY" >"$place/summary"
exit $CODE
"""


def test_autopkgtest_has_each_test_that_it_names(repository):
    """tests/control has the form that autopkgtest reads, names programs that are there, and demands what it knows."""
    place = repository / "packaging/debian/tests"
    stanzas = [
        dict(re.findall(r"^(\S+): (.*)$", text, re.MULTILINE))
        for text in (place / "control").read_text().split("\n\n")
    ]
    assert {each["Tests"] for each in stanzas} == {path.name for path in place.iterdir()} - {"control"}
    for each in stanzas:
        assert is_executable(place / each["Tests"])
        assert set(each["Restrictions"].split(", ")) <= KNOWN
        assert each["Depends"].startswith("backstay")
    run("sh", "-n", *(place / each["Tests"] for each in stanzas))


@pytest.fixture
def asked(repository: Path, tmp_path: Path):
    """`asked(code, summary, *tests)` runs it in a copy of the source; its exit code and what the stand-in was told."""
    tools, source = tmp_path / "tools", tmp_path / "source"
    for place in (tools, source / "dist"):
        place.mkdir(parents=True)
    subprocess.run([repository / "scripts/copy-source", source], check=True, timeout=120)
    (source / "dist/backstay_1_all.deb").touch()
    for name, text in {"autopkgtest": STAND_IN, "apt-get": "#!/bin/sh\n", "systemctl": "#!/bin/sh\n"}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)

    def begin(code: int, summary: str, *tests: str) -> tuple[int, str]:
        environment = {"PATH": f"{tools}:{os.environ['PATH']}", "ASKED": str(tmp_path / "asked")}
        environment |= {"CODE": str(code), "SUMMARY": summary}
        argv = [source / "scripts/autopkgtest", *tests]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, (tmp_path / "asked").read_text() + done.stderr

    return begin


@pytest.mark.parametrize(
    ("code", "summary", "ends"),
    [
        (0, r"cluster              PASS\n", 0),
        (8, r"metadata             PASS (superficial)\nunit                 PASS (superficial)\n", 0),
        (8, r"metadata             PASS (superficial)\ncluster              SKIP no isolation\n", 8),
        (8, r"*                    SKIP no tests in this package\n", 8),
        (
            4,
            r"metadata             PASS (superficial)\nunit                 FAIL non-zero exit status 2\n",
            4,
        ),
        (8, "", 8),
    ],
)
def test_its_exit_code_says_whether_each_passed(asked, code, summary, ends):
    assert asked(code, summary, "metadata", "unit")[0] == ends


def test_it_is_told_which_tests_and_which_packages(asked):
    _, told = asked(0, "", "cluster")
    assert "--test-name=cluster --no-built-binaries dist/backstay_1_all.deb" in told
    assert told.strip().endswith("-- null")
