# SPDX-License-Identifier: GPL-2.0-or-later
"""Another account for the BMCs: what speaks against it, when it is proven, and what changes then."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from backstay.errors import BadInput, Refused
from backstay.fencing import rotate
from backstay.fencing.configuration import Device, Fencing, read
from backstay.fencing.readiness import Answer, Cell, State
from backstay.fencing.rotate import (
    Candidate,
    Progress,
    candidates,
    changed,
    chosen,
    objections,
    progress,
    restored,
    rotated,
    secrets_left,
    told,
    trial,
)

OLD = {"ip": "10.0.0.1", "username": "fencer", "password_file": "/etc/backstay/bmc.password"}
NEW = Candidate("17", "fencer2", "/etc/backstay/bmc-2.password", ("fence-n1", "fence-n2"))


def device(
    name: str = "fence-n1", agent: str = "fence_backstay_ipmi", enabled: bool = True, **options: str
) -> Device:
    return Device(name, agent, MappingProxyType({**OLD, **options}), (name[6:],), enabled=enabled)


FENCING = Fencing(("n1", "n2"), (device(), device("fence-n2")), (), {})


def answers(**states: State) -> dict[str, str]:
    """Each host with the state that it found for the device of n2; the device of n1 is ready."""
    return {
        host: told(
            NEW, [Cell(host, "fence-n1", "n1", State.READY, 1.0), Cell(host, "fence-n2", "n2", state, 1.0)]
        )
        for host, state in states.items()
    }


def test_a_candidate_is_read_again() -> None:
    assert candidates({"n1": NEW.text(), "n2": "-", "n3": "a||c|d", "n4": "a|b|c|d|e"}) == {"n1": NEW}
    script = replace(NEW, way=rotate.SCRIPT)
    assert candidates({"n1": script.text()}) == {"n1": script}
    assert NEW.text().count("|") == 3, "an older version reads it as well"


@pytest.mark.parametrize("user", ["two words", "a|b", 'a"b', "", "a,b"])
def test_a_name_that_cannot_be_told_is_refused(user: str) -> None:
    with pytest.raises(BadInput):
        Candidate("1", user, "/etc/x", ("fence-n1",)).text()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answers(n1=State.READY, n2=State.READY), Progress((), ())),
        (answers(n1=State.READY), Progress(("n2",), ())),
        ({}, Progress(("n1", "n2"), ())),
        (answers(n1=State.READY, n2=State.PASSWORD), Progress((), ("fence-n2 for n2, from n2: password",))),
        (answers(n1=State.READY, n2=State.UNPROVEN), Progress(("n2",), ())),
        (
            {**answers(n1=State.READY), "n2": "16 1;n1|fence-n1|READY;n2|fence-n2|READY"},
            Progress(("n2",), ()),
        ),
        ({**answers(n1=State.READY), "n2": "17 1;n1|fence-n1|READY"}, Progress(("n2",), ())),
        ({**answers(n1=State.READY), "n2": "17 nonsense"}, Progress(("n2",), ())),
    ],
)
def test_it_is_proven_when_every_host_has_proven_every_device(
    given: dict[str, str], expected: Progress
) -> None:
    found = progress(NEW, FENCING, given)
    assert found == expected
    assert found.proven is (expected == Progress((), ()))


def test_the_trial_asks_each_device_as_it_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def ask(question: Any, world: Any) -> Answer:
        asked.append(question)
        return Answer(State.READY if question.target == "n1" else State.ROLE, "no")

    monkeypatch.setattr(rotate, "ask", ask)
    cells = trial(NEW, FENCING, "n2", SimpleNamespace(now=lambda: 5.0))  # type: ignore[arg-type]
    assert [(cell.asker, cell.target, cell.state) for cell in cells] == [
        ("n2", "n1", State.READY),
        ("n2", "n2", State.ROLE),
    ]
    assert [(q.device.options["username"], q.device.options["password_file"]) for q in asked] == [
        ("fencer2", "/etc/backstay/bmc-2.password")
    ] * 2
    assert asked[0].device.options["ip"] == OLD["ip"]


@pytest.mark.parametrize(
    ("which", "text"),
    [
        (device(), ""),
        (device(agent="fence_backstay_redfish"), ""),
        (
            device(agent="fence_ipmilan"),
            "nobody can prove an account for fence_ipmilan from every host; change its",
        ),
        (
            device(password="x"),
            "has username and password_file and password: leave it one account and one way",
        ),
        (device(login="x"), "has username and login and password_file"),
        (device(password_file="", password="lrm://"), ""),
        (device(password_file="", password_script="/s"), ""),
        (device(password_file="", username="", passwd="x", login="fencer"), ""),
        (device(password_file=""), "has no password; set its password_file: crm_resource"),
        (device(username=""), "names no account; set its username: crm_resource"),
        (replace(device(), ruled={"username": "night"}), "username depends on a rule (in night)"),
        (device(username="fencer2"), "a BMC has one password for an account"),
        (device(password_file=NEW.file), "take another file for the new password"),
        (Device("d", "fence_backstay_redfish", MappingProxyType(OLD), None), "does not say whom it fences"),
    ],
)
def test_what_speaks_against_it(which: Device, text: str) -> None:
    assert [text in one for one in objections(NEW, [which])] == ([True] if text else [])


def test_the_script_that_is_in_use_prints_no_other_password() -> None:
    (said,) = objections(
        replace(NEW, way=rotate.SCRIPT), [device(password_file="", password_script=NEW.file)]
    )
    assert "take another script for the new password" in said


def test_a_device_of_several_hosts_is_proven_for_each_of_them() -> None:
    both = replace(FENCING, devices=(replace(device(), targets=("n1", "n2")),))
    one = replace(NEW, devices=("fence-n1",))

    def heard(*targets: str) -> dict[str, str]:
        cells = [Cell("", "fence-n1", target, State.READY, 1.0) for target in targets]
        return {host: told(one, cells) for host in both.hosts}

    assert progress(one, both, heard("n1")).missing == ("n1", "n2")
    assert progress(one, both, heard("n1", "n2")).proven


@pytest.mark.parametrize("way", ["password", "passwd", "password_script", "passwd_script", "password_file"])
@pytest.mark.parametrize("wanted", [rotate.FILE, rotate.SCRIPT])
def test_the_trial_has_the_new_way_and_no_other(way: str, wanted: str) -> None:
    before = Device(
        "fence-n1", "fence_backstay_ipmi", MappingProxyType({"login": "a", way: "x", "ip": "i"}), ("n1",)
    )
    after = changed(before, replace(NEW, way=wanted))
    assert after.options == {"username": "fencer2", wanted: NEW.file, "ip": "i"}


@pytest.mark.parametrize("way", ["password", "passwd", "password_script", "passwd_script", "password_file"])
@pytest.mark.parametrize("wanted", [rotate.FILE, rotate.SCRIPT])
def test_every_way_is_changed_in_its_place_and_changed_back(way: str, wanted: str) -> None:
    one = Candidate("17", "fencer2", "/etc/x", ("fence-n1",), wanted)
    before = cib(("ip", "i"), ("username", "fencer"), (way, "old"))
    after = rotated(before, one)
    assert listed(after) == [("i0", "ip", "i"), ("i1", "username", "fencer2"), ("i2", wanted, "/etc/x")]
    after.find(".//nvpair[@id='i0']").set("value", "moved meanwhile")
    assert listed(restored(after, before, one)) == [
        ("i0", "ip", "moved meanwhile"), ("i1", "username", "fencer"), ("i2", way, "old"),
    ]  # fmt: skip


def listed(tree: Any) -> list[tuple[str, str, str]]:
    return [(pair.get("id"), pair.get("name"), pair.get("value")) for pair in tree.iter("nvpair")]


def test_secrets_that_nobody_needs_any_more_are_named() -> None:
    one = Candidate("17", "fencer2", "/etc/x", ("fence-n1",))
    assert secrets_left(cib(("username", "a"), ("password", "lrm://")), one) == ("fence-n1 password",)
    assert secrets_left(cib(("username", "a"), ("password", "plain")), one) == ()


def test_the_devices_that_are_meant() -> None:
    fencing = Fencing(("n1",), (device(), device("fence-n2", enabled=False)), (), {})
    assert [one.name for one in chosen(fencing, ())] == ["fence-n1"]
    assert [one.name for one in chosen(fencing, ("fence-n2",))] == ["fence-n2"]
    with pytest.raises(BadInput, match="no fence device fence-n3"):
        chosen(fencing, ("fence-n3",))


def cib(*pairs: tuple[str, str]) -> Any:
    listed = "".join(
        f'<nvpair id="i{n}" name="{name}" value="{value}"/>' for n, (name, value) in enumerate(pairs)
    )
    one = f'<primitive id="fence-n1" class="stonith"><instance_attributes id="a">{listed}</instance_attributes></primitive>'
    return etree.fromstring(f"<cib><configuration><resources>{one}</resources></configuration></cib>")


def test_only_the_account_changes() -> None:
    before = cib(*OLD.items())
    after = rotated(before, Candidate("17", "fencer2", "/etc/x", ("fence-n1",)))
    values = {pair.get("name"): pair.get("value") for pair in after.iter("nvpair")}
    assert values == {**OLD, "username": "fencer2", "password_file": "/etc/x"}
    assert {pair.get("value") for pair in before.iter("nvpair")} == set(OLD.values())


@pytest.mark.parametrize(
    "pairs",
    [(("username", "a"),), (*OLD.items(), ("username", "b")), (*OLD.items(), ("password", "b")), ()],
)
def test_an_account_that_stands_elsewhere_is_not_touched(pairs: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Refused, match="in one place of its own"):
        rotated(cib(*pairs), Candidate("17", "fencer2", "/etc/x", ("fence-n1",)))


TEMPLATE = """<template id="t" class="stonith"><instance_attributes id="ta" score="{}"><nvpair id="t1" name="username"
  value="old"/><nvpair id="t2" name="{}" value="/old"/></instance_attributes></template>"""


@pytest.mark.parametrize(
    ("score", "way", "refused"),
    [(5, "password_file", True), (0, "password_script", True), (0, "password_file", False)],
)
def test_a_template_that_would_still_count_is_not_overlooked(score: int, way: str, refused: bool) -> None:
    before = cib(("username", "old"), (way, "/old"))
    before.find(".//primitive").set("template", "t")
    before.find(".//resources").append(etree.fromstring(TEMPLATE.format(score, way)))
    one = Candidate("17", "fencer2", "/etc/x", ("fence-n1",))
    if refused:
        with pytest.raises(Refused, match="fence-n1 would not use the new account alone"):
            rotated(before, one)
    else:
        options = read(rotated(before, one)).devices[0].options
        assert options == {"username": "fencer2", "password_file": "/etc/x"}


def test_a_device_that_refers_to_another_ones_account_is_not_changed_with_it() -> None:
    before = cib(*OLD.items())
    other = '<primitive id="fence-n2" class="stonith"><instance_attributes id-ref="a"/></primitive>'
    before.find(".//resources").append(etree.fromstring(other))
    with pytest.raises(Refused, match="fence-n2 would change, too: it refers to what fence-n1 has"):
        rotated(before, Candidate("17", "fencer2", "/etc/x", ("fence-n1",)))
