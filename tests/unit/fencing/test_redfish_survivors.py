# SPDX-License-Identifier: GPL-2.0-or-later
"""What no rehearsal of fence_backstay_redfish can see, found by breaking it (bench/mutation-records.md): each a test.

What is no success, what is sent along, where a system is looked for, the words of the standard.
"""

from __future__ import annotations

import json

import pytest

from backstay.errors import BadInput
from backstay.fencing import redfish
from backstay.fencing.parameters import Values
from backstay.fencing.redfish_parameters import PARAMETERS
from backstay.host import redfish_answers as answers
from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.clock import Deadline
from backstay.host.https import Answer
from backstay.host.redfish import Places
from tests.unit.fencing.test_redfish import SYSTEM, TARGET, Wire, bmc, resource, system


@pytest.mark.parametrize("status", [300, 304, 400])
def test_what_is_no_success_is_a_refusal(status: int) -> None:
    wire = Wire(GET=[SYSTEM, system()], POST=[TARGET, Answer(status)])
    assert isinstance(bmc(wire).switch(Power.OFF, 5), Trouble)


def test_a_login_that_is_answered_with_300_is_none() -> None:
    wire = Wire(
        GET=["/redfish/v1/", resource()],
        POST=["/redfish/v1/SessionService/Sessions", Answer(300, {"x-auth-token": "t"})],
    )
    found = bmc(wire, session=True).power(5)
    assert isinstance(found, Trouble)
    assert found.code == 300


def test_a_bmc_that_wants_a_match_and_names_none_gets_any() -> None:
    bare = Answer(200, {}, system().body)
    wire = Wire(GET=[SYSTEM, bare], POST=[TARGET, Answer(428), Answer(204)])
    assert bmc(wire).switch(Power.OFF, 5) is None
    assert wire.headers[-1]["If-Match"] == "*"


def test_what_every_request_says() -> None:
    wire = Wire(GET=[SYSTEM, system()])
    bmc(wire).power(5)
    assert wire.headers[0] == {
        "Accept": "application/json",
        "OData-Version": "4.0",
        "Authorization": "Basic dTpw",
    }


def test_a_session_that_cannot_be_closed_is_traced() -> None:
    said: list[str] = []
    wire = Wire(
        GET=["/redfish/v1/", resource()], GET_1=[SYSTEM, system()],
        POST=["/redfish/v1/SessionService/Sessions", Answer(201, {"x-auth-token": "t", "location": "/s/1"})],
        DELETE=["/s/1", Trouble(Kind.DROPPED, None, "hung up")],
    )  # fmt: skip
    asked = bmc(wire, session=True)
    asked._trace = said.append
    assert asked.power(5) is Power.ON
    asked.close()
    assert said[-1] == "the session could not be closed: hung up"
    assert said[0].startswith("GET /redfish/v1/: HTTP 200 after ")
    assert said[0].endswith(" s")
    assert wire.asked[-1] == ("DELETE", "/s/1")


@pytest.mark.parametrize(
    ("given", "root"), [("/redfish/v1", "/redfish/v1/"), ("/redfish/v1/", "/redfish/v1/")]
)
def test_a_root_ends_with_a_slash(given: str, root: str) -> None:
    assert redfish.places_of(Values({"redfish_uri": given}, PARAMETERS)).root == root


