# SPDX-License-Identifier: GPL-2.0-or-later
"""Which action a call means."""

from __future__ import annotations

from typing import Any

import pytest

from backstay.ocf.agent import Action, Agent
from backstay.ocf.context import Call, Context
from backstay.ocf.outcome import Outcome, running
from backstay.ocf.parameters import Parameters


def plain(_context: Context[Any]) -> Outcome:
    return running("plain")


def deep(_context: Context[Any]) -> Outcome:
    return running("deep")


def local(_context: Context[Any]) -> Outcome:
    return running("local")


AGENT = Agent(
    "sample",
    "short",
    "long",
    Parameters,
    (Action("start", 20, plain), Action("monitor", 20, plain, 10), Action("monitor", 30, deep, 60, depth=10)),
    validate=local,
)


@pytest.mark.parametrize(
    ("name", "level", "run"),
    [
        ("monitor", 0, plain),
        ("monitor", 9, plain),
        ("monitor", 10, deep),
        ("monitor", 20, deep),
        ("start", 0, plain),
        ("start", 20, plain),
        ("validate-all", 10, local),
    ],
)
def test_a_level_that_is_not_there_means_the_next_lower_one(name: str, level: int, run: object) -> None:
    action = AGENT.find(name, level)
    assert action is not None
    assert action.run is run


def test_validate_all_looks_at_this_host_from_level_10_on_only() -> None:
    action = AGENT.find("validate-all", 9)
    assert action is not None
    assert action.run is not local


@pytest.mark.parametrize("name", ["", "Monitor", "promote", "meta-data"])
def test_other_actions_are_not_there(name: str) -> None:
    assert AGENT.find(name) is None


def test_names() -> None:
    assert AGENT.names() == ("start", "monitor", "meta-data", "validate-all")


@pytest.mark.parametrize(
    ("environ", "interval", "is_probe", "level"),
    [
        ({}, 0.0, True, 0),
        ({"OCF_RESKEY_CRM_meta_interval": "0"}, 0.0, True, 0),
        ({"OCF_RESKEY_CRM_meta_interval": "10000", "OCF_CHECK_LEVEL": "10"}, 10.0, False, 10),
        ({"OCF_RESKEY_CRM_meta_interval": "often", "OCF_CHECK_LEVEL": "deep"}, 0.0, True, 0),
        ({"OCF_RESKEY_CRM_meta_interval": "-1", "OCF_CHECK_LEVEL": "nan"}, 0.0, True, 0),
        ({"OCF_RESKEY_CRM_meta_interval": "1e400", "OCF_CHECK_LEVEL": "inf"}, 0.0, True, 0),
    ],
)
def test_what_the_environment_says(
    environ: dict[str, str], interval: float, is_probe: bool, level: int
) -> None:
    call = Call("sample", "monitor", environ)
    assert (call.interval, call.is_probe, call.check_level) == (interval, is_probe, level)
    assert not Call("sample", "start", environ).is_probe


@pytest.mark.parametrize(("given", "timeout"), [("", 20.0), ("30000", 30.0), ("0", 20.0), ("x", 20.0)])
def test_the_timeout_is_pacemakers_or_the_advertised_one(given: str, timeout: float) -> None:
    assert Call("sample", "start", {"OCF_RESKEY_CRM_meta_timeout": given}).timeout(20) == timeout
