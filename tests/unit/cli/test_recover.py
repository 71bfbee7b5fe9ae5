# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay recover`: what is shown, what is refused, and what is done with a human's word."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from backstay.agents.recovery import Fencing, Host, record
from backstay.cli import recover as verb
from backstay.errors import BadInput, CannotAsk, Findings, Refused
from backstay.host.interrupt import Interrupted

LEFT = Host("n3", online=False, record=record("0 fenced seen"))
UNCLEAN = Host("n3", online=False, unclean=True, record=record("0 fenced seen"))


class Cluster:
    """A cluster whose hosts are as the test says; `did` is what was told to it."""

    def __init__(self, *hosts: Host) -> None:
        self.hosts = list(hosts)
        self.did: list[str] = []

    def look(self) -> list[Host]:
        return self.hosts

    def confirm(self, name: str) -> None:
        self.did.append(f"confirm {name}")
        self.recovered(name)

    def keep(self, name: str, text: str, timeout: float) -> None:
        self.did.append(f"keep {name} {text.split(' ', 1)[1]}")
        self.recovered(name)

    def recovered(self, name: str) -> None:
        self.hosts = [Host(name, online=False, record=record("1764432000 human done 2 machines"))]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster(
        Host("n1", online=True, record=record("0 fenced seen")),
        Host("n2", online=True, record=record("1764432000 fenced back 3 machines placed elsewhere")),
        LEFT,
    )

    class Told:
        def values(self, name: str, timeout: float) -> dict[str, str]:
            return {"n1": "n3: one waits"}

        def local(self, timeout: float) -> str:
            return "n1"

    monkeypatch.setattr(verb, "_look", made.look)
    monkeypatch.setattr(verb, "Attributes", Told)
    monkeypatch.setattr(verb.membership, "confirm_off", made.confirm)
    monkeypatch.setattr(verb.recoveries, "keep", made.keep)
    monkeypatch.setattr(verb.frontend, "roles_here", tuple)
    monkeypatch.setattr(verb, "POLL", 0.01)
    monkeypatch.setattr(verb.getpass, "getuser", lambda: "ada")
    return made


def run(host: str | None = None, **given: Any) -> int:
    words = {"confirm": False, "proof": None, "only_plan": False, "seconds": 5.0, "output": "text"}
    answer: int = verb.recover.callback(host, **{**words, **given})  # type: ignore[misc]
    return answer


def test_all_hosts_are_shown(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "n1: nothing had to be recovered since records are kept"
    assert lines[1].startswith("n2: was fenced 20")
    assert lines[1].endswith("recovered, and is given back (3 machines placed elsewhere)")
    assert lines[2].startswith("n3 left the cluster in order")
    assert run(output="json") == 1
    found = json.loads(capsys.readouterr().out)["hosts"]
    assert [(each["host"], each["state"], each["now"]) for each in found] == [
        ("n1", "seen", "settled"), ("n2", "back", "settled"), ("n3", "seen", "hold"),
    ]  # fmt: skip
    assert run("n1") == 0
    assert cluster.did == []


def test_a_host_that_is_not_there_is_wrong(cluster: Cluster) -> None:
    with pytest.raises(BadInput, match="n9 is no host of this cluster"):
        run("n9")
    with pytest.raises(BadInput, match="which host is dead"):
        run(confirm=True)
    with pytest.raises(BadInput, match="n9 is no host of this cluster"):
        run("n9", confirm=True, proof="n9 is off")


@pytest.mark.parametrize("host", ["n3", None])
@pytest.mark.parametrize(
    ("given", "word"), [({"proof": "n3 is off"}, "proof"), ({"only_plan": True}, "plan")]
)
def test_an_option_that_means_nothing_alone_is_said(
    cluster: Cluster, host: str | None, given: dict[str, Any], word: str
) -> None:
    with pytest.raises(
        BadInput, match="which host is dead" if word == "proof" and not host else f"--{word} alone"
    ):
        run(host, **given)
    assert cluster.did == []


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        (
            Host("n3", online=True, record=record("0 fenced seen")),
            "n3 is on line in the cluster: it is not dead",
        ),
        (Host("n3", online=False, unclean=True, fencing=True), "n3 is being fenced"),
        (Host("n3", online=False, record=record("1764432000 human begun")), "n3 is recovered"),
    ],
)
def test_what_happens_while_the_words_are_typed_counts(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, meanwhile: Host, why: str
) -> None:
    def typed(host: str, proof: str | None) -> None:
        cluster.hosts = [meanwhile]

    monkeypatch.setattr(verb, "_prove", typed)
    with pytest.raises(Refused, match=why):
        run("n3", confirm=True)
    assert cluster.did == []


