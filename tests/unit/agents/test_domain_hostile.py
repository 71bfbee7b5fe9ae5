# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever libvirt, /proc, a definition or an admin says: a defined code with one line, and never a lie about a guest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backstay.agents import (
    domain,
    domain_arrival,
    domain_features,
    domain_start,
    domain_stop,
    libvirtd,
)
from backstay.agents.domain_definition import Definition, parse
from backstay.errors import BadInput
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.libvirt_ping import Ping
from backstay.host.proc import Process
from backstay.host.records import Record
from backstay.ocf import codes, runtime
from backstay.ocf.agent import Agent
from backstay.ocf.context import Call
from backstay.ocf.outcome import LONGEST, Outcome
from backstay.ocf.parameters import PREFIX
from tests.unit.agents.domain_host import OTHER, UUID, XML, Daemon, Guest, Host
from tests.unit.agents.libvirtd_fake import (
    ABSENT,
    CRASHED,
    GOOD,
    LIMITED,
    LISTENS,
    NO_SOCKET,
    OFF,
    REFUSED,
    RUNS,
    SILENT,
    FakeHost,
)

KINDS = (libvirt.KNOWN, libvirt.ABSENT, libvirt.REFUSED, libvirt.HUNG, libvirt.ERROR, "another")
REASONS = ("", *libvirt.PAUSED_REASONS, *libvirt.SHUTOFF_REASONS, "number 99")
LIBVIRTD = ("well", "dead", "hung", "chaotic")
ENDS = st.sampled_from((0.0, 0.2, 5.0, 1e9))
TEXT = st.text(max_size=60)

likely = st.builds(
    Answer,
    st.just(libvirt.KNOWN),
    state=st.sampled_from(("running", "running", "paused", "shutoff")),
    reason=st.sampled_from(("", "user", "ioerror", "migration")),
    uuid=st.just(UUID),
    name=st.just("web1"),
)
anything = st.builds(
    Answer,
    st.sampled_from(KINDS),
    state=st.one_of(st.sampled_from((*libvirt.STATES, "number 42")), TEXT),
    reason=st.sampled_from(REASONS),
    uuid=st.sampled_from((UUID, OTHER, "")),
    name=st.one_of(st.sampled_from(("web1", "db1")), TEXT),
    text=TEXT,
    persistent=st.booleans(),
    saved=st.booleans(),
    autostart=st.booleans(),
)
answers = st.one_of(likely, anything)


@st.composite
def guests(draw: Any, pid: int) -> Guest:
    """An emulator of this domain or of another, in any state, that obeys some requests and not others."""
    words = ("acpi", "agent", "powerdown", "destroy", "quit", "term", "kill", "migrate")
    ours = draw(st.booleans())
    guest = Guest(
        pid, UUID if ours else OTHER, "web1" if ours else "db1", **{word: draw(ENDS) for word in words}
    )
    guest.state = draw(st.sampled_from("SRDTt"))
    guest.ending = draw(st.booleans())
    guest.end = 1000.0 + draw(st.sampled_from((0.3, 20.0, 1e9)))
    return guest


class Chaos(Daemon):
    """A libvirt that answers anything to anything, and sometimes does what it was asked all the same."""

    def __init__(self, host: Host, said: list[Answer], obeys: list[bool]) -> None:
        super().__init__(host)
        self.said, self.obeys = said, obeys

    def answer(self, timeout: float) -> Answer:
        self.said.append(self.said.pop(0))
        self.host.now += min(timeout, 0.1)
        return self.said[-1]

    def _obeys(self) -> bool:
        self.obeys.append(self.obeys.pop(0))
        return self.obeys[-1]

    def create(self, definition: str, timeout: float) -> Answer:
        return super().create(definition, timeout) if self._obeys() else self.answer(timeout)

    def act(self, word: str, uuid: str) -> None:
        if self._obeys():
            super().act(word, uuid)


class Machine(Host):
    """The fake host with a libvirt as it comes."""

    said: list[Answer]
    obeys: list[bool]

    def world(self, **more: Any) -> Any:
        world = super().world(**more)
        if self.libvirtd == "chaotic":
            world.libvirt = Chaos(self, self.said, self.obeys)
        return world

    recorded: tuple[int, ...] = ()  # the pid that was known before
    looked = 1000.0  # when the agent looked at the processes for the last time

    def all(self, timeout: float = 5.0) -> tuple[Process, ...]:
        self.looked = self.now
        return super().all(timeout)

    def again(self, process: Process) -> Process | None:
        self.looked = self.now
        return super().again(process)

    def ours(self) -> list[Guest]:
        """What was alive of the domain at the agent's last look, seen as nobody but the test can see it."""
        ours = [guest for guest in self.guests if guest.uuid == UUID and guest.end > self.looked]
        return [guest for guest in ours if not guest.ending or guest.pid in self.recorded]


