# SPDX-License-Identifier: GPL-2.0-or-later
"""What the frontend agent answers and does, on a host whose units and services are as the test says."""

from __future__ import annotations

import re

import pytest

from backstay.agents import frontend, frontend_lease
from backstay.agents.frontend_declared import parse, short_probe
from backstay.agents.frontend_lease import Tenure, written
from backstay.agents.frontend_profile import Profile, unit_name
from backstay.errors import BadInput, CannotAsk
from backstay.host.clock import Deadline
from backstay.ocf import codes
from tests.unit.agents.frontend_fake import FakeHost, act


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    made = FakeHost()
    monkeypatch.setattr(frontend, "Host", lambda name: made)
    return made


def test_start_goes_in_order_and_writes_its_lease_first(host: FakeHost) -> None:
    assert act(host, "start", lease="/srv/lease").code == codes.SUCCESS
    assert [deed for deed in host.did if not deed.startswith("publish")] == [
        "/usr/bin/check", "lease", "/usr/bin/take", "start database.service", "start manager.service",
    ]  # fmt: skip
    (held,) = frontend_lease.parse(host.lease_text)
    assert (held.host, held.left) == ("n1", 0.0)
    assert frontend_lease.parse(host.records)


def test_stop_goes_backwards_and_gives_the_lease_up_last(host: FakeHost) -> None:
    act(host, "start", lease="/srv/lease")
    host.did.clear()
    assert act(host, "stop", lease="/srv/lease").code == codes.SUCCESS
    assert host.did == [
        "stop manager.service", "stop database.service", "/usr/bin/leave", "lease", "publish ",
    ]  # fmt: skip
    assert frontend_lease.parse(host.lease_text)[-1].left
    assert act(host, "monitor", probe=True).code == codes.NOT_RUNNING


@pytest.mark.parametrize(
    ("silent", "code", "later"),
    [
        ({}, codes.SUCCESS, codes.SUCCESS),
        ({"page": "refused"}, codes.DEGRADED, codes.DEGRADED),
        ({"manager": "refused"}, codes.DEGRADED, codes.GENERIC),
    ],
)
def test_required_and_optional_answers(host: FakeHost, silent: dict[str, str], code: int, later: int) -> None:
    act(host, "start")
    host.silent = silent
    assert act(host, "monitor").code == code
    host.time += 21
    assert act(host, "monitor").code == later
    # a probe only looks whether it is here
    assert act(host, "monitor", probe=True).code == codes.SUCCESS
    host.silent = {}
    assert act(host, "monitor").code == codes.SUCCESS


@pytest.mark.parametrize(
    ("states", "code", "probe"),
    [
        ({}, codes.NOT_RUNNING, codes.NOT_RUNNING),
        ({"database.service": "failed"}, codes.NOT_RUNNING, codes.NOT_RUNNING),
        ({"database.service": "active"}, codes.GENERIC, codes.DEGRADED),
        ({"database.service": "active", "manager.service": "failed"}, codes.GENERIC, codes.DEGRADED),
        ({"database.service": "active", "manager.service": "activating"}, codes.DEGRADED, codes.DEGRADED),
        ({"database.service": "active", "manager.service": "active"}, codes.SUCCESS, codes.SUCCESS),
    ],
)
def test_units_decide_where_the_role_is(
    host: FakeHost, states: dict[str, str], code: int, probe: int
) -> None:
    host.states = states
    assert act(host, "monitor").code == code
    assert act(host, "monitor", probe=True).code == probe


def test_a_process_that_is_left_is_no_absence(host: FakeHost) -> None:
    host.left = {"manager.service"}
    assert act(host, "monitor", probe=True).code == codes.DEGRADED
    assert act(host, "stop").code == codes.SUCCESS
    assert "kill manager.service" in host.did
    host.left, host.immortal = {"manager.service"}, {"manager.service"}
    outcome = act(host, "stop")
    assert (outcome.code, "not proven to be gone" in outcome.reason) == (codes.GENERIC, True)


def test_what_does_not_end_is_killed_in_time(host: FakeHost) -> None:
    act(host, "start")
    host.stubborn = {"database.service"}
    began = host.time
    assert act(host, "stop").code == codes.SUCCESS
    assert "kill database.service" in host.did
    assert host.time - began < 110


@pytest.mark.parametrize(
    ("online", "moves", "code"),
    [({"n1", "n2"}, 1.0, codes.GENERIC), ({"n1", "n2"}, 0.0, codes.SUCCESS), ({"n1"}, 1.0, codes.SUCCESS)],
)
def test_a_lease_counts_while_its_host_is_online_and_writes_it(
    host: FakeHost, online: set[str], moves: float, code: int
) -> None:
    host.lease_text = written([Tenure("n2", "b2", 1.0, 900.0)])
    host.online, host.lease_moves = frozenset(online), moves
    assert act(host, "start", lease="/srv/lease").code == code
    assert ("start manager.service" in host.did) == (code == codes.SUCCESS)


