# SPDX-License-Identifier: GPL-2.0-or-later
"""Every test that tests/claims.toml names is there: pytest itself collects it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.style.claims import parse


def test_the_tests_of_the_claims_exist(repository):
    claims = parse((repository / "tests/claims.toml").read_text(encoding="utf-8"))
    named = sorted({name for claim in claims for name in claim.tests})
    if not named:
        return
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--no-header", *named]
    done = subprocess.run(argv, cwd=repository, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        pytest.fail(f"claims name tests that are not there:\n{done.stdout}{done.stderr}", pytrace=False)
