# SPDX-License-Identifier: GPL-2.0-or-later
"""The words for libvirt's numbers are those of the libvirt that is installed."""

from __future__ import annotations

import subprocess

import pytest

from backstay.host.libvirt import PAUSED_REASONS, SHUTOFF_REASONS, STATES

PYTHON = "/usr/bin/python3"


def numbers(prefix: str) -> dict[str, int]:
    """Ask the distribution's libvirt module for its constants: in a process, as it has no types and no need."""
    code = f"import libvirt\nfor n, v in vars(libvirt).items():\n    if n.startswith({prefix!r}) and type(v) is int: print(n, v)"
    done = subprocess.run([PYTHON, "-I", "-c", code], capture_output=True, text=True, check=True)
    return {name.removeprefix(prefix): int(value) for name, value in map(str.split, done.stdout.splitlines())}


@pytest.mark.parametrize(
    ("prefix", "words"), [("VIR_DOMAIN_PAUSED_", PAUSED_REASONS), ("VIR_DOMAIN_SHUTOFF_", SHUTOFF_REASONS)]
)
def test_reasons(prefix: str, words: tuple[str, ...]) -> None:
    for name, number in numbers(prefix).items():
        assert words[number] == name.lower().replace("_", "-")


def test_states() -> None:
    known = numbers("VIR_DOMAIN_")
    for number, word in enumerate(STATES):
        assert known[word.upper()] == number
