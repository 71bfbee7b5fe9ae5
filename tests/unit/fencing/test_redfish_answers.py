# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Redfish service's answers mean, row by row."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.host import redfish_answers as answers
from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.https import Answer
from backstay.host.redfish_answers import Reset

TARGET = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
PACEMAKER_READS = ("imed out", "imeout", "nrecognised action", "nsupported action")


def said(status: int, message_id: str = "", text: str = "", **headers: str) -> Answer:
    """A refusal as Redfish has it."""
    told = [{"MessageId": f"Base.1.8.{message_id}", "Message": text}] if message_id else []
    body = {
        "error": {"code": "Base.1.8.GeneralError", "message": "See the rest.", "@Message.ExtendedInfo": told}
    }
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, names, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("state", "power"),
    [
        ("On", Power.ON),
        ("Off", Power.OFF),
        ("PoweringOn", Power.CHANGING),
        ("PoweringOff", Power.CHANGING),
        ("Paused", Power.ON),
    ],
)
def test_power_states(state, power):
    assert answers.power({"PowerState": state}) is power


@pytest.mark.parametrize("state", [None, "", "off", "OFF", " Off", "Reset", 0, False, ["Off"], {"Off": 1}])
def test_only_off_is_off(state):
    found = answers.power({"PowerState": state})
    assert isinstance(found, Trouble)
    assert found.kind is Kind.BLANK


@given(
    st.dictionaries(st.text(), st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=3))
)
def test_nothing_else_is_ever_off(system):
    system.pop("PowerState", None)
    assert isinstance(answers.power(system), Trouble)


@pytest.mark.parametrize(
    ("action", "found"),
    [
        ({"target": TARGET}, Reset(TARGET)),
        (
            {"target": TARGET, "ResetType@Redfish.AllowableValues": ["On", "ForceOff"]},
            Reset(TARGET, ("On", "ForceOff")),
        ),
        ({"target": TARGET, "ResetType@Redfish.AllowableValues": []}, Reset(TARGET)),
        ({"target": TARGET, "@Redfish.ActionInfo": "/info"}, Reset(TARGET, None, "/info")),
        ({"target": f"https://bmc.internal{TARGET}"}, Reset(TARGET)),
        ({"target": "/a b/ü"}, Reset("/a%20b/%C3%BC")),
        ({"target": 7}, None),
        ({}, None),
    ],
)
def test_how_a_system_is_reset(action, found):
    read = answers.reset({"Actions": {"#ComputerSystem.Reset": action}})
    assert read == found if found else (isinstance(read, Trouble) and read.kind is Kind.OFFER)


@pytest.mark.parametrize("system", [{}, {"Actions": None}, {"Actions": []}, {"Actions": {"Oem": {}}}])
def test_a_system_without_a_reset(system):
    assert isinstance(answers.reset(system), Trouble)


@pytest.mark.parametrize(
    ("wanted", "allowed", "way"),
    [
        (Power.OFF, None, "ForceOff"),
        (Power.OFF, ("On", "ForceOff"), "ForceOff"),
        (Power.OFF, ("GracefulShutdown", "ForceRestart", "PowerCycle", "PushPowerButton"), None),
        (Power.ON, None, "On"),
        (Power.ON, ("ForceOn", "On"), "On"),
        (Power.ON, ("ForceOn", "ForceOff"), "ForceOn"),
        (Power.ON, ("ForceOff", "ForceRestart"), None),
    ],
)
def test_the_reset_type(wanted, allowed, way):
    found = answers.choose_type(wanted, allowed)
    assert found == way if way else (isinstance(found, Trouble) and found.kind is Kind.OFFER)


def test_an_action_info():
    listed = {"Parameters": [None, {"Name": "Delay"}, {"Name": "ResetType", "AllowableValues": ["ForceOff"]}]}
    assert answers.allowed_by(listed) == ("ForceOff",)
    assert answers.allowed_by({"Parameters": [{"Name": "ResetType"}]}) is None
    assert answers.allowed_by({"Parameters": None}) is None


