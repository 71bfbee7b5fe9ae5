# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cluster is told of a DRBD resource and what it tells: scores, notifications, slow daemons, the clone's settings."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from backstay.agents import drbd_fence
from backstay.agents.drbd_fence import Answer
from backstay.errors import CannotAsk
from backstay.host import drbd_host
from backstay.host.drbd_configured import Configured
from backstay.host.process import ProcessTimedOut
from backstay.ocf import codes
from tests.unit.agents.test_drbd_actions import Host, act
from tests.unit.agents.test_drbd_health import APART, AWAY, peer, state

__all__ = ["act"]  # a fixture

LEADS, FOLLOWS = state("UpToDate", "Primary"), state("UpToDate", "Secondary")
SCORE = "master-web1"  # linbit
WORDS = ["promoted", "master"]  # linbit
CLONE = {"clone_max": "2", "clone_node_max": "1", "promoted_max": "1"}


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """How often a stale constraint was looked for."""
    found = []
    monkeypatch.setattr(drbd_fence, "unfence", lambda *_: found.append("unfence") or "")
    return found


class Told(Host):
    """It counts what is published, and marks its data as outdated when it is told to."""

    def __init__(self, now=None, **how):
        super().__init__(now, **how)
        self.published = []
        self.known = ("n1",)

    def values(self, name, _timeout):
        return {host: value for host, value in self.attributes.items() if host == "n2"} | super().values(
            name, _timeout
        )

    def publish(self, name, value, timeout):
        self.published.append((name, value))
        super().publish(name, value, timeout)

    def adm(self, *words, timeout):
        done = super().adm(*words, timeout=timeout)
        if words == ("outdate",) and self.now:
            self.now = replace(self.now, devices=(replace(self.now.devices[0], disk="Outdated"),))
        return done

    def configured(self, _timeout):
        return Configured(("n1", "n2"), {"fencing": "resource-and-stonith"}, {})

    def promoted(self, _instance, _timeout):
        return frozenset(self.known)


class Slow(Host):
    """Its attribute daemon never answers; a monitor has the 18 s that Pacemaker's 20 leave it."""

    def deadline(self, _seconds):
        return super().deadline(18)

    def _hangs(self, timeout):
        self.clock += max(timeout, 0.0)
        raise ProcessTimedOut(("attrd_updater",), timeout)

    def values(self, _name, timeout):
        self._hangs(timeout)

    def publish(self, _name, _value, timeout):
        self._hangs(timeout)

    def split(self, timeout):
        self.clock += timeout
        return False


@pytest.mark.parametrize(
    "now,code",
    [
        (LEADS, codes.PROMOTED),
        (FOLLOWS, codes.SUCCESS),
        (None, codes.NOT_RUNNING),
        (state("Diskless"), codes.DEGRADED_PROMOTED),
        (state("UpToDate", "Primary", APART), codes.DEGRADED_PROMOTED),
        (state("UpToDate", "Primary", AWAY, suspended=("fencing",)), codes.DEGRADED_PROMOTED),
    ],
    ids=["promoted", "unpromoted", "stopped", "no disk", "apart", "waits for a fencing"],
)
@pytest.mark.parametrize("probe", [False, True])
def test_a_cluster_whose_daemons_hang_fails_no_monitor(monkeypatch, act, now, code, probe):
    host = Slow(now)

    def hangs(_host, deadline, *_):
        host.clock += deadline.left()
        raise CannotAsk("cibadmin did not answer")

    def hangs_again(_host, _away, _good, seconds):
        host.clock += seconds
        raise CannotAsk("cibadmin did not answer")

    monkeypatch.setattr(drbd_fence, "unfence", hangs)
    monkeypatch.setattr(drbd_fence, "again", hangs_again)
    assert act("monitor", host, probe=probe).code == code
    assert host.clock <= 18


@pytest.mark.parametrize("there,told", [("10000", []), ("1000", ["10000"]), ("", ["10000"])])
def test_a_score_is_compared_with_the_attribute_daemons(act, there, told):
    host = Told(FOLLOWS)
    if there:
        host.attributes[SCORE] = there
    act("monitor", host)
    assert [value for name, value in host.published if name == SCORE] == told


@pytest.mark.parametrize(
    "name,meta",
    [
        ("monitor", {}),
        ("monitor", {"probe": True}),
        ("start", {}),
        ("promote", {}),
        ("notify", {"notify_type": "post", "notify_operation": "start"}),
        ("reload", {}),
    ],
    ids=["monitor", "probe", "start", "promote", "notify", "reload"],
)
def test_a_score_that_a_restart_of_pacemaker_erased_is_set_again(act, name, meta):
    host = Told(FOLLOWS)
    act("monitor", host)
    host.attributes.clear()
    act(name, host, **meta)
    assert host.attributes[SCORE] == "10000"


def test_what_is_stopped_offers_nothing(act):
    host = Told(FOLLOWS)
    act("monitor", host)
    act("stop", host)
    assert host.attributes[SCORE] == ""


@pytest.mark.parametrize("word", WORDS)
def test_a_notification_in_either_vocabulary_outdates_whom_another_has_passed(act, word):
    """Its score goes at once: the next monitor is seconds away."""
    host = Told(state("UpToDate", "Secondary", AWAY))
    after = {"notify_type": "post", "notify_operation": "promote", f"notify_{word}_uname": "n2"}
    act("notify", host, given={"stop_outdates_secondary": True}, **after)
    assert "outdate" in host.told
    assert host.attributes.get(SCORE, "") == ""


