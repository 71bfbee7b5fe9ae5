# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:domain at check level 20 with a guest that has a guest agent: well, and then silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.lab.layout import Layout
from backstay.ocf import codes
from tests.integration.agents import agent_guest
from tests.integration.agents.private_host import PrivateHost, wait

pytestmark = pytest.mark.usefixtures("tools")
BOOT = 300.0  # seconds, under software emulation on a busy machine


@pytest.mark.long
def test_a_guest_agent_answers_and_one_that_falls_silent_fails_after_the_limit(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = agent_guest.files(Layout.from_environment().cache, monkeypatch)
    with PrivateHost(tmp_path, repository) as host:
        config = tmp_path / "web1.xml"
        config.write_text(agent_guest.definition(place, tmp_path / "console"))
        assert host.agent("start", config).code == codes.SUCCESS
        booting = host.agent("monitor", config, interval=120, level=20)
        assert booting.code == codes.DEGRADED
        assert "is not connected" in booting.err
        wait(lambda: "state='connected'" in host.run("virsh", "dumpxml", "web1"), "the agent to start", BOOT)
        for _ping in range(agent_guest.PINGS):
            result = host.agent("monitor", config, interval=120, level=20, timeout=40)
            assert result.code == codes.SUCCESS, result
        silent = host.agent("monitor", config, interval=120, level=20, timeout=40)
        assert silent.code == codes.DEGRADED
        assert "does not answer" in silent.err
        assert silent.seconds < 15
        assert host.agent("monitor", config, interval=10).code == codes.SUCCESS
        late = host.agent("monitor", config, interval=120, level=20, timeout=40, degraded_limit="1s")
        assert late.code == codes.GENERIC
        assert "degraded_limit" in late.err