def test_a_role_that_somebody_else_took_fails_at_once(host: FakeHost) -> None:
    act(host, "start", lease="/srv/lease")
    host.lease_text += written([Tenure("n2", "b2", 1001.0, 1002.0)])
    outcome = act(host, "monitor", lease="/srv/lease")
    assert (outcome.code, "n2 holds the role" in outcome.reason) == (codes.GENERIC, True)


def test_a_lease_that_cannot_be_written_is_degraded_and_keeps_a_start_away(host: FakeHost) -> None:
    act(host, "start", lease="/srv/lease")
    host.lease_hangs = True
    assert act(host, "monitor", lease="/srv/lease").code == codes.DEGRADED
    assert act(host, "stop", lease="/srv/lease").code == codes.SUCCESS
    assert act(host, "start", lease="/srv/lease").code == codes.GENERIC


@pytest.mark.parametrize("bad", ["/usr/bin/check", "/usr/bin/take"])
def test_nothing_is_started_after_a_command_that_failed(host: FakeHost, bad: str) -> None:
    host.bad_commands = {bad}
    assert act(host, "start").code == codes.GENERIC
    assert not [deed for deed in host.did if deed.startswith("start")]


def test_a_start_that_is_not_answered_fails_in_time(host: FakeHost) -> None:
    host.silent = {"manager": "HTTP status 500"}
    outcome = act(host, "start")
    assert (outcome.code, "HTTP status 500" in outcome.reason) == (codes.GENERIC, True)
    assert host.time < 1110


@pytest.mark.parametrize("state", ["failed", "inactive"])
def test_a_start_does_not_wait_for_a_unit_that_has_ended(host: FakeHost, state: str) -> None:
    host.brief = {"manager.service": state}
    began = host.time
    outcome = act(host, "start")
    assert (outcome.code, "manager.service has ended" in outcome.reason) == (codes.GENERIC, True)
    assert host.time - began < 1.0


def test_a_start_waits_for_a_unit_that_systemd_starts_again(host: FakeHost) -> None:
    host.brief = {"manager.service": "activating"}
    began = host.time
    assert "does not answer: not active: manager.service (activating)" in act(host, "start").reason
    assert host.time - began > 50


def test_a_unit_that_the_init_system_starts_is_a_finding(host: FakeHost) -> None:
    assert act(host, "validate").code == codes.SUCCESS
    host.enabled = {"manager.service"}
    found = act(host, "validate")
    assert (found.code, "systemctl disable manager.service" in found.reason) == (codes.ARGUMENTS, True)
    act(host, "start")
    assert act(host, "monitor").code == codes.SUCCESS


def test_a_unit_that_is_not_there_is_said(host: FakeHost) -> None:
    host.absent = {"manager.service"}
    assert act(host, "validate").code == codes.NOT_INSTALLED
    assert "no unit manager.service" in act(host, "start").reason


@pytest.mark.parametrize("text", [None, "units = 3", "not toml", 'units = ["other"]'])
def test_what_was_started_is_stopped_whatever_became_of_its_profile(host: FakeHost, text: str | None) -> None:
    act(host, "start")
    host.text = text
    assert act(host, "monitor").code in (codes.SUCCESS, codes.GENERIC)
    assert act(host, "stop").code == codes.SUCCESS
    assert {"stop manager.service", "stop database.service"} <= set(host.did)


def test_without_a_profile_nothing_is_started_and_nothing_was(host: FakeHost) -> None:
    host.text = None
    assert act(host, "start").code == codes.NOT_INSTALLED
    assert act(host, "monitor", probe=True).code == codes.NOT_INSTALLED
    assert act(host, "stop").code == codes.SUCCESS