@pytest.mark.parametrize(
    ("paths", "plug", "chosen"),
    [
        (["/s/1"], "", "/s/1"),
        (["/s/1"], "n2", "/s/1"),
        (["/s/1", "/s/n2"], "n2", "/s/n2"),
        (["/s/1", "/s/n2/"], "n2", "/s/n2/"),
        (["/s/1", "/s/2"], "", None),
        (["/s/1", "/s/2"], "n2", None),
        (["/s/1", "/s/n22"], "n2", None),
        (["/a/n2", "/b/n2"], "n2", None),
        ([], "n2", None),
    ],
)
def test_which_system(paths, plug, chosen):
    found = answers.choose_system(paths, plug)
    assert found == chosen if chosen else (isinstance(found, Trouble) and found.kind is Kind.OFFER)


def test_members():
    listed = {"Members": [{"@odata.id": "/s/1"}, {}, None, {"@odata.id": 5}, {"@odata.id": "/s/2"}]}
    assert answers.members(listed) == ["/s/1", "/s/2"]
    assert answers.members({"Members": "x"}) == []


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("/there", "/there"),
        ("https://bmc/there?x=1", "/there?x=1"),
        ("https://BMC:443/there", "/there"),
        ("//bmc/there", "/there"),
        ("http://bmc/there", None),
        ("https://bmc:444/there", None),
        ("https://other/there", None),
        ("https://bmc.other/there", None),
        ("https://bmc@other/there", None),
        ("https://[bad/there", None),
        ("//other/there", None),
        ("", None),
    ],
)
def test_redirections(location, place):
    found = answers.redirected(Answer(308, {"location": location}), "bmc", 443)
    assert found == place if place else (isinstance(found, Trouble) and found.kind is Kind.OFFER)


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (Answer(202, {"location": "/t/1"}), "/t/1"),
        (Answer(202, {"location": "https://internal/t/1?x"}), "/t/1?x"),
        (Answer(202, {}, b'{"@odata.id": "/t/2"}'), "/t/2"),
        (Answer(202, {}, b'{"TaskMonitor": "/t/3"}'), "/t/3"),
        (Answer(202, {}, b"not JSON"), ""),
        (Answer(202), ""),
    ],
)
def test_where_a_task_is(answer, path):
    assert answers.task_of(answer) == path


def task(status: int, state: str | None = None, **more: object) -> Answer:
    """A task, or its monitor."""
    return Answer(status, {}, json.dumps(more | ({"TaskState": state} if state else {})).encode())


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (task(202), False),
        (Answer(202), False),
        *((task(202, state), False) for state in ("New", "Running", "Pending", "Completed")),
        *((task(200, state), False) for state in ("New", "Starting", "Running", "Suspended", "Pending", "Stopping")),
        (task(200, "Completed"), True),
        (task(200), True),
        (Answer(204), True),
        (Answer(404), True),
        (Answer(410), True),
        (Answer(403), True),
        (Answer(503), False),
        (Answer(500), False),
        (Answer(429), False),
        *((task(200, state), Trouble(Kind.TASK, None, state)) for state in ("Exception", "Killed", "Cancelled")),
        (task(202, "Exception"), Trouble(Kind.TASK, None, "Exception")),
        (task(200, "Exception", Messages=[{"Message": "It\nbroke."}]), Trouble(Kind.TASK, None, "Exception: It broke")),
        (said(400, "ActionFailed", "No way."), Trouble(Kind.TASK, None, "HTTP 400: No way")),
    ],
)  # fmt: skip
def test_what_became_of_a_task(answer, end):
    assert answers.task_end(answer) == end


