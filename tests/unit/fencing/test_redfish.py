# SPDX-License-Identifier: GPL-2.0-or-later
"""Which requests a question takes: no socket, an answering machine."""

from __future__ import annotations

import json

import pytest

from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.https import Answer
from backstay.host.redfish import Account, Places, Redfish

SYSTEM = "/redfish/v1/Systems/1"
TARGET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
LOGIN = "/redfish/v1/Odd/Sessions"


def system(state: str = "On", **more: object) -> Answer:
    """A system in a power state."""
    found = {"PowerState": state, "UUID": "U", "Actions": {"#ComputerSystem.Reset": {"target": TARGET}}}
    return Answer(200, {"etag": '"7"'}, json.dumps(found | more).encode())


def resource(**content: object) -> Answer:
    """Any resource."""
    return Answer(
        200, {}, json.dumps({name.replace("_", "."): value for name, value in content.items()}).encode()
    )


class Wire:
    """Answers from a list for each request, the last one for ever; remembers what was asked."""

    host, port = "bmc", 443

    def __init__(self, **known: list[Answer | Trouble]) -> None:
        self.known = {(key.split("_")[0], path): list(found) for key, (path, *found) in known.items()}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict | None] = []
        self.closed = False

    def ask(self, method, path, headers, body, deadline):
        self.asked.append((method, path))
        self.headers.append(dict(headers))
        self.bodies.append(json.loads(body) if body else None)
        found = self.known.get((method, path), [Answer(404)])
        return found.pop(0) if len(found) > 1 else found[0]

    def close(self) -> None:
        self.closed = True


def bmc(wire: Wire, session: bool = False, **places: str) -> Redfish:
    """A BMC whose system is known, unless said otherwise."""
    return Redfish(wire, Account("u", "p", session), Places(**({"system": SYSTEM} | places)))


def test_a_look_and_a_command_are_two_requests():
    wire = Wire(GET=[SYSTEM, system()], POST=[TARGET, Answer(204)])
    asked = bmc(wire)
    assert asked.power(5) is Power.ON
    assert asked.switch(Power.OFF, 5) is None
    assert wire.asked == [("GET", SYSTEM), ("POST", TARGET)]
    assert wire.bodies[1] == {"ResetType": "ForceOff"}
    assert wire.headers[1]["Authorization"] == "Basic dTpw"


def test_the_system_is_found_once():
    wire = Wire(
        GET=["/redfish/v1/", resource(Systems={"@odata.id": "/redfish/v1/Systems"})],
        GET_1=["/redfish/v1/Systems", resource(Members=[{"@odata.id": SYSTEM}])],
        GET_2=[SYSTEM, system(), system("Off")],
    )
    asked = bmc(wire, system="")
    assert (asked.power(5), asked.power(5)) == (Power.ON, Power.OFF)
    assert [path for _, path in wire.asked] == ["/redfish/v1/", "/redfish/v1/Systems", SYSTEM, SYSTEM]


def test_a_system_on_a_later_page_is_a_second_system():
    first = {"Members": [{"@odata.id": SYSTEM}], "Members@odata.nextLink": "/page2"}
    wire = Wire(
        GET=["/redfish/v1/Systems", Answer(200, {}, json.dumps(first).encode())],
        GET_1=["/page2", resource(Members=[{"@odata.id": "/redfish/v1/Systems/2"}])],
    )
    found = bmc(wire, system="/redfish/v1/Systems").power(5)
    assert isinstance(found, Trouble)
    assert "has 2 systems (1, 2)" in found.said


def test_pages_without_an_end_are_given_up():
    endless = {"Members": [], "Members@odata.nextLink": "/redfish/v1/Systems"}
    found = bmc(Wire(GET=["/redfish/v1/Systems", Answer(200, {}, json.dumps(endless).encode())]),
                system="/redfish/v1/Systems").power(5)  # fmt: skip
    assert isinstance(found, Trouble)
    assert "without an end" in found.said


def test_an_action_info_that_cannot_be_read_keeps_no_host_alive():
    actions = {"#ComputerSystem.Reset": {"target": TARGET, "@Redfish.ActionInfo": "/info"}}
    wire = Wire(
        GET=[SYSTEM, system(Actions=actions)], GET_1=["/info", Answer(500)], POST=[TARGET, Answer(200)]
    )
    assert bmc(wire).switch(Power.OFF, 5) is None