def test_the_generic_profile_is_its_parameters(host: FakeHost) -> None:
    given = {
        "profile": "generic",
        "units": "web",
        "probes": "http://127.0.0.1/",
        "optional_probes": "tcp://127.0.0.1:5",
    }
    assert act(host, "start", **given).code == codes.SUCCESS
    host.silent = {"tcp://127.0.0.1:5": "refused"}
    assert act(host, "monitor", **given).code == codes.DEGRADED
    assert act(host, "start", profile="generic").code == codes.ARGUMENTS


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("unit = []", "has no key 'unit'"),
        ("units = 'a'", "units must be a list"),
        ("probes = [1]", "probes must be tables"),
        ("[[probes]]\nname = 'a'", "has one of"),
        ("[[probes]]\nhttp = 'ftp://x'", "must begin with http"),
        ("[[probes]]\ntcp = 'x'", "host:port"),
        ("[[probes]]\nxmlrpc = 'http://x/'", "needs the method"),
        ("[[probes]]\ncommand = ['true']", "absolute path"),
        ("[[probes]]\nhttp = 'http://x/'\nwithin = 'soon'", "must be a time"),
        ("[[probes]]\nhttp = 'http://x/'\nrequired = 'no'", "true or false"),
        ("[[probes]]\nhttp = 'http://x/'\nstatus = '200'", "list of numbers"),
        ("[[probes]]\nhttp = 'http://x/'\nstatus = [true]", "list of numbers from 100 to 599"),
        ("[[probes]]\nhttp = 'http://x/'\nstatus = [2000]", "list of numbers from 100 to 599"),
        ("[[probes]]\nhttp = 'http:///x'", "names no host"),
        ("[[probes]]\ntcp = ':80'", "host:port"),
        ("[[probes]]\ntcp = 'x:80'\nstatus = [200]", "status of probe 1 means nothing with tcp"),
        ("[[probes]]\nhttp = 'http://x'\nmethod = 'a'", "method of probe 1 means nothing with http"),
        ("[[probes]]\nhttp = 'http://x'\ntext = 3", "text of probe 1 must be a text"),
        ("[[probes]]\ntcp = 'x:80'\nwithin = '1s'\nslow = '1s'", "slow of probe 1 must be less than within"),
        (
            "[[probes]]\nname = 'a'\ntcp = 'x:1'\n[[probes]]\nname = 'a'\ntcp = 'x:2'",
            "the probe a stands there twice",
        ),
        ("units = ['a', 'a']", "in the profile mine, the unit a stands there twice"),
        ("units = ['a b']", "'a b' among units is no name of a systemd unit"),
        ("units = ['/lib/x.service']", "is no name of a systemd unit"),
        ("[take]\nwithin = '3s'", "[take] has no commands"),
        (
            "[take]\ncommands = [['/x']]\ncodes = ['0']",
            "codes of take must be a list of numbers from 0 to 255",
        ),
        ("[recover]\ncommands = [['/x', '{hots}']]", "{hots} in a command of recover stands for nothing"),
        (
            "[give_back]\ncommands = [['/x', '{fenced}']]",
            "{fenced} in a command of give_back stands for nothing",
        ),
        (
            "[take]\ncommands = [['/x', '{host}']]",
            "{host} in a command of take stands for nothing; there is no such",
        ),
        ("unit = ['a']", "in the profile mine, it has no key 'unit'"),
        ("[take]\ncommands = [['true']]", "absolute path"),
        ("[take]\ncommand = []", "take has no key 'command'"),
        ("units = [", "is not TOML"),
    ],
)
def test_a_wrong_profile_is_one_sentence(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=re.escape(complaint)):
        parse("mine", text)


@pytest.mark.parametrize("word", ["web", "ftp://x/", "tcp://x", "tcp://x:0", "command:true", "http://"])
def test_a_wrong_short_probe_is_said(word: str) -> None:
    with pytest.raises(BadInput, match="is no probe"):
        short_probe(word, True, 5.0)


@pytest.mark.parametrize(
    ("given", "name"), [("web", "web.service"), ("web.socket", "web.socket"), ("a@b", "a@b.service")]
)
def test_units_have_endings(given: str, name: str) -> None:
    assert unit_name(given) == name


def test_a_host_is_recovered_by_the_profiles_commands(host: FakeHost) -> None:
    profile = parse(
        "mine", "units = ['a']\n[recover]\ncommands = [['/bin/recover', '--host={host}', '{fenced}']]"
    )
    said: list[str] = []
    assert profile.recovers_hosts
    assert not Profile("x").recovers_hosts
    profile.recover("n3", 7.0, host, Deadline(10.0, host.now), said.append)  # type: ignore[arg-type]
    assert said == ["/bin/recover --host=n3 7: done"]
    host.bad_commands = {"/bin/recover"}
    with pytest.raises(CannotAsk, match="exit code 1"):
        profile.recover("n3", 7.0, host, Deadline(10.0, host.now), said.append)  # type: ignore[arg-type]
    assert Profile("x").recover("n3", 7.0, host, Deadline(1.0, host.now), said.append) == ""  # type: ignore[arg-type]


def test_units_that_cannot_be_seen_are_degraded_while_it_answers_and_else_not_for_ever(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard of every agent bounds what is not known (tests/unit/ocf/test_failure.py); a probe may not fail."""
    act(host, "start")

    def silent(_names: object, _timeout: float) -> None:
        raise CannotAsk("systemctl did not answer within 4.0 s")

    monkeypatch.setattr(host, "units", silent)
    outcome = act(host, "monitor")
    assert (outcome.code, outcome.reason.endswith("it answers")) == (codes.DEGRADED, True)
    host.silent = {"manager": "refused"}
    with pytest.raises(CannotAsk, match=r"units of mine .* not known"):
        act(host, "monitor")
    assert host.did[-1] == "publish degraded"
    assert act(host, "monitor", probe=True).code == codes.DEGRADED


def test_after_a_probe_everything_is_told_again(host: FakeHost) -> None:
    """Pacemaker was restarted beside the running role, and its transient attributes are gone."""
    act(host, "start")
    act(host, "monitor")
    host.did.clear()
    act(host, "monitor")
    assert "publish up" not in host.did
    assert act(host, "monitor", probe=True).code == codes.SUCCESS
    act(host, "monitor")
    assert "publish up" in host.did
