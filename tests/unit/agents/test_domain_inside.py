# SPDX-License-Identifier: GPL-2.0-or-later
"""What a monitor says at check levels 10 and 20 to each finding: the tables, and what is left unasked."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from backstay.agents import domain, domain_inside
from backstay.agents.domain_inside import Tools
from backstay.agents.domain_parameters import DomainParameters
from backstay.agents.domain_state import AGES, LOOK, WELL, Identity, Seen
from backstay.errors import CannotAsk
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.libvirt_inside import AgentAnswer, Inside
from backstay.host.process import ProcessTimedOut
from backstay.ocf import codes
from backstay.ocf.context import Call, Context
from backstay.ocf.log import Log
from backstay.ocf.outcome import Outcome, degraded, running
from tests.unit.agents.domain_host import UUID, Host, obedient

SEEN = Seen(Identity(UUID, "web1"), [obedient().process()], host="n2")
KNOWN = libvirt.KNOWN


@pytest.mark.parametrize(
    ("answer", "minded", "verdicts", "words"),
    [
        (Inside(KNOWN, control="ok"), 100, [], ""),
        (Inside(KNOWN, control="job", seconds=3), 0, [], ""),
        (Inside(KNOWN, control="ok"), 99, [LOOK], "takes pid 99"),
        (Inside(KNOWN, control="error"), 100, [LOOK], "lost its connection"),
        (Inside(KNOWN, control="ok", errors={"vdb": "no space"}), 100, [LOOK], "vdb (no space)"),
        (Inside(libvirt.HUNG, control="occupied", seconds=9), 100, [LOOK], "does not answer libvirt (occupied for 9 s)"),
        (Inside(libvirt.HUNG, control="ok"), 100, [LOOK], "does not answer libvirt (ok now)"),
        (Inside(libvirt.HUNG), 100, [WELL], "libvirt does not answer"),
        (Inside(libvirt.ERROR, text="strange"), 100, [WELL], "strange"),
        (Inside(libvirt.ABSENT), 100, [WELL], ""),
    ],
)  # fmt: skip
def test_what_libvirt_says(answer: Inside, minded: int, verdicts: list[str], words: str) -> None:
    found = domain_inside.of_libvirt(SEEN, answer, minded)
    assert [one.verdict for one in found] == verdicts
    assert all(words in one.sentence for one in found)


COPY = ("vda", "copy", 10, 100)


@pytest.mark.parametrize(
    ("jobs", "before", "verdicts"),
    [
        ((), "vda copy 10 100", []),
        ((COPY,), "", [WELL]),
        ((COPY,), "vda copy 9 100", [WELL]),
        ((COPY,), "vda copy 10 100", [LOOK]),
        ((COPY,), "vda pull 10 100", [WELL]),
        ((("vda", "copy", 100, 100),), "vda copy 100 100", [WELL]),  # mirrored, and waits for its admin
        ((("vda", "copy", 0, 0),), "", [WELL]),
    ],
)
def test_block_jobs(jobs: tuple[tuple[str, str, int, int], ...], before: str, verdicts: list[str]) -> None:
    found = domain_inside.of_jobs(SEEN, jobs, before)
    assert [one.verdict for one in found] == verdicts
    assert all("of vda" in one.sentence for one in found)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("answered", WELL), ("none", WELL), ("unasked", WELL), ("disconnected", LOOK), ("silent", AGES)],
)
def test_the_guest_agent(kind: str, verdict: str) -> None:
    assert domain_inside.of_agent(SEEN, AgentAnswer(kind, "why")).verdict == verdict


class Scripts:
    """Scripts by name: an exit code, or the error of one that does not end or is not there."""

    def __init__(self, codes_of: Mapping[str, int | Exception]) -> None:
        self.codes_of = codes_of
        self.asked: list[tuple[str, float]] = []

    def run(self, script: str, name: str, uuid: str, timeout: float) -> tuple[int, str]:
        assert (name, uuid) == ("web1", UUID)
        self.asked.append((script, timeout))
        code = self.codes_of[script]
        if isinstance(code, Exception):
            raise code
        return code, f"{script} spoke"


SLOW = ProcessTimedOut(["/slow"], 1.0)
SCRIPTS: dict[str, int | Exception] = {
    "/good": 0,
    "/bad": 3,
    "/slow": SLOW,
    "/gone": CannotAsk("no such file"),
}


def tools(
    *scripts: str,
    level: int = 0,
    limit: float = 0.0,
    inside: Inside | None = None,
    agent: str = "answered",
    runner: Scripts | None = None,
) -> Tools:
    return Tools(
        level=level,
        limit=limit,
        scripts=scripts,
        runs_scripts=bool(scripts),
        seconds=10.0,
        inside=lambda _uuid, _timeout: inside or Inside(KNOWN, control="ok"),
        agent=lambda _uuid, _timeout: AgentAnswer(agent, "why"),
        written_pid=lambda _name: 100,
        run=(runner or Scripts(SCRIPTS)).run,
    )


def look(given: Tools, outcome: Outcome | None = None, host: Host | None = None) -> Outcome:
    host = host or Host(obedient())
    outcome = outcome or running("web1 runs")
    return domain_inside.look(host.world(), SEEN, outcome, given, host.deadline(54))


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (tools(), codes.SUCCESS, "web1 runs"),
        (tools("/good", "/good"), codes.SUCCESS, "web1 runs"),
        (tools("/good", "/bad"), codes.GENERIC, "/bad spoke (exit code 3)"),
        (tools("/slow", "/bad"), codes.DEGRADED, "did not end within 10 s"),
        (tools("/gone"), codes.DEGRADED, "no such file"),
        (tools(level=10), codes.SUCCESS, ""),
        (tools(level=10, agent="disconnected"), codes.SUCCESS, ""),
        (tools(level=20, agent="disconnected"), codes.DEGRADED, "not connected"),
        (tools(level=20, agent="none"), codes.SUCCESS, "has no guest agent"),
        (tools("/bad", level=20, agent="silent"), codes.GENERIC, "/bad spoke"),
        (tools("/bad", level=20, inside=Inside(KNOWN, errors={"vda": "no space"})), codes.DEGRADED, "no space"),
    ],
)  # fmt: skip
def test_each_level(given: Tools, code: int, words: str) -> None:
    said = look(given)
    assert said.code == code
    assert words in said.reason


def test_a_guest_that_is_not_well_is_not_asked_for_its_services() -> None:
    runner = Scripts(SCRIPTS)
    said = look(tools("/bad", level=20, agent="silent", runner=runner), degraded("web1 is paused (ioerror)"))
    assert (said.code, said.reason) == (codes.DEGRADED, "web1 is paused (ioerror)")
    assert runner.asked == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (tools(level=20, agent="silent", limit=60), codes.GENERIC),
        (tools("/slow", limit=60), codes.GENERIC),
        (tools("/slow", limit=0), codes.DEGRADED),
        (tools("/gone", limit=60), codes.DEGRADED),
        (tools(level=20, agent="disconnected", limit=60), codes.DEGRADED),
    ],
)
def test_only_what_is_silent_ages(given: Tools, code: int) -> None:
    host = Host(obedient())
    assert look(given, host=host).code == codes.DEGRADED
    host.now += 61
    assert look(given, host=host).code == code


def test_each_script_has_its_time_or_its_share() -> None:
    runner = Scripts(SCRIPTS)
    host = Host(obedient())
    found = domain_inside.in_scripts(SEEN, tools("/good", "/good", runner=runner), host.deadline(8))
    assert found == []
    assert [timeout for _script, timeout in runner.asked] == [4.0, 8.0]


class Short:
    """The short way of a monitor, not taken."""

    says_running = staticmethod(lambda _name, _pid: True)
    answered = staticmethod(lambda: None)

    def take(self) -> None:
        """Nothing was left."""

    def keep(self, name: str, pid: int, start: int) -> None:
        raise AssertionError("a monitor with scripts, or with trouble, leaves nothing for the short way")


@pytest.mark.parametrize(
    ("state", "reason", "kept"),
    [("running", "", True), ("paused", "starting-up", False), ("shutdown", "", False)],
)
def test_what_is_counted_leaves_nothing_for_the_short_way(
    monkeypatch: pytest.MonkeyPatch, state: str, reason: str, kept: bool
) -> None:
    """Or nobody would see its end, and its next time would be counted from the first."""
    host = Host(obedient())
    host.known = Answer(libvirt.KNOWN, state=state, reason=reason, uuid=UUID, name="web1")
    short, found = Short(), []
    monkeypatch.setattr(short, "says_running", lambda _name, _pid: False)
    monkeypatch.setattr(short, "keep", lambda *_facts: found.append(True))
    world = host.world()
    context = Context(
        Call("domain", "monitor", {"OCF_RESKEY_CRM_meta_interval": "10000"}),
        DomainParameters(config="/srv/web1.xml"),
        host.deadline(27),
        Log("domain"),
    )
    monkeypatch.setattr(domain, "world_of", lambda _context: world)
    monkeypatch.setattr(domain, "Unchanged", lambda _environ: short)
    world.instance = context.instance
    assert domain.checked(context).code == codes.SUCCESS
    assert bool(found) == kept


@pytest.mark.parametrize(
    ("script", "code", "runs"),
    [("/bad", codes.GENERIC, 1), ("/good", codes.DEGRADED, 1), ("/slow", codes.DEGRADED, 1)],
)
def test_a_limit_that_cannot_be_set_hides_nothing_inside(
    monkeypatch: pytest.MonkeyPatch, script: str, code: int, runs: int
) -> None:
    """A typo in a limit, or a host without the CPU controller, lasts: the scripts would not be run for weeks."""
    host, runner = Host(obedient()), Scripts(SCRIPTS)
    world = host.world()
    world.memory.write("domain-web1.limits", f"{host.now:.1f} no CPU controller")
    context = Context(
        Call("domain", "monitor", {"OCF_RESKEY_CRM_meta_interval": "10000"}),
        DomainParameters(config="/srv/web1.xml", monitor_scripts=script),
        host.deadline(27),
        Log("domain"),
    )
    monkeypatch.setattr(domain, "world_of", lambda _context: world)
    monkeypatch.setattr(domain, "Unchanged", lambda _environ: Short())
    monkeypatch.setattr(domain_inside, "tools_of", lambda _context: tools(script, runner=runner))
    said = domain.checked(context)
    assert (said.code, len(runner.asked)) == (code, runs)
    if code == codes.DEGRADED:
        assert "not all limits of web1 are set: no CPU controller" in said.reason


def test_a_start_waits_for_its_scripts_until_its_time_is_over() -> None:
    host = Host(obedient())
    assert domain_inside.gate(host.world(), SEEN, tools("/good"), host.deadline(20)).code == codes.SUCCESS
    assert host.now == 1000
    late = domain_inside.gate(host.world(), SEEN, tools("/bad"), host.deadline(20))
    assert late.code == codes.GENERIC
    assert "/bad spoke" in late.reason
    assert 1019 <= host.now <= 1020
    assert domain_inside.gate(host.world(), SEEN, tools("/gone"), host.deadline(20)).code == codes.SUCCESS
    assert host.warnings


def test_the_worst_is_said_first_and_alone() -> None:
    said = domain_inside.worst([running("well"), degraded("a"), degraded("b")])
    assert (said.code, said.reason) == (codes.DEGRADED, "a; b")
