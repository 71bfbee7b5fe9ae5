# SPDX-License-Identifier: GPL-2.0-or-later
"""What no sane caller says to a fence agent ends with a reason, and reboots nobody."""

from __future__ import annotations

import pytest

from backstay.fencing import ipmi
from tests.unit.fencing.test_protocol import GOOD, Spoken, agent_that


@pytest.mark.parametrize("empty", ["action=\n", "action= \n", "option=\n"])
def test_an_action_that_is_given_as_nothing_reboots_nobody(empty):
    spoken = Spoken(agent_that(None), GOOD + empty)
    assert (spoken.code, spoken.errors) == (
        1,
        ["fence_backstay_ipmi: action is empty; nothing is rebooted for that; leave it out for a reboot"],
    )


def test_what_was_given_does_not_flood_the_log():
    spoken = Spoken(ipmi.AGENT, GOOD + f"action={'x' * 1_000_000}\n")
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert len(spoken.err) < 5000
    assert "unsupported action 'xxx" in spoken.err
