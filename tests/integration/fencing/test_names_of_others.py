# SPDX-License-Identifier: GPL-2.0-or-later
"""Every parameter that the agents of fence-agents have is one of ours, or said to be without effect, with the reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from backstay.fencing import ipmi, redfish
from backstay.fencing.metadata import render, usage

QUESTIONS = {"help", "version"}  # options that ask for words, on any command line


def names(document: bytes) -> set[str]:
    """The parameters of a metadata document, as standard input has them."""
    found = etree.fromstring(document).iterfind("parameters/parameter")
    return {parameter.get("name", "").replace("-", "_") for parameter in found}


@pytest.mark.parametrize("agent", [ipmi.AGENT, redfish.AGENT], ids=lambda agent: agent.like)
def test_each_of_their_names_is_known(schemas: Path, agent) -> None:
    argv = [sys.executable, "-W", "ignore", str(schemas / agent.like), "-o", "metadata"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(schemas), "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(argv, env=environment, capture_output=True, timeout=60, check=True).stdout
    theirs, ours = names(said), names(render(agent).encode())
    assert {"ip", "plug", "power_timeout"} <= theirs
    assert theirs - ours - QUESTIONS == set(agent.ignored)
    for name, why in agent.ignored.items():
        assert f"{name} ({why})" in render(agent), "metadata"
        assert f"{name} ({why})" in usage(agent), "the manual page"