def test_an_etag_is_sent_only_when_it_is_demanded():
    wire = Wire(GET=[SYSTEM, system()], POST=[TARGET, Answer(412), Answer(204)])
    assert bmc(wire).switch(Power.OFF, 5) is None
    assert [headers.get("If-Match") for headers in wire.headers] == [None, None, None, '"7"']


def test_a_task_that_failed_is_told_by_the_next_look_and_only_while_it_is_not_done():
    failed = resource(TaskState="Exception")
    wire = Wire(
        GET=[SYSTEM, system()],
        GET_1=["/t", Answer(202), failed],
        POST=[TARGET, Answer(202, {"location": "/t"})],
    )
    asked = bmc(wire)
    assert asked.switch(Power.OFF, 5) is None
    assert asked.power(5) is Power.ON
    assert asked.power(5) == Trouble(Kind.TASK, None, "Exception")
    wire = Wire(
        GET=[SYSTEM, system("Off")], GET_1=["/t", failed], POST=[TARGET, Answer(202, {"location": "/t"})]
    )
    asked = bmc(wire)
    assert asked.switch(Power.OFF, 5) is None
    assert asked.power(5) is Power.OFF, "what was seen counts, whatever the task says"


def test_a_task_that_cannot_be_asked_about_hides_no_state():
    wire = Wire(
        GET=[SYSTEM, system("PoweringOff")],
        GET_1=["/t", Trouble(Kind.UNANSWERED)],
        POST=[TARGET, Answer(202, {"location": "/t"})],
    )
    asked = bmc(wire)
    assert (asked.switch(Power.OFF, 5), asked.power(5)) == (None, Power.CHANGING)


@pytest.mark.parametrize("answer", [Answer(200, {}, b""), Answer(200, {}, b"[]"), Answer(200, {}, b"{")])
def test_what_is_no_object_is_no_state(answer):
    assert isinstance(bmc(Wire(GET=[SYSTEM, answer])).power(5), Trouble)


def test_a_session_is_opened_once_and_closed():
    wire = Wire(
        GET=[SYSTEM, system()],
        GET_1=["/redfish/v1/", resource(Links={"Sessions": {"@odata.id": LOGIN}})],
        POST=[LOGIN, Answer(201, {"x-auth-token": "T", "location": f"https://internal{LOGIN}/1"})],
        DELETE=[f"{LOGIN}/1", Answer(204)],
    )
    hidden: list[str] = []
    asked = Redfish(wire, Account("u", "p", session=True), Places(system=SYSTEM), hidden.append)
    assert (asked.power(5), asked.power(5)) == (Power.ON, Power.ON)
    asked.close()
    asked.close()
    assert [method for method, _ in wire.asked] == ["GET", "POST", "GET", "GET", "DELETE"]
    assert not any("Authorization" in headers for headers in wire.headers)
    assert [headers.get("X-Auth-Token") for headers in wire.headers] == [None, None, "T", "T", "T"]
    assert {"dTpw", "T"} <= set(hidden)
    assert wire.closed


def test_a_login_is_refused_once_so_that_no_account_is_locked():
    wire = Wire(GET=["/redfish/v1/", resource()], POST=["/redfish/v1/SessionService/Sessions", Answer(401)])
    found = bmc(wire, session=True).power(5)
    assert isinstance(found, Trouble)
    assert found.kind is Kind.PASSWORD
    assert len(wire.asked) == 2


def opened(*answers: Answer, token: str = "T") -> Wire:
    """A BMC with sessions whose system gives these answers."""
    return Wire(
        GET=[SYSTEM, *answers],
        GET_1=["/redfish/v1/", resource(Links={"Sessions": {"@odata.id": LOGIN}})],
        POST=[LOGIN, Answer(201, {"x-auth-token": token})],
    )


def test_a_session_that_was_forgotten_is_opened_anew_once():
    wire = opened(system(), Answer(401), system("Off"), Answer(401))
    asked = bmc(wire, session=True)
    assert (asked.power(5), asked.power(5)) == (Power.ON, Power.OFF)
    assert [method for method, _ in wire.asked].count("POST") == 2
    refused = asked.power(5)
    assert isinstance(refused, Trouble)
    assert [method for method, _ in wire.asked].count("POST") == 3


