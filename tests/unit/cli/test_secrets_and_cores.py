# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that hold the passwords of BMCs, or start what holds them, leave no core behind (host/cores.py)."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from backstay.cli.agents import agents
from backstay.cli.fence import fence
from backstay.host import cores


@pytest.mark.parametrize("group", [agents, fence], ids=lambda group: group.name)
def test_no_core_is_left_by_any_command_of(group: click.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    forbidden: list[str] = []
    monkeypatch.setattr(cores, "forbid", lambda: forbidden.append(str(group.name)))
    for name in group.commands:
        assert CliRunner().invoke(group, [name, "--help"]).exit_code == 0
    assert forbidden == [group.name] * len(group.commands)
