# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:drbd beside ocf:linbit:drbd, the real one: a resource may change over with the parameters that it has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from backstay.agents.drbd import AGENT
from backstay.ocf.metadata import render

THEIRS = Path("/usr/lib/ocf/resource.d/linbit/drbd")
MEANINGLESS = {"unfence_extra_args"}
"""What its script for unfencing takes, which is not called here; the description says so."""

OTHERWISE = {
    "unfence_if_all_uptodate": ("false", "true"),  # there at each monitor, by a script; here once
    "require_drbd_module_version_ge": ("8.0.0", "8.4.7"),  # the first one that drbdsetup events2 works with
}
SINCE_ONE = {"Master": "Promoted", "Slave": "Unpromoted"}  # linbit


@pytest.fixture(scope="module")
def theirs() -> etree._Element:
    assert THEIRS.is_file(), "install drbd-utils"
    said = subprocess.run(
        [THEIRS, "meta-data"], capture_output=True, check=True, timeout=60, env={"OCF_ROOT": "/usr/lib/ocf"}
    )
    return etree.fromstring(said.stdout, etree.XMLParser(load_dtd=False, no_network=True))


@pytest.fixture(scope="module")
def ours() -> etree._Element:
    return etree.fromstring(render(AGENT).encode())


def defaults(agent: etree._Element) -> dict[str, str | None]:
    return {one.get("name"): one.find("content").get("default") for one in agent.iterfind(".//parameter")}


def test_it_has_each_parameter_and_its_default(theirs, ours) -> None:
    there, here = defaults(theirs), defaults(ours)
    assert set(there) - set(here) == MEANINGLESS
    shared = set(there) & set(here)
    assert {name: (there[name], here[name]) for name in shared if there[name] != here[name]} == OTHERWISE
    for name in MEANINGLESS:
        assert name in "".join(ours.find("longdesc").itertext())


def test_each_operation_may_keep_its_timeout_and_interval(theirs, ours) -> None:
    def times(agent: etree._Element) -> dict[tuple[str, str], tuple[int, int]]:
        return {
            (one.get("name"), SINCE_ONE.get(one.get("role", ""), one.get("role", ""))): tuple(
                int(one.get(word, "0").rstrip("s")) for word in ("timeout", "interval")
            )
            for one in agent.iterfind("actions/action")
        }

    there, here = times(theirs), times(ours)
    managed = [key for key in there if key[0] in ("start", "stop", "promote", "demote", "notify", "monitor")]
    assert len(managed) == 7
    assert {key: here[key] for key in managed} == {key: there[key] for key in managed}