@st.composite
def machines(draw: Any) -> Machine:
    some = [draw(guests(pid)) for pid in range(100, 100 + draw(st.integers(0, 2)))]
    machine = Machine(*some, libvirtd=draw(st.sampled_from(LIBVIRTD)))
    machine.xml = draw(
        st.sampled_from((XML, None, XML[:40], b"", b"\xff\xfe<", XML.replace(b"web1", b"db1")))
    )
    machine.proc_broken = draw(st.sampled_from(("", "", "", "permission denied")))
    machine.said = draw(st.lists(answers, min_size=1, max_size=4))
    machine.obeys = draw(st.lists(st.booleans(), min_size=1, max_size=3))
    if some and some[0].uuid == UUID and draw(st.booleans()):
        machine.kept["web1"] = Record(UUID, "web1", some[0].pid, some[0].pid * 10)
        machine.recorded = (some[0].pid,)
    if draw(st.booleans()):
        machine.written = ("web1", 100)
    return machine


def defined(outcome: Outcome) -> None:
    assert outcome.code in codes.NAMES
    assert "\n" not in outcome.reason
    assert outcome.reason.isprintable()
    assert len(outcome.reason) <= LONGEST
    assert outcome.reason or outcome.code == codes.SUCCESS


# ---- libvirt, processes and definitions as they come


@settings(max_examples=100)
@given(machines(), st.sampled_from(("", UUID)))
def test_a_probe_tells_no_lie(machine: Machine, uuid: str) -> None:
    outcome = domain.look(machine.world(uuid=uuid), machine.deadline(20))
    defined(outcome)
    assert outcome.code in (codes.SUCCESS, codes.NOT_RUNNING, codes.GENERIC)
    if outcome.code == codes.NOT_RUNNING:
        assert not machine.ours()


@settings(max_examples=100)
@given(machines(), st.sampled_from(("", UUID)), st.sampled_from((0.0, 5.0)))
def test_a_monitor_tells_no_lie(machine: Machine, uuid: str, limit: float) -> None:
    outcome = domain.watched(machine.world(uuid=uuid), machine.deadline(20), limit)[2]
    defined(outcome)
    assert outcome.code in (codes.SUCCESS, codes.NOT_RUNNING, codes.GENERIC, codes.DEGRADED)
    if outcome.code == codes.NOT_RUNNING:
        assert not machine.ours()


@settings(max_examples=100)
@given(machines(), st.sampled_from(("", UUID)), st.booleans())
def test_a_stop_succeeds_only_when_nothing_is_left(machine: Machine, uuid: str, force: bool) -> None:
    outcome = domain_stop.stop(machine.world(uuid=uuid), machine.deadline(60), force)
    defined(outcome)
    assert outcome.code in (codes.SUCCESS, codes.GENERIC)
    if outcome.code == codes.SUCCESS:
        assert not machine.ours()


@settings(max_examples=100)
@given(machines(), st.sampled_from(("", UUID)), st.sampled_from(("none", "peers", "lock")))
def test_a_start_succeeds_only_when_it_runs_and_makes_no_second_one(
    machine: Machine, uuid: str, guard: str
) -> None:
    before = machine.ours()
    world = machine.world(uuid=uuid)
    outcome = domain_start.start(world, machine.deadline(60), machine.birth(world), guard)
    defined(outcome)
    assert outcome.code in (codes.SUCCESS, codes.GENERIC, codes.NOT_CONFIGURED)
    if outcome.code == codes.SUCCESS:
        assert machine.ours()
    if any(guest.end == 1e9 and not guest.ending for guest in before) and not machine.proc_broken:
        assert "create" not in machine.deeds


@settings(max_examples=100)
@given(machines())
def test_an_arrival_is_said_only_of_a_guest_that_is_here(machine: Machine) -> None:
    outcome = domain_arrival.migrate_from(machine.world(), machine.deadline(20), "n1")
    defined(outcome)
    if outcome.code == codes.SUCCESS:
        assert machine.ours()


# ---- definitions


def a_definition(data: bytes) -> Definition | None:
    try:
        return parse(data, "/srv/web1.xml")
    except BadInput as bad:
        assert bad.args
        assert "\n" not in str(bad)[:LONGEST] or str(bad)
        return None


