# SPDX-License-Identifier: GPL-2.0-or-later
"""Another account for the BMCs: what speaks against it, when it is proven, and what changes then."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from backstay.errors import BadInput, Refused
from backstay.fencing import rotate
from backstay.fencing.configuration import Device, Fencing
from backstay.fencing.readiness import Answer, Cell, State
from backstay.fencing.rotate import (
    Candidate,
    Progress,
    candidates,
    chosen,
    objections,
    progress,
    rotated,
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
    assert candidates({"n1": NEW.text(), "n2": "-", "n3": "a||c|d"}) == {"n1": NEW}


@pytest.mark.parametrize("user", ["two words", "a|b", 'a"b', "", "a,b"])
def test_a_name_that_cannot_be_told_is_refused(user: str) -> None:
    with pytest.raises(BadInput):
        Candidate("1", user, "/etc/x", ("fence-n1",)).text()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answers(n1=State.READY, n2=State.ANSWERS), Progress((), ())),
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
        (device(agent="fence_ipmilan"), "is not known to take a password_file"),
        (device(password="x"), "does not take its account from username and password_file (it has password)"),
        (device(password_script="x"), "(it has password_script)"),
        (device(password_file=""), "does not take its account from username and password_file:"),
        (device(username="fencer2"), "a BMC has one password for an account"),
        (device(password_file=NEW.file), "write the new password into another file"),
        (Device("d", "fence_backstay_redfish", MappingProxyType(OLD), None), "does not say whom it fences"),
    ],
)
def test_what_speaks_against_it(which: Device, text: str) -> None:
    assert [text in one for one in objections(NEW, [which])] == ([True] if text else [])


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


@pytest.mark.parametrize("pairs", [(("username", "a"),), (*OLD.items(), ("username", "b")), ()])
def test_an_account_that_stands_elsewhere_is_not_touched(pairs: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Refused, match="in one place of its own"):
        rotated(cib(*pairs), Candidate("17", "fencer2", "/etc/x", ("fence-n1",)))