@pytest.mark.parametrize(
    "now,given,meta",
    [
        (state("UpToDate", "Secondary", AWAY), {}, {"notify_promoted_uname": "n2"}),
        (FOLLOWS, {"stop_outdates_secondary": True}, {"notify_promoted_uname": "n2"}),
        (
            state("UpToDate", "Secondary", AWAY),
            {"stop_outdates_secondary": True},
            {"notify_promoted_uname": "n1"},
        ),
        (
            state("UpToDate", "Secondary", AWAY),
            {"stop_outdates_secondary": True},
            {"notify_promoted_uname": "n2", "notify_stop_uname": "n2"},
        ),
        (
            state("UpToDate", "Primary", AWAY),
            {"stop_outdates_secondary": True},
            {"notify_promoted_uname": "n1 n2"},
        ),
    ],
    ids=["not wanted", "they talk", "only this one", "the other is being stopped", "promoted itself"],
)
def test_nobody_else_is_outdated(act, now, given, meta):
    host = Told(now)
    act("notify", host, given=given, notify_type="post", notify_operation="promote", **meta)
    assert "outdate" not in host.told


@pytest.mark.parametrize("word", WORDS)
def test_a_stopped_side_is_outdated_while_another_is_promoted(act, word):
    host = Told(FOLLOWS)
    act("stop", host, given={"stop_outdates_secondary": True}, **{f"notify_{word}_uname": "n2"})
    assert host.told == ["down", "outdate"]


def test_one_that_starts_is_met_before_and_after(act):
    for kind in ("pre", "post"):
        host = Told(FOLLOWS)
        assert act("notify", host, notify_type=kind, notify_operation="start").code == codes.SUCCESS
        assert host.told == ["adjust"]


def test_a_notification_never_fails(act):
    host = Told(FOLLOWS, blind=9)
    assert act("notify", host, notify_type="post", notify_operation="promote").code == codes.SUCCESS
    assert "does not answer" in host.said[-1]


@pytest.mark.parametrize(
    "meta,given,complains",
    [
        (CLONE, {}, True),
        (CLONE | {"notify": "false"}, {}, True),
        (CLONE | {"notify": "true"}, {}, False),
        (CLONE, {"ignore_missing_notifications": True}, False),
        ({}, {}, False),
    ],
    ids=["missing", "false", "true", "nobody cares", "a call by hand"],
)
def test_a_missing_notify_is_said_by_validation_and_bans_nobody(act, meta, given, complains):
    judged = act("validate", Told(FOLLOWS), given=given, **meta)
    assert (judged.code == codes.NOT_CONFIGURED, "notify=true" in judged.reason) == (complains, complains)
    host = Told(FOLLOWS)
    assert act("start", host, given=given, **meta).code == codes.SUCCESS
    assert any("notify=true" in text for text in host.said) == complains
    for name in ("monitor", "promote", "notify", "stop"):
        assert act(name, Told(FOLLOWS), given=given, **meta).code == codes.SUCCESS


@pytest.mark.parametrize(
    "version,meta,words",
    [
        ((8, 4, 11), {"clone_node_max": "2"}, "clone-node-max is 2"),
        ((9, 2, 4), {"promoted_max": "3"}, "two promoted sides at most"),
        ((9, 2, 4), {"promoted_max": "", "master_max": "3"}, "two promoted sides at most"),
        ((8, 4, 11), {"clone_max": "3"}, "DRBD 8.4 has two hosts"),
        ((9, 2, 4), {"clone_max": "3", "promoted_max": "2"}, "two promoted sides has two hosts"),
        ((9, 2, 4), {"promoted_max": "2"}, "allow-two-primaries"),
        ((9, 2, 4), {"clone_max": "3"}, ""),
    ],
)
def test_what_is_wrong_with_the_clone_is_said(act, version, meta, words):
    judged = act("validate", Told(FOLLOWS, version=version), **CLONE | {"notify": "true"} | meta)
    assert words in judged.reason
    assert judged.code == (codes.NOT_CONFIGURED if words else codes.SUCCESS)


@pytest.mark.parametrize(
    "wanted,known,most,offers",
    [
        ("false", (), "1", True),
        ("true", ("n2",), "1", False),
        ("unexpected", ("n2",), "1", True),
        ("unexpected", (), "1", False),
        ("unexpected", (), "2", True),
    ],
)
def test_when_a_promoted_peer_costs_the_score(act, wanted, known, most, offers):
    host = Told(state("UpToDate", "Secondary", peer(role="Primary")))
    host.known = known
    act("monitor", host, given={"remove_master_score_if_peer_primary": wanted}, promoted_max=most)
    assert host.attributes.get(SCORE, "") == ("10000" if offers else "")


def test_a_constraint_is_looked_for_when_everything_has_become_up_to_date(act, asked):
    host = Told(LEADS)
    for now, times in ((LEADS, 1), (LEADS, 1), (state("UpToDate", "Primary", AWAY), 1), (LEADS, 2)):
        host.now = now
        act("monitor", host)
        assert len(asked) == times
    act("monitor", host, given={"unfence_if_all_uptodate": False})
    act("monitor", host, probe=True)
    assert len(asked) == 2


def test_one_of_a_connection_that_was_back_before_the_next_monitor_is_looked_for_too(monkeypatch, act, asked):
    host = Told(LEADS)
    act("monitor", host)
    monkeypatch.setattr(drbd_host.Host, "remember", lambda _self, about, text: host.remember(about, text))
    monkeypatch.setattr(drbd_host.Host, "promotion_left", lambda _self: None)
    monkeypatch.setattr(drbd_fence, "Log", lambda *_: SimpleNamespace(note=str, alert=str))
    monkeypatch.setattr(drbd_fence, "fence", lambda *_: Answer(4, "it answers", place=True))
    drbd_fence.handle("fence", {"DRBD_RESOURCE": "web1", "DRBD_PEERS": "n2"})
    act("monitor", host)
    assert len(asked) == 2