PIECES = st.sampled_from(
    [
        b"<domain>", b"</domain>", b"<domain type='kvm' xmlns:q='urn:x'>", b"<name>", b"</name>", b"web1", b"<uuid>",
        b"</uuid>", UUID.encode(), b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<!DOCTYPE domain [<!ENTITY a 'web1'>]>",
        b"&a;", b"&amp;", b"<?xml version='1.0' encoding='UTF-16'?>", b"<?xml version='1.0'?>", b"\xff\xfe", b"\0",
        b"<on_crash>restart</on_crash>", b"<on_poweroff why='>'>restart</on_poweroff>", b"<devices>", b"</devices>",
        b"<tpm><backend type='emulator' version='2.0'/></tpm>", b"<metadata><name>no</name></metadata>", b"\n", b" ",
    ]
)  # fmt: skip
WHOLE = (
    b"<domain type='kvm'><name>web1</name><on_poweroff why='>'>restart</on_poweroff><on_crash>restart</on_crash>"
    b"<devices><tpm><backend type='emulator'/></tpm></devices></domain>"
)
BOMB = (
    b"<!DOCTYPE domain ["
    + b"".join(b"<!ENTITY a%d '%s'>" % (i, b"&a%d;" % (i - 1) * 10 if i else b"ha" * 50) for i in range(12))
    + b"]><domain><name>&a11;</name></domain>"
)


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=14).map(b"".join)))
@example(XML)
@example(WHOLE)
@example(BOMB)
@example(b"<domain>" * 100_000)
@example("<?xml version='1.0' encoding='UTF-16'?><domain><name>web1</name></domain>".encode("utf-16"))
@example("<?xml version='1.0' encoding='ISO-8859-1'?><domain><name>wéb</name></domain>".encode("latin-1"))
@example(b"<domain><name>web1</name><uuid></uuid></domain>")
@example(b"<domain><name>web1\nweb2</name></domain>")
def test_a_definition_is_understood_or_refused_and_what_libvirt_gets_is_the_same_domain(data: bytes) -> None:
    found = a_definition(data)
    if found is None:
        return
    assert found.name
    assert "/" not in found.name
    text = found.xml(UUID)
    again = parse(text.encode(), "what libvirt gets")
    assert (again.name, again.uuid) == (found.name, found.uuid or UUID)
    domain_features.read(data)
    for restarts in (False, True):
        changed = parse(domain_features.overridden(text.encode(), restarts), "what libvirt gets")
        assert (changed.name, changed.uuid) == (again.name, again.uuid)


@settings(max_examples=60)
@given(st.integers(0, len(WHOLE)))
def test_a_truncated_definition_is_refused(length: int) -> None:
    assert (a_definition(WHOLE[:length]) is None) == (length < len(WHOLE))


# ---- parameters


VALUES = st.one_of(
    st.text(st.characters(blacklist_characters="\0"), max_size=40),
    st.sampled_from(
        ["", " ", "0", "-1", "1e999", "nan", "inf", "99999999999999999999", "true", "/", "//", "~", "a=b", "5s", "-5s",
         "--bandwidth=x", "--unsafe --unsafe", "vda:read_bytes=1", "qemu:///system", "\udcff", "%n", "[::1]", "٣"]
    ),
)  # fmt: skip


def environment(agent: Agent) -> st.SearchStrategy[dict[str, str]]:
    names = [declaration.name for declaration in agent.parameters.declared()]
    return st.dictionaries(st.sampled_from(names).map(lambda name: PREFIX + name), VALUES, max_size=6)


pings = st.one_of(
    st.sampled_from((GOOD, SILENT, REFUSED)),
    st.builds(Ping, st.sampled_from(("answered", "silent", "refused", "driverless", "another")), TEXT),
)


@st.composite
def libvirt_hosts(draw: Any) -> FakeHost:
    """A host whose libvirtd, systemd, cluster and memory say anything."""
    host = FakeHost(
        *draw(st.lists(pings, min_size=1, max_size=3)),
        service=draw(st.sampled_from((RUNS, OFF, CRASHED, ABSENT))),
        sockets=draw(st.sampled_from(((LISTENS,), (NO_SOCKET,), (LIMITED,), ()))),
        emulators=draw(st.sampled_from(((), ("web1",)))),
        healthy=draw(st.sampled_from(((), ("n2",)))),
        memory=draw(st.one_of(st.just(""), st.text(max_size=80))),
    )
    host.deaf_systemd, host.deaf_cluster, host.blind = draw(st.tuples(*[st.booleans()] * 3))
    return host


@pytest.mark.usefixtures("quiet")
@settings(max_examples=100)
@given(
    host=libvirt_hosts(), environ=environment(libvirtd.AGENT), timeout=VALUES, interval=VALUES, level=VALUES
)
def test_libvirtds_monitor_says_something_of_any_host_with_any_parameters(
    host: FakeHost, environ: dict[str, str], timeout: str, interval: str, level: str
) -> None:
    around = {
        "OCF_RESKEY_CRM_meta_timeout": timeout,
        "OCF_RESKEY_CRM_meta_interval": interval,
        "OCF_CHECK_LEVEL": level,
        "OCF_RESKEY_CRM_meta_on_node": "n1",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libvirtd, "Host", lambda: host)
        outcome = runtime.run(libvirtd.AGENT, Call("libvirtd", "monitor", environ | around))
    defined(outcome)
    assert "internal error" not in outcome.reason


@settings(max_examples=100)
@given(TEXT)
def test_any_other_action_is_not_implemented(action: str) -> None:
    known = domain.AGENT.names()
    outcome = runtime.run(domain.AGENT, Call("domain", action, {}))
    if action not in known:
        defined(outcome)
        assert outcome.code == codes.UNIMPLEMENTED