@pytest.mark.parametrize(
    ("answer", "trusted", "kind", "code"),
    [
        (said(401), False, Kind.PASSWORD, 401),
        (said(401), True, Kind.ROLE, 401),
        (said(400, "UnauthorizedLoginAttempt"), False, Kind.PASSWORD, 400),
        (said(403), False, Kind.ROLE, 403),
        (said(400, "InsufficientPrivilege"), True, Kind.ROLE, 400),
        (said(401, "InsufficientPrivilege"), False, Kind.ROLE, 401),
        (said(404), True, Kind.OFFER, 404),
        (said(405), True, Kind.REFUSED, 405),
        (said(409), True, Kind.NOT_NOW, 409),
        (said(409, "ResourceInUse"), True, Kind.REFUSED, 503),
        (said(400, "InvalidOperationForSystemState"), True, Kind.NOT_NOW, 400),
        (said(400, "ActionParameterNotSupported"), True, Kind.REFUSED, 400),
        (said(400, "ServiceTemporarilyUnavailable"), True, Kind.REFUSED, 503),
        (said(503, "SessionLimitExceeded"), True, Kind.SESSIONS, 503),
        (said(400, "CreateLimitReachedForResource"), True, Kind.SESSIONS, 400),
        (said(429), True, Kind.REFUSED, 429),
        (said(503), True, Kind.REFUSED, 503),
        (said(500), True, Kind.REFUSED, 500),
        (said(303), True, Kind.REFUSED, 303),
        (Answer(418, {}, b"\xff<html>"), True, Kind.REFUSED, 418),
        (Answer(400, {}, b'{"error": []}'), True, Kind.REFUSED, 400),
        (Answer(400, {}, b'{"error": {"@Message.ExtendedInfo": {"MessageId": "iLO.2.13.X"}}}'), True, Kind.REFUSED, 400),
    ],
)  # fmt: skip
def test_refusals_of_a_command(answer, trusted, kind, code):
    found = answers.refusal(answer, f"POST {TARGET}", trusted)
    assert (found.kind, found.code) == (kind, code)
    assert f"HTTP {answer.status}" in found.said


@pytest.mark.parametrize(
    ("status", "kind"), [(500, Kind.BLANK), (507, Kind.BLANK), (501, Kind.REFUSED), (503, Kind.REFUSED)]
)
def test_a_look_that_fails_inside_the_bmc_passes(status, kind):
    assert answers.refusal(said(status), "GET /redfish/v1/Systems/1", True).kind is kind


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3), ("120", 5), ("", 0), ("Fri, 20 Nov 2026 13:00:00 GMT", 0), ("-1", 0)]
)
def test_how_long_a_bmc_wants_to_be_left_alone(text, seconds):
    assert answers.refusal(said(503, retry_after=text), "POST /x", True).after == seconds


def test_the_most_telling_words_are_taken():
    assert (
        answers.refusal(said(400, "X", "First.\n Second"), "POST /x", True).said
        == "HTTP 400, X: First. Second"
    )
    assert answers.refusal(said(400), "POST /x", True).said == "HTTP 400: See the rest"
    assert answers.refusal(Answer(400), "POST /x", True).said == "HTTP 400"


@pytest.mark.parametrize(
    "text", ["Timed out.", "timeout", "Unsupported action X", "It timed out; try again", "x" * 999]
)
def test_foreign_words_mislead_nobody(text):
    words = answers.refusal(said(400, "X", text), "POST /x", True).said
    assert not any(phrase in words for phrase in PACEMAKER_READS)
    assert ";" not in words
    assert len(words) < 160


@pytest.mark.parametrize("place", ["https://[bmc.example]/redfish/v1/Tasks/1", "//[x/1"])
def test_a_place_that_is_no_uri_breaks_nothing(place):
    """A BMC that has taken a power-off and names its task so has taken it all the same."""
    assert answers.task_of(Answer(202, {"location": place})) == ""
    assert answers.link({"Systems": {"@odata.id": place}}, "Systems") == ""
    found = answers.reset({"Actions": {"#ComputerSystem.Reset": {"target": place}}})
    assert isinstance(found, Trouble)
    assert found.kind is Kind.OFFER


def test_a_member_that_is_no_uri_still_counts():
    """Or another system would be the only one, and switched off in its place."""
    paths = answers.members({"Members": [{"@odata.id": "//[x/1"}, {"@odata.id": "/redfish/v1/Systems/2"}]})
    assert isinstance(answers.choose_system(paths, ""), Trouble)


def test_an_answer_that_is_nested_without_an_end_is_no_object():
    assert answers.document(Answer(200, {}, b"[" * 1_000_000)) is None