def test_what_is_secret() -> None:
    assert {parameter.name for parameter in PARAMETERS if parameter.secret} == {"password"}


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"ssl": "0"}, "remove ssl"),
        ({"username": "a:b"}, "set session=1"),
        ({"ssl_fingerprint": "1"}, "openssl x509"),
    ],
)
def test_each_no_says_what_to_do(given: dict[str, str], hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        redfish.check(
            Values({"ip": "1", "username": "u", "password": "p", "action": "off", **given}, PARAMETERS)
        )
    assert hint in (caught.value.hint or "")


def test_what_the_proof_asks_for() -> None:
    wire = Wire(GET=[SYSTEM, system()], GET_1=["/any", resource(Name="x")])
    asked = bmc(wire)
    assert asked.system(Deadline(5))["PowerState"] == "On"
    assert asked.read("/any", Deadline(5)) == {"Name": "x"}
    assert (asked.user, asked.root) == ("u", "/redfish/v1/")


def test_a_command_without_a_look_before_it_looks() -> None:
    wire = Wire(GET=[SYSTEM, system()], POST=[TARGET, Answer(204)])
    assert bmc(wire).switch(Power.OFF, 5) is None
    assert wire.asked == [("GET", SYSTEM), ("POST", TARGET)]


SILENT = Trouble(Kind.SILENT, None, "nobody there")


@pytest.mark.parametrize(
    ("known", "session", "said"),
    [
        ({"GET": ["/redfish/v1/", resource()]}, False, "has no list of systems; set systems_uri if it hides one"),
        ({"GET": ["/redfish/v1/", resource(Systems={"@odata.id": "/s"})], "GET_1": ["/s", SILENT]}, False, "nobody there"),
        ({"GET": ["/redfish/v1/", resource()], "POST": ["/redfish/v1/SessionService/Sessions", SILENT]}, True, "nobody there"),
        (
            {"GET": ["/redfish/v1/", resource(Systems={"@odata.id": "/s"})], "GET_1": ["/s", resource(Members=[])]},
            False,
            "has no system; set systems_uri if it hides one",
        ),
        ({"GET": ["/redfish/v1/", Answer(302, {"location": "/redfish/v1/"})]}, False,
         "redirects without an end (/redfish/v1/); correct systems_uri"),
        ({"GET": ["/redfish/v1/", Answer(302)]}, False, "sends requests nowhere; correct ip, ipport or systems_uri"),
        ({"GET": ["/redfish/v1/", Answer(302, {"location": "https://other/x"})]}, False,
         "sends requests to https://other/x; correct ip, ipport or systems_uri"),
        ({"GET": ["/redfish/v1/", Answer(404)]}, False, "has nothing at /redfish/v1/ (HTTP 404); correct systems_uri"),
    ],
)  # fmt: skip
def test_a_system_that_is_not_found_is_a_reason(known: dict, session: bool, said: str) -> None:
    found = bmc(Wire(**known), session=session, system="").power(5)
    assert isinstance(found, Trouble)
    assert found.said == said


def test_a_page_that_cannot_be_read_is_no_answer() -> None:
    first = {"Members": [{"@odata.id": SYSTEM}], "Members@odata.nextLink": "/page2"}
    wire = Wire(GET=["/s", Answer(200, {}, json.dumps(first).encode())], GET_1=["/page2", SILENT])
    assert bmc(wire, system="/s").power(5) == SILENT


def test_the_mark_of_a_version_may_be_in_the_body() -> None:
    bare = Answer(200, {}, json.dumps(json.loads(system().body) | {"@odata.etag": "W/7"}).encode())
    wire = Wire(GET=[SYSTEM, bare], POST=[TARGET, Answer(428), Answer(204)])
    assert bmc(wire).switch(Power.OFF, 5) is None
    assert wire.headers[-1]["If-Match"] == "W/7"


def test_the_words_of_the_standard() -> None:
    assert {"SessionLimitExceeded", "CreateLimitReachedForResource"} == answers.FULL
    assert {"InvalidOperationForSystemState", "ResourceInStandby", "PowerStateError"} == answers.STATE
    assert {
        "ServiceTemporarilyUnavailable",
        "ResourceInUse",
        "ServiceShuttingDown",
        "OperationTimeout",
    } == answers.BUSY
    assert {"UnauthorizedLoginAttempt", "ResourceAtUriUnauthorized"} == answers.LOGIN
    assert {"Exception", "Killed", "Cancelled", "Cancelling"} == answers.FAILED_TASKS
    assert answers.path_of("/a b/%20?x=1&y=(2)") == "/a%20b/%20?x=1&y=(2)"
    assert answers.path_of("https://other") == "/"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, Kind.BLANK),
        (501, Kind.REFUSED),
        (502, Kind.REFUSED),
        (503, Kind.REFUSED),
        (504, Kind.REFUSED),
        (505, Kind.BLANK),
    ],
)
def test_a_look_that_fails_inside_the_bmc_is_blank(status: int, kind: Kind) -> None:
    assert answers.refusal(Answer(status), "GET /x", trusted=True).kind is kind
    assert answers.refusal(Answer(status), "POST /x", trusted=True).kind is Kind.REFUSED


def error(**content: object) -> Answer:
    return Answer(400, {}, json.dumps({"error": content}).encode())


@pytest.mark.parametrize(
    ("answer", "names", "words"),
    [
        (error(code="Base.1.0.GeneralError", message="Timeout; it timed out. Took long."), ("GeneralError",),
         "Time-out, it took too long. took long"),
        (error(**{"@Message.ExtendedInfo": [{"MessageID": "Base.1.8.X", "Message": " two\n lines . "}]}), ("X",), "two lines"),
        (Answer(400, {}, b"[]"), (), ""),
        (Answer(400, {}, b"{"), (), ""),
    ],
)  # fmt: skip
def test_the_reason_that_a_bmc_gives(answer: Answer, names: tuple[str, ...], words: str) -> None:
    assert answers.reason(answer) == (names, words)


