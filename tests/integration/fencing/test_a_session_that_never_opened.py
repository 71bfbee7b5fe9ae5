# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC whose answers to the opening of a session come when ipmitool has given up waiting for one, and gone on without.

The answer that comes last passes for the answer to the question for the power state, and reads as off: a host that runs
would count as fenced. The times are those of ipmitool 1.8.19 with one second for each packet: four openings in the first
four seconds; the privilege level is asked for until the seventh; then four questions of three seconds each, and that one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.fencing import udp_proxy
from tests.integration.fencing.conftest import Bmc, Fence, openipmi
from tests.integration.fencing.udp_proxy import OPENED, Proxy, kind_of

DELAYS = (5.0, None, None, 15.0)  # seconds, of the answers to four openings; None: it is lost
ONE_CALL = 35  # seconds: what ipmitool makes of it is known after 18


class LateToOpen(Proxy):
    """The network before such a BMC."""

    opened = 0

    def _answer(self, packet: bytes, client: tuple[str, int]) -> None:
        if kind_of(packet) != OPENED:
            super()._answer(packet, client)
            return
        delay = DELAYS[self.opened % len(DELAYS)]
        self.opened += 1
        if delay is not None:
            self._late.append((time.monotonic() + delay, packet, client))


@pytest.fixture
def bmc(tmp_path: Path, need, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bmc]:
    """OpenIPMI's simulator, which says nothing to a question outside any session, as most BMCs do."""
    need("ipmi_sim", "ipmitool")
    monkeypatch.setattr(udp_proxy, "Proxy", LateToOpen)
    with openipmi(tmp_path / "bmc") as machine:
        yield machine


@pytest.mark.parametrize("action", ["off", "status"])
def test_nothing_that_was_said_outside_a_session_is_a_power_state(
    bmc: Bmc, fence: Fence, action: str
) -> None:
    spoken = fence(bmc, action, login_timeout=ONE_CALL, power_timeout=3)
    assert bmc.power == "on"
    assert spoken.code == 1
    assert re.search("begins a session and then does not answer in time", spoken.err)
