# SPDX-License-Identifier: GPL-2.0-or-later
"""The RPM packages in a root of their own, installed there by the real rpm: every agent runs from there.

The root is a copy of this machine (Debian's Python and libraries) without anything of Backstay's, with a loopback and a
sysfs of its own. What is asked there is what lies in the places where Pacemaker looks.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree

from tests.integration.packaging.test_installed import play

HERE = Path(__file__).parent
SOURCE = HERE.parents[2]
AGENTS = sorted(door.name for door in (SOURCE / "agents").iterdir())
FENCES = sorted(door.name for door in (SOURCE / "fencing").iterdir())
REFUSED = {
    "datastore": "parameter directory must be an absolute path",
    "domain": "parameter config must be an absolute path",
    "drbd": "parameter drbd_resource must be set",
    "frontend": "parameter lease must be an absolute path",
    "libvirtd": "parameter answer_within must be a time",
}
"""What each says of a wrong parameter."""
FOUND = {
    "datastore": (0, 7),
    "domain": (0, 7),
    "drbd": (5, 7),  # (neither its module nor web1 in its configuration)
    "frontend": (1, 190),
    "libvirtd": (5, 190),
}
"""What a validation on this host (check level 10) and a probe come to, where there is no DRBD and no systemd."""
PLACES = [f"/usr/lib/ocf/resource.d/backstay/{each}" for each in AGENTS] + [
    f"/usr/sbin/{each}" for each in FENCES
]
INSTALLED = """rm -rf {place}/root/usr/lib/backstay {place}/root/usr/lib/ocf/resource.d/backstay {place}/root/usr/sbin/fence_backstay_*
mount -t sysfs none {place}/root/sys
ip link set lo up
packages="rpm --root {place}/root --dbpath /var/lib/rpm"
$packages --initdb
$packages --install --nodeps {place}/root/mnt/*.rpm >&2
"""
ASKED = f"""echo "@places"; inside readlink --canonicalize-existing {" ".join(PLACES)}
inside sh -s <{HERE}/agents_in_root.sh
echo "@fences"; inside /usr/bin/python3 -IB - <{HERE}/fences_in_root.py
"""
REHEARSED = """echo "@check"; inside backstay agents check --own --output json || echo "@ended"
"""


@pytest.fixture(scope="module")
def said(rpm, need, tmp_path_factory) -> dict[str, str]:
    """What everything said there, by its mark."""
    need("unshare", "rpm", "ipmitool")
    return play(INSTALLED + ASKED, tmp_path_factory.mktemp("rpm-runs"), rpm.file.parent)


def of(said: dict[str, str], agent: str, mark: str) -> tuple[int, str]:
    """Exit code and words of one action."""
    code, _, words = said[f"{agent}-{mark}"].partition("\n")
    return int(code), words


def test_what_runs_is_what_the_packages_brought(said):
    places = [Path(line) for line in said["places"].splitlines()]
    assert [place.name for place in places] == [*AGENTS, *FENCES]
    (version,) = {place.parents[1] for place in places}
    assert version.parent == Path("/usr/lib/backstay")
    assert version.name != "delivered"


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_says_what_it_is(said, agent):
    code, words = of(said, agent, "metadata")
    assert code == 0, words
    assert etree.fromstring(words.encode()).get("name") == agent


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_validates_its_parameters(said, agent):
    assert of(said, agent, "right") == (0, "")
    code, words = of(said, agent, "wrong")
    assert code == 6
    assert REFUSED[agent] in words


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_looks_at_its_host_and_says_what_that_lacks(said, agent):
    for mark, expected in zip(("here", "probe"), FOUND[agent], strict=True):
        code, words = of(said, agent, mark)
        assert code == expected, words
        assert words.startswith("ocf-exit-reason:") or (code in (0, 7) and words == "")
        assert words.count("\n") == 0


@pytest.mark.parametrize("fence", FENCES)
def test_a_fence_agent_switches_a_bmc(said, fence):
    found = json.loads(said["fences"])[fence]
    assert found["metadata"][0] == 0
    assert etree.fromstring(found["metadata"][1].encode()).get("name") == fence
    assert [found[step][0] for step in ("status", "off", "then")] == [0, 0, 2], found
    assert found["power"] == "off"
    assert found["wrong"][0] == 1
    assert found["wrong"][1].strip(), "it says why"


@pytest.mark.long
def test_each_of_them_passes_its_rehearsal_there(rpm, tmp_path):
    """Guests, simulated BMCs and servers of `backstay agents check`, by what the packages brought."""
    said = play(INSTALLED + REHEARSED, tmp_path, rpm.file.parent)
    assert "ended" not in said, said["check"]
    rehearsed = {each["agent"]: each["state"] for each in json.loads(said["check"])["cells"]}
    assert rehearsed.keys() >= {*AGENTS, *FENCES, "alert", "drbd-fence"}
    assert set(rehearsed.values()) == {"ok"}