@pytest.mark.parametrize(("text", "seconds"), [("", 0.0), ("2", 2.0), ("99", 5.0), ("Fri, 31 Dec", 0.0)])
def test_how_long_a_bmc_wants_to_be_left_alone(text: str, seconds: float) -> None:
    assert answers.retry_after(Answer(503, {"retry-after": text} if text else {})) == seconds


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_task_that_nobody_may_see_any_more_has_ended(status: int) -> None:
    assert answers.task_end(Answer(status)) is True


def test_a_choice_that_is_not_there_is_said_word_for_word() -> None:
    said = "offers no On and no ForceOn (but GracefulRestart, Nmi); it cannot be used for fencing"
    found = answers.choose_type(Power.ON, ("GracefulRestart", "Nmi"))
    assert (isinstance(found, Trouble) and found.said) == said
    none = answers.choose_type(Power.OFF, ())
    assert isinstance(none, Trouble)
    assert "(but nothing)" in none.said
    several = answers.choose_system(("/r/S/1/", "/r/S/2"), "3")
    assert isinstance(several, Trouble)
    assert several.said == "has 2 systems (1, 2); set systems_uri to /r/S/ and one of them"
    assert answers.choose_system(("/r/S/1/", "/r/S/2"), "1") == "/r/S/1/"
    assert answers.power({}) == Trouble(Kind.BLANK, None, "no PowerState")
    assert answers.power({"PowerState": "Odd"}) == Trouble(Kind.BLANK, None, "PowerState 'Odd'")


def test_the_settings_of_a_device() -> None:
    given = {"ssl_name": "bmc1", "ssl_ca": "/ca", "plug": "7", "redfish_uri": "/other/"}
    assert redfish.trust_of(Values(given, PARAMETERS)).name == "bmc1"
    assert redfish.places_of(Values(given, PARAMETERS)) == Places("/other/", "", "7")
    assert redfish.places_of(Values({**given, "port_as_ip": "1"}, PARAMETERS)).plug == ""
    (port,) = (parameter for parameter in PARAMETERS if parameter.name == "ipport")
    assert [bool(port.problem(value)) for value in ("0", "1", "65535", "65536")] == [True, False, False, True]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_each_redirection_is_followed(status: int) -> None:
    wire = Wire(GET=[SYSTEM, Answer(status, {"location": "/there"})], GET_1=["/there", system()])
    assert bmc(wire).power(5) is Power.ON
    assert isinstance(bmc(Wire(GET=[SYSTEM, Answer(303, {"location": "/there"})])).power(5), Trouble)


def test_without_a_task_there_is_nothing_to_follow() -> None:
    wire = Wire(GET=[SYSTEM, system()], POST=[TARGET, Answer(204)])
    asked = bmc(wire)
    assert asked.switch(Power.OFF, 5) is None
    assert asked.power(5) is Power.ON
    assert wire.asked == [("GET", SYSTEM), ("POST", TARGET), ("GET", SYSTEM)]


@pytest.mark.parametrize("system_answer", [Answer(500), system(Actions={})])
def test_a_command_that_cannot_be_given_is_a_trouble(system_answer: Answer) -> None:
    wire = Wire(GET=[SYSTEM, system_answer])
    assert isinstance(bmc(wire).switch(Power.OFF, 5), Trouble)
    assert ("POST", TARGET) not in wire.asked


@pytest.mark.parametrize("name", ["redfish_uri", "systems_uri"])
def test_a_path_that_is_none_is_called_by_its_name(name: str) -> None:
    with pytest.raises(BadInput, match=f"{name} must be a path"):
        redfish.places_of(Values({name: "//x"}, PARAMETERS))


def test_the_password_is_hidden_before_anything_is_asked() -> None:
    given, hidden = {"ip": "192.0.2.1", "username": "u", "password": "s3cret"}, []
    values = Values(given, PARAMETERS)
    redfish.way_to(values, redfish.device_of(values), hidden.append, lambda _: None)
    assert hidden[0] == "s3cret"
    assert "dTpzM2NyZXQ=" in hidden  # as HTTP Basic has it


def test_a_login_at_a_root_that_is_silent_is_a_trouble() -> None:
    assert bmc(Wire(GET=["/redfish/v1/", SILENT]), session=True).power(5) == SILENT


def test_a_session_without_a_token_is_not_closed() -> None:
    wire = Wire(
        GET=["/redfish/v1/", resource()],
        POST=["/redfish/v1/SessionService/Sessions", Answer(201, {"location": "/s/1"})],
    )
    asked = bmc(wire, session=True)
    assert isinstance(asked.power(5), Trouble)
    asked.close()
    assert all(method != "DELETE" for method, _ in wire.asked)