def test_a_login_without_a_token_is_none():
    found = bmc(opened(system(), token=""), session=True).power(5)
    assert isinstance(found, Trouble)
    assert found.kind is Kind.UNCLEAR


@pytest.mark.parametrize(("before", "kind"), [(True, Kind.ROLE), (False, Kind.PASSWORD)])
def test_a_401_after_an_accepted_request_is_about_the_role(before, kind):
    wire = Wire(GET=[SYSTEM, *([system()] if before else []), Answer(401)])
    asked = bmc(wire)
    if before:
        assert asked.power(5) is Power.ON
    refused = asked.power(5)
    assert isinstance(refused, Trouble)
    assert refused.kind is kind


def test_the_root_is_for_everybody_and_says_nothing_about_the_account():
    root = resource(Systems={"@odata.id": "/redfish/v1/Systems"})
    wire = Wire(GET=["/redfish/v1/", root], GET_1=["/redfish/v1/Systems", Answer(401)])
    refused = bmc(wire, system="").power(5)
    assert isinstance(refused, Trouble)
    assert refused.kind is Kind.PASSWORD


def test_each_look_is_a_fresh_one_and_so_is_what_is_allowed():
    reset = {"target": TARGET, "ResetType@Redfish.AllowableValues": ["ForceOff"]}
    on = system(Actions={"#ComputerSystem.Reset": reset})
    off = system(
        "Off", Actions={"#ComputerSystem.Reset": reset | {"ResetType@Redfish.AllowableValues": ["ForceOn"]}}
    )
    wire = Wire(GET=[SYSTEM, on, off], POST=[TARGET, Answer(204)])
    asked = bmc(wire)
    assert asked.power(5) is Power.ON
    assert asked.switch(Power.OFF, 5) is None
    assert asked.switch(Power.ON, 5) is None
    assert asked.power(5) is Power.OFF
    assert [body for body in wire.bodies if body] == [{"ResetType": "ForceOff"}, {"ResetType": "ForceOn"}]
    types = {headers.get("Content-Type") for (method, _), headers in zip(wire.asked, wire.headers, strict=True)
             if method == "POST"}  # fmt: skip
    assert types == {"application/json"}


def test_a_system_without_a_reset_is_not_switched():
    refused = bmc(Wire(GET=[SYSTEM, resource(PowerState="On")])).switch(Power.OFF, 5)
    assert isinstance(refused, Trouble)
    assert refused.kind is Kind.OFFER


def test_a_task_is_asked_about_until_it_has_ended():
    wire = Wire(
        GET=[SYSTEM, system()],
        GET_1=["/t", Trouble(Kind.UNANSWERED), Answer(202), resource(TaskState="Completed")],
        POST=[TARGET, Answer(202, {"location": "/t"})],
    )
    asked = bmc(wire)
    assert asked.switch(Power.OFF, 5) is None
    assert {asked.power(5) for _ in range(5)} == {Power.ON}
    assert wire.asked.count(("GET", "/t")) == 3


def test_a_redirection_carries_method_and_body_along():
    wire = Wire(
        GET=[SYSTEM, system()],
        POST=[TARGET, Answer(302, {"location": "https://bmc/new/"})],
        POST_1=["/new/", Answer(204)],
    )
    assert bmc(wire).switch(Power.OFF, 5) is None
    assert wire.asked[-1] == ("POST", "/new/")
    assert wire.bodies[-1] == {"ResetType": "ForceOff"}
    wire.known["POST", TARGET] = [Answer(302, {"location": "https://other/"})]
    refused = bmc(wire).switch(Power.OFF, 5)
    assert isinstance(refused, Trouble)
    assert refused.kind is Kind.OFFER


@pytest.mark.parametrize(("body", "kind"), [(b"", Kind.BLANK), (b"<html>", Kind.UNCLEAR)])
def test_an_empty_answer_passes_and_another_language_does_not(body, kind):
    found = bmc(Wire(GET=[SYSTEM, Answer(200, {}, body)])).power(5)
    assert isinstance(found, Trouble)
    assert found.kind is kind


def test_an_account_never_shows_its_password():
    assert "secret" not in repr(Account("u", "secret"))