def test_whose_word_comes_second_sees_what_came_of_the_first(cluster: Cluster, monkeypatch: Any) -> None:
    monkeypatch.setattr(verb, "_prove", lambda host, proof: cluster.recovered(host))
    assert run("n3", confirm=True) == 0
    assert cluster.did == []


def test_who_does_not_wait_for_the_end_is_told_that_it_goes_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "until", interrupted)
    with pytest.raises(
        Interrupted, match="n3 is confirmed to be off; its recovery goes on by itself"
    ) as ended:
        run("n3", confirm=True, proof="n3 is off")
    assert ended.value.hint == "look with: backstay recover n3"
    assert cluster.did == ["keep n3 human begun confirmed by ada on n1"]


@pytest.mark.parametrize("proof", ["", "n2 is off", "n3 is of", "yes", "I saw that n3 is off"])
def test_nothing_is_done_without_the_words(cluster: Cluster, proof: str) -> None:
    with pytest.raises(Refused, match="without these words: n3 is off"):
        run("n3", confirm=True, proof=proof)
    assert cluster.did == []


def test_nobody_to_be_asked(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(Refused, match="nobody is there") as refused:
        run("n3", confirm=True)
    assert refused.value.hint == 'in scripts: --proof "n3 is off"'


def test_the_words_on_a_host_that_left_are_written_down(cluster: Cluster, capsys: Any) -> None:
    assert run("n3", confirm=True, proof="n3 is  off") == 0
    assert cluster.did == ["keep n3 human begun confirmed by ada on n1"]
    said = capsys.readouterr()
    assert "it left the cluster in order, so Pacemaker has nothing to do" in said.err
    assert "n3: was confirmed to be off by a human" in said.out


def test_the_words_on_a_host_that_is_not_proven_dead_go_to_pacemaker(cluster: Cluster) -> None:
    cluster.hosts = [UNCLEAN]
    assert run("n3", confirm=True, proof="n3 is off") == 0
    assert cluster.did == ["confirm n3"]


def test_a_plan_says_it_and_changes_nothing(cluster: Cluster, capsys: Any) -> None:
    assert run("n3", confirm=True, only_plan=True) == 0
    said = capsys.readouterr().out
    assert "ask on the host that has the role" in said
    assert said.endswith("Nothing was changed.\n")
    assert cluster.did == []


@pytest.mark.parametrize(
    ("host", "why"),
    [
        (Host("n3", online=True), "n3 is on line in the cluster: it is not dead"),
        (Host("n3", online=False, fencing=True), "n3 is being fenced"),
        (
            Host("n3", online=False, fenced=Fencing(99), record=record("0 fenced seen")),
            "n3 is recovered: its fencing is confirmed",
        ),
    ],
)
def test_what_is_refused(cluster: Cluster, host: Host, why: str) -> None:
    cluster.hosts = [host]
    with pytest.raises(Refused, match=why):
        run("n3", confirm=True, proof="n3 is off")
    assert cluster.did == []


def test_one_that_is_recovered_needs_nobodys_word(cluster: Cluster) -> None:
    cluster.hosts = [Host("n3", online=False, record=record("5 fenced done"))]
    assert run("n3", confirm=True, proof="n3 is off") == 0
    assert cluster.did == []


def test_a_recovery_that_does_not_end_is_said(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "recovered", lambda name: None)
    with pytest.raises(
        Findings, match="n3 is confirmed to be off, but not recovered after 0 s: n3: one waits"
    ):
        run("n3", confirm=True, proof="n3 is off", seconds=0.05)


def test_what_cannot_be_asked_is_an_error(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind() -> list[Host]:
        raise CannotAsk("crm_mon: no cluster")

    monkeypatch.setattr(verb, "_look", blind)
    with pytest.raises(CannotAsk):
        run()
