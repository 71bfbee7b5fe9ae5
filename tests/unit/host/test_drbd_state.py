# SPDX-License-Identifier: GPL-2.0-or-later
"""What DRBD says of a resource: recorded listings, and any other."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.errors import CannotAsk
from backstay.host.drbd_state import Connection, Device, PeerDevice, State, read
from tests.unit.host.drbd_recorded import come_to, sections

NINE = {title: come_to(stream) for title, stream in sections("drbd9-events.txt").items()}


EIGHT = sections("drbd8-events.txt")
"""Recorded on DRBD 8.4.11."""


def eight(title: str) -> State:
    """A recorded state of web1."""
    found = read(EIGHT[title], "web1")
    assert found
    return found


def nine(title: str) -> State:
    """The state that a test of drbd-utils ends with."""
    found = read(NINE[title], "some-resource")
    assert found
    return found


def test_how_far_a_resync_of_eight_is_follows_from_its_statistics():
    (peer,) = eight("unpromoted, takes a resync").connections
    assert (peer.name, peer.role, peer.volumes[0].replication) == ("peer", "Primary", "SyncTarget")
    assert peer.volumes[0].done == 78.9  # 5176 of 24536 KiB are left


def test_eight_does_not_name_a_peer_that_stands_alone():
    (peer,) = eight("split brain").connections
    assert (peer.name, peer.state) == ("peer", "StandAlone")


def test_an_empty_host_has_none():
    assert read(EIGHT["module loaded, nothing configured"], "web1") is None
    assert read(NINE["events2-no-resources.test"], "some-resource") is None
    assert read(NINE["events2-all-create-destroy.test"], "some-resource") is None


def test_another_resource_is_not_this_one():
    assert read(NINE["events2-sync.test --statistics"], "some") is None


def test_a_resync_of_nine():
    state = nine("events2-sync.test --statistics")
    assert state == State(
        "some-resource",
        "Secondary",
        devices=(Device(0, 1000, "UpToDate", size=5),),
        connections=(
            Connection(
                "some-peer",
                1,
                "Connected",
                "Secondary",
                (PeerDevice(0, "Inconsistent", "SyncSource", done=37.5),),
            ),
        ),
    )
    assert state.local("UpToDate")
    assert not state.redundant


def test_a_promoted_one_with_a_good_peer():
    state = nine("events2-all-create-change.test")
    assert (state.promoted, state.redundant, state.quorum, state.suspended) == (True, True, True, ())
    assert [peer.name for peer in state.good_peers] == ["some-peer"]


def test_quorum_lost():
    state = nine("events2-may-promote-quorum.test")
    assert not state.quorum
    assert state.local("UpToDate")


def test_a_peer_that_is_promoted():
    assert nine("events2-may-promote-peer-role.test").connections[0].role == "Primary"


@pytest.mark.parametrize(
    "title", ["events2-may-promote-peer-data.test", "events2-promotion-score-inconsistent.test"]
)
def test_the_data_is_on_the_peer_alone(title):
    state = nine(title)
    assert not state.local("UpToDate")
    assert state.readable(state.devices[0])


def test_two_volumes():
    assert [device.volume for device in nine("events2-promotion-score-devices.test").devices] == [0, 1]


def test_standing_alone():
    state = nine("events2-all-create-helper.test")
    assert [peer.state for peer in state.connections] == ["StandAlone"]
    assert not state.readable(state.devices[0])


@pytest.mark.parametrize("title", sorted(NINE))
def test_half_an_answer_is_none(title):
    whole = NINE[title].removesuffix("exists -\n")
    for end in range(len(whole) + 1):
        with pytest.raises(CannotAsk, match="cut short"):
            read(whole[:end], "some-resource")


@pytest.mark.parametrize(
    "line",
    [
        "exists resource name:r suspended:no",
        "exists device name:r volume:x minor:1 disk:UpToDate",
        "exists connection name:r conn-name:p connection:Connected",
        "exists peer-device name:r peer-node-id:0 volume:0",
    ],
)
def test_nonsense_is_said_to_be_nonsense(line):
    about = (
        ""
        if " resource " in line
        else "exists resource name:r role:Primary\nexists connection name:r peer-node-id:0 connection:X\n"
    )
    with pytest.raises(CannotAsk, match="cannot be read"):
        read(f"{about}{line}\nexists -\n", "r")


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
DISKS = st.sampled_from(
    [
        "Diskless",
        "Attaching",
        "Failed",
        "Negotiating",
        "Inconsistent",
        "Outdated",
        "DUnknown",
        "Consistent",
        "UpToDate",
    ]
)
PEER_DEVICES = st.builds(
    PeerDevice,
    st.integers(0, 3),
    DISKS,
    st.sampled_from(["Off", "Established", "SyncSource", "SyncTarget", "PausedSyncS", "VerifyS"]),
    st.booleans(),
    st.none(),
    st.sampled_from(["", "user", "peer,dependency"]),
)


def unique(key):
    return {"unique_by": key, "max_size": 3}


CONNECTIONS = st.builds(
    Connection,
    NAMES,
    st.integers(0, 31),
    st.sampled_from(["StandAlone", "Connecting", "Connected", "BrokenPipe"]),
    st.sampled_from(["Primary", "Secondary", "Unknown"]),
    st.lists(PEER_DEVICES, **unique(lambda one: one.volume)).map(
        lambda them: tuple(sorted(them, key=lambda one: one.volume))
    ),
)
STATES = st.builds(
    State,
    NAMES,
    st.sampled_from(["Primary", "Secondary"]),
    st.lists(st.sampled_from(["user", "no-data", "fencing", "quorum"]), unique=True).map(tuple),
    st.lists(
        st.builds(
            Device,
            st.integers(0, 3),
            st.integers(0, 9999),
            DISKS,
            st.booleans(),
            st.booleans(),
            st.integers(0, 99),
        ),
        **unique(lambda one: one.volume),
    ).map(lambda them: tuple(sorted(them, key=lambda one: one.volume))),
    st.lists(CONNECTIONS, **unique(lambda one: one.number)).map(tuple),
    st.booleans(),
)


def yes(truth: bool) -> str:
    return "yes" if truth else "no"


def listed(state: State) -> str:
    """The listing of a state, as drbd-utils write it."""
    lines = [
        f"resource name:{state.name} role:{state.role} suspended:{','.join(state.suspended) or 'no'}"
        f" force-io-failures:{yes(state.fails_io)} may_promote:no promotion_score:0"
    ]
    lines += [
        f"device name:{state.name} volume:{one.volume} minor:{one.minor} backing_dev:/dev/sda disk:{one.disk}"
        f" client:{yes(one.client)} open:no quorum:{yes(one.quorum)} size:{one.size}"
        for one in state.devices
    ]
    for peer in state.connections:
        who = f"name:{state.name} peer-node-id:{peer.number} conn-name:{peer.name}"
        lines.append(f"connection {who} connection:{peer.state} role:{peer.role}")
        lines.append(f"path {who} local:ipv4:1.2.3.4:7789 peer:ipv4:5.6.7.8:7790 established:yes")
        lines += [
            f"peer-device {who} volume:{one.volume} replication:{one.replication} peer-disk:{one.disk}"
            f" peer-client:{yes(one.client)} resync-suspended:{one.held or 'no'}"
            for one in peer.volumes
        ]
    return "".join(f"exists {line}\n" for line in [*lines, "-"])


@given(STATES, STATES)
def test_what_is_listed_is_read(state, other):
    other = dataclasses.replace(other, name=f"{state.name}x")
    text = listed(other).removesuffix("exists -\n") + listed(state)
    assert read(text, state.name) == state
    assert read(text, other.name) == other
    assert read(text, "no-such") is None


@given(st.text())
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(CannotAsk):
        assert read(text, "r") is None


@given(STATES)
def test_what_a_state_says_of_itself_fits_together(state):
    if state.redundant:
        assert all(state.readable(device) and device.disk == "UpToDate" for device in state.devices)
        assert state.storing
    if state.good_peers:
        assert all(state.readable(device) for device in state.devices)
