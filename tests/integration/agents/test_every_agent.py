# SPDX-License-Identifier: GPL-2.0-or-later
"""What OCF wants of every agent, on a host: nobody's rights, an empty environment, ocf-tester."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.everything import (
    BRIEF,
    DEFINED,
    RESOURCES,
    SHIPPED,
    agent_of,
    everything,
    given,
    installed,
    place,
)
from tests.integration.agents.whole_host import Installed, course

__all__ = ["everything", "installed", "place"]  # fixtures

pytestmark = pytest.mark.usefixtures("tools")
# Their stop ends the looking at something that goes on, and fails for nothing: a failed stop is a fencing.
ONLY_LOOKING = ("datastore", "libvirtd")


@pytest.mark.parametrize("agent", SHIPPED)
def test_nobody_gets_no_lie(everything: Installed, agent: str) -> None:
    """Who may not look or act is never told "not running" of what runs, nor success of a stop that stopped nothing."""
    host = everything
    environ = host.environ(agent, given(agent, host.place))
    if agent in RESOURCES:
        assert host.call(agent, "start", environ).code == codes.SUCCESS
    now = host.call(agent, "monitor", environ).code
    for step in course(agent_of(agent)):
        called = host.environ(agent, given(agent, host.place), step.interval, step.level, BRIEF)
        answer = host.call(agent, step.name, called, "nobody")
        print(agent, step.title, answer)
        assert answer.out == "", step.title
        assert answer.err.count("\n") <= 1, step.title
        assert answer.code in DEFINED, step.title
        before, now = now, host.call(agent, "monitor", environ).code
        if before == now == codes.SUCCESS:
            assert answer.code != codes.NOT_RUNNING, step.title
        if step.name == "stop" and answer.code == codes.SUCCESS and agent not in ONLY_LOOKING:
            assert now != codes.SUCCESS, step.title


@pytest.mark.parametrize("agent", SHIPPED)
def test_an_empty_environment_has_defined_answers(everything: Installed, agent: str) -> None:
    for step in course(agent_of(agent)):
        if step.name == "migrate_from":
            continue  # it waits for a guest for as long as it may, a minute; test_domain_migration_live.py has it
        answer = everything.call(agent, step.name, {})
        print(agent, step.title, answer)
        assert answer.out == "", step.title
        assert answer.err.count("\n") <= 1, step.title
        assert answer.code in DEFINED, step.title


# ---- ocf-tester


@pytest.mark.parametrize("agent", SHIPPED)
def test_ocf_tester_objects_to_the_schema_alone(everything: Installed, agent: str, schemas: Path) -> None:
    """Its schema is that of 1.0, which knows no reload-agent, unique-group or reloadable; 1.1 has no other DTD.

    Where what an agent needs is not there, it comes as far as the start.
    """
    host = everything
    options = [word for pair in given(agent, host.place).items() for word in ("-o", "=".join(pair))]
    command = [
        "env",
        "OCF_ROOT=/usr/lib/ocf",
        "sh",
        str(schemas / "ocf-tester"),
        "-n",
        f"its-{agent}",
        *options,
        host.program(agent),
    ]
    done = subprocess.run(host.host.argv(command), capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout, done.stderr)
    objections = [line for line in done.stdout.splitlines() if line.startswith("* rc=")]
    assert objections[0].endswith("Your agent produces meta-data which does not conform to ra-api-1.dtd")
    if agent in RESOURCES:
        assert objections[1:] == []
        assert "failed 1 tests" in done.stderr
    else:
        assert objections[1:] == ["* rc=5: Start failed.  Did you supply enough options with -o ?"]
