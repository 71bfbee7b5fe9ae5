# SPDX-License-Identifier: GPL-2.0-or-later
"""What systemd and the attribute daemon say, read from recorded answers."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.host import attributes, systemd
from backstay.host.attributes import Attributes
from backstay.host.process import Completed
from backstay.host.systemd import Systemd, Unit

SHOWN = """MainPID=940
Result=success
ExecMainCode=0
ExecMainStatus=0
Id=libvirtd.service
LoadState=loaded
ActiveState=active
SubState=running
Job=

Result=service-start-limit-hit
Id=libvirtd.socket
LoadState=loaded
ActiveState=failed
SubState=failed
Job=

MainPID=0
Result=success
ExecMainCode=0
ExecMainStatus=0
Id=nosuch.service
LoadState=not-found
ActiveState=inactive
SubState=dead
Job=1234
"""


class Tool:
    """Stands in for the runner: answers from a list, keeps what was asked."""

    def __init__(self, *answers: tuple[int, str, str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, argv: list[str], timeout: float) -> Completed:
        self.asked.append(" ".join(argv))
        return Completed(argv, *self.answers.pop(0))


def test_units_are_read_by_the_names_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "run", Tool((0, SHOWN, "")))
    units = Systemd().show(["libvirtd.service", "libvirtd.socket", "nosuch.service"], 4)
    service, socket, absent = units.values()
    assert (service.pid, service.active, service.installed, service.down, service.moving) == (
        940, "active", True, False, False,
    )  # fmt: skip
    assert (socket.down, socket.listening, socket.result) == (True, False, "service-start-limit-hit")
    assert (absent.installed, absent.job, absent.down, absent.moving) == (False, True, False, True)


@pytest.mark.parametrize("answer", [(1, "", "Failed to connect to bus"), (0, "", ""), (0, SHOWN, "")])
def test_an_answer_that_is_none_raises(monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str, str]) -> None:
    monkeypatch.setattr(systemd, "run", Tool(answer))
    with pytest.raises(CannotAsk):
        Systemd().show(["libvirtd.service"], 4)


@pytest.mark.parametrize(
    ("unit", "story"),
    [
        (Unit("x", result="signal", exit_code="2", exit_status="11"), "signal, signal 11"),
        (Unit("x", result="core-dump", exit_code="3", exit_status="6"), "core-dump, signal 6"),
        (Unit("x", result="exit-code", exit_code="1", exit_status="127"), "exit-code, exit status 127"),
        (Unit("x", result="start-limit-hit"), "start-limit-hit"),
    ],
)
def test_why_it_does_not_run(unit: Unit, story: str) -> None:
    assert unit.story() == story


def test_jobs_are_read_by_their_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "1234 libvirtd.service stop running\n1240 virtqemud.socket restart waiting\n"
    monkeypatch.setattr(systemd, "run", Tool((0, listed, ""), (0, "", ""), (1, "", "no bus")))
    assert Systemd().jobs(4) == {"libvirtd.service": "stop", "virtqemud.socket": "restart"}
    assert Systemd().jobs(4) == {}
    with pytest.raises(CannotAsk):
        Systemd().jobs(4)


def down(active: str) -> str:
    return f"Id=heal.service\nLoadState=loaded\nActiveState={active}\nSubState=x\nJob=\n"


def test_a_program_is_launched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = Tool((0, "", ""))
    monkeypatch.setattr(systemd, "run", tool)
    assert Systemd().launch("heal.service", ["/bin/true"], 4)
    assert tool.asked == ["systemd-run --quiet --collect --no-ask-password --unit=heal.service -- /bin/true"]


def test_it_is_not_launched_beside_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "run", Tool((1, "", "was already loaded"), (0, down("active"), "")))
    assert not Systemd().launch("heal.service", ["/bin/true"], 4)


def test_a_failed_one_that_stayed_loaded_does_not_keep_the_next_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool = Tool((1, "", "was already loaded"), (0, down("failed"), ""), (0, "", ""), (0, "", ""))
    monkeypatch.setattr(systemd, "run", tool)
    assert Systemd().launch("heal.service", ["/bin/true"], 4)
    assert "reset-failed" in tool.asked[2]
    monkeypatch.setattr(
        systemd, "run", Tool((1, "", "no bus"), (0, down("inactive"), ""), (1, "", ""), (1, "", "no bus"))
    )
    with pytest.raises(CannotAsk, match="no bus"):
        Systemd().launch("heal.service", ["/bin/true"], 4)


def test_attribute_values_by_host(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        'name="backstay-libvirtd" host="s2" value="healthy"\n'
        'name="backstay-libvirtd" host="s1" value="degraded:start-limit"\n'
    )
    monkeypatch.setattr(attributes, "run", Tool((0, said, "")))
    assert Attributes().values("backstay-libvirtd", 4) == {"s2": "healthy", "s1": "degraded:start-limit"}


def test_an_attribute_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "attrd_updater: Could not query value of nosuch: attribute does not exist\n"
    monkeypatch.setattr(attributes, "run", Tool((78, "", said)))
    assert Attributes().values("nosuch", 4) == {}


def test_a_cluster_that_does_not_answer_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "run", Tool((102, "", "crm_mon: Could not connect to CIB")))
    with pytest.raises(CannotAsk, match="Could not connect to CIB"):
        Attributes().takers(4)
    monkeypatch.setattr(attributes, "run", Tool((0, "connection lost", "")))
    with pytest.raises(CannotAsk, match="does not speak XML"):
        Attributes().takers(4)


FLAGS = dict.fromkeys(("standby", "standby_onfail", "maintenance", "pending", "unclean", "shutdown"), "false")


@pytest.mark.parametrize(
    ("flags", "takes"),
    [({}, True), ({"online": "false"}, False), *[({flag: "true"}, False) for flag in FLAGS]],
)
def test_only_a_host_in_service_takes_guests(
    flags: dict[str, str], takes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"online": "true", **FLAGS, **flags}
    words = " ".join(f'{name}="{value}"' for name, value in given.items())
    node = f'<node name="n2" id="2" {words} feature_set="&lt;3.15.1" type="member"/>'
    said = f'<pacemaker-result api-version="2.25"><nodes>{node}</nodes></pacemaker-result>'
    monkeypatch.setattr(attributes, "run", Tool((0, said, "")))
    assert Attributes().takers(4) == ({"n2"} if takes else set())


def test_an_empty_value_removes_the_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = Tool((0, "", ""), (0, "", ""), (0, "", ""), (0, "n1\n", ""))
    monkeypatch.setattr(attributes, "run", tool)
    Attributes().publish("backstay-libvirtd", "healthy", 4)
    Attributes().publish("backstay-libvirtd", "", 4)
    Attributes().publish("backstay-guests", "-", 4, private=True)
    assert Attributes().local(4) == "n1"
    assert tool.asked[:3] == [
        "attrd_updater --name backstay-libvirtd --update healthy",
        "attrd_updater --name backstay-libvirtd --delete",
        "attrd_updater --name backstay-guests --private --update -",
    ]
