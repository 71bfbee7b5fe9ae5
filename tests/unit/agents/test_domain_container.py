# SPDX-License-Identifier: GPL-2.0-or-later
"""What is decided about a container where it differs from a virtual machine."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from backstay.agents import domain, domain_around, domain_container, domain_start
from backstay.agents.domain_parameters import DomainParameters
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.libvirt_lxc import Gate, gated
from backstay.ocf import codes
from tests.unit.agents.domain_host import UUID, Guest, Host

DEFINITION = f"""<?xml version='1.0' encoding='UTF-8'?>
<domain type='lxc'><name>box1</name><uuid>{UUID}</uuid><devices>{{}}<console type='pty'/></devices></domain>"""


class Pod(Host):
    """A host of containers."""

    by_pid = False


def left(lacks: str, state: str = "S") -> Guest:
    guest = Guest(quit=1.0)
    guest.lacks, guest.state = lacks, state
    return guest


@pytest.mark.parametrize(
    ("lacks", "state", "code", "words"),
    [
        ("", "S", codes.SUCCESS, "runs"),
        ("controller", "S", codes.DEGRADED, "libvirt cannot manage it any more"),
        ("init", "S", codes.GENERIC, "its init"),
        ("init", "T", codes.GENERIC, "its init"),
    ],
)
@pytest.mark.parametrize("libvirtd", ["well", "dead", "hung"])
def test_a_monitor_says_what_a_container_lacks(
    lacks: str, state: str, code: int, words: str, libvirtd: str
) -> None:
    """Also when it was known before: its init alone does not show whether its controller lives."""
    whole = Guest()
    host = Pod(whole)
    assert domain.watched(host.world(), host.deadline(18))[2].code == codes.SUCCESS
    whole.lacks, whole.state, host.libvirtd = lacks, state, libvirtd
    outcome = domain.watched(host.world(), host.deadline(18))[2]
    assert outcome.code == code, outcome.reason
    assert words.replace("its init", "the init") in outcome.reason or not lacks


@pytest.mark.parametrize("libvirtd", ["well", "dead", "hung"])
def test_a_frozen_container_is_degraded_whatever_libvirt_says(libvirtd: str) -> None:
    guest = Guest()
    host = Pod(guest)
    assert domain.watched(host.world(), host.deadline(18))[2].code == codes.SUCCESS
    guest.frozen, host.libvirtd = True, libvirtd
    outcome = domain.watched(host.world(), host.deadline(18))[2]
    assert (outcome.code, "is frozen by its control group" in outcome.reason) == (codes.DEGRADED, True)


def test_of_a_frozen_container_libvirts_own_word_says_why() -> None:
    guest = Guest()
    host = Pod(guest)
    guest.frozen, host.known.state, host.known.reason = True, "paused", "user"
    assert "somebody paused it" in domain.watched(host.world(), host.deadline(18))[2].reason


def test_what_is_left_without_an_init_is_not_remembered() -> None:
    host = Pod(left("init"))
    domain.watched(host.world(), host.deadline(18))[2]
    assert host.kept == {}


@pytest.mark.parametrize(
    ("lacks", "answer", "what"),
    [
        ("init", Answer(libvirt.REFUSED), domain_start.REFUSE),
        ("init", Answer(libvirt.KNOWN, state="running"), domain_start.REFUSE),
        ("controller", Answer(libvirt.KNOWN, state="shutoff"), domain_start.REFUSE),
        ("controller", Answer(libvirt.ABSENT), domain_start.REFUSE),
        ("controller", Answer(libvirt.HUNG), domain_start.DONE),
        ("", Answer(libvirt.KNOWN, state="running"), domain_start.DONE),
    ],
)
def test_a_start_takes_no_half_of_a_container_for_a_whole_one(lacks: str, answer: Answer, what: str) -> None:
    host = Pod(left(lacks))
    seen = domain.survey(host.world(), host.deadline(18))
    assert domain_start.verdict(seen, answer)[0] == what


@pytest.mark.parametrize(
    ("given", "modes"),
    [
        (("agent", "acpi"), ("signal", "initctl")),
        (("initctl", "acpi", "signal"), ("initctl", "signal")),
        (("signal",), ("signal",)),
        ((), ("signal", "initctl")),
    ],
)
def test_a_container_is_asked_in_its_own_modes(given: tuple[str, ...], modes: tuple[str, ...]) -> None:
    assert domain_container.modes(given) == modes


def parameters(**given: str) -> DomainParameters:
    environ = {"config": "/srv/box1.xml", "hypervisor": "lxc:///system", **given}
    return DomainParameters.read(
        {f"OCF_RESKEY_{name}": text for name, text in environ.items()}, lenient=False
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("snapshot", "/srv/saved"),
        ("backingfile", "/srv/base.raw"),
        ("stateless", "true"),
        ("limit_disk", "1MB/s"),
        ("limit_cpu", "50%"),
        ("limit_memory", "1GiB"),
        ("limit_network", "1MB/s"),
        ("guard", "lock"),
    ],
)
def test_what_a_container_cannot_do_is_refused_by_name(name: str, text: str) -> None:
    assert name in parameters(**{name: text}).contradiction()
    assert "containers" in parameters(**{name: text}).contradiction()


class LxcDriver:
    """python3-libvirt with the scheduler of libvirt's LXC driver (lxcDomainSetSchedulerParametersFlags: cpu_shares)."""

    libvirtError = type("libvirtError", (Exception,), {})
    VIR_DOMAIN_AFFECT_LIVE, VIR_DOMAIN_METADATA_ELEMENT = 1, 2

    def __init__(self) -> None:
        self.did: list[tuple[object, ...]] = []
        self.lookupByUUIDString = self.lookupByName = lambda _who: self
        self.isActive = lambda: True
        self.XMLDesc = lambda: DEFINITION.format("")
        self.schedulerParameters = lambda: {"cpu_shares": 1024, "vcpu_period": 100000, "vcpu_quota": -1}

    def registerErrorHandler(self, *_given: object) -> None:
        pass

    def open(self, uri: str) -> LxcDriver:
        self.did.append((uri,))
        return self

    def setSchedulerParametersFlags(self, values: dict[str, int], flags: int) -> None:
        self.did.append((values, flags))

    def setMetadata(self, _kind: int, element: str | None, *_rest: object) -> None:
        self.did.append((element,))


def test_cpu_shares_of_a_container_are_set_through_libvirts_lxc_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver, host = LxcDriver(), Pod(Guest())
    monkeypatch.setitem(sys.modules, "libvirt", driver)
    monkeypatch.setattr(libvirt, "ask", lambda question, _timeout: question())
    context: Any = SimpleNamespace(parameters=parameters(cpu_shares="500"))
    limits, wanted = domain_around._limits_of(context), domain_around.wanted_of(context)
    assert domain_around.limit(host.world(), limits, wanted, host.deadline(18)) == ""
    assert ({"cpu_shares": 500}, driver.VIR_DOMAIN_AFFECT_LIVE) in driver.did
    assert ("<limits applied='shares=1024'/>",) in driver.did
    assert {one for one in driver.did if str(one[0]).startswith(("lxc", "qemu"))} == {("lxc:///system",)}


def test_what_a_container_can_do_is_not_refused() -> None:
    assert parameters(cpu_shares="500", guard="peers", force_stop="true").contradiction() == ""


class Context:
    """As much of a call as migrate_to wants."""

    instance = "box1"
    migrate_target = "n2"

    def __init__(self) -> None:
        self.parameters: Any = parameters()


def test_a_container_is_not_migrated() -> None:
    outcome = domain.migrate_to(Context())  # type: ignore[arg-type]
    assert (outcome.code, "libvirt migrates none" in outcome.reason) == (codes.GENERIC, True)


# ---- the gate


def test_nothing_can_be_created_through_a_gate_that_is_shut(tmp_path: Path) -> None:
    gate = Gate("box/1", str(tmp_path / "containers"))
    assert not gate.shut()
    gate.open("/usr/lib/libvirt/libvirt_lxc")
    gate.open("/usr/libexec/libvirt_lxc")
    assert Path(gate.path).readlink() == Path("/usr/libexec/libvirt_lxc")
    assert Path(gate.path) == tmp_path / "containers" / "box_1" / "libvirt_lxc"
    assert gate.shut()
    assert not Path(gate.path).is_symlink()
    assert not gate.shut()


@pytest.mark.parametrize("had", ["", "/usr/lib/libvirt/libvirt_lxc"])
def test_libvirt_is_given_the_gate_for_a_controller(had: str) -> None:
    text, before, name = gated(DEFINITION.format(f"<emulator>{had}</emulator>" if had else ""), "/gate")
    assert (before, name) == (had, "box1")
    devices = ElementTree.fromstring(text).find("devices")
    assert devices is not None
    assert [element.tag for element in devices] == ["emulator", "console"]
    assert devices.findtext("emulator") == "/gate"


class Stuck:
    """A gate that stays open."""

    def shut(self) -> bool:
        raise OSError("read-only file system")


class Loose:
    """A gate that was open."""

    def shut(self) -> bool:
        return True


def test_a_stop_lets_what_has_just_passed_the_gate_be_seen_and_goes_on_when_it_is_stuck() -> None:
    waited: list[float] = []
    said: list[str] = []
    domain_container.forbid(Loose(), waited.append, said.append)
    assert (waited, said) == ([domain_container.BEGUN], [])
    domain_container.forbid(Stuck(), waited.append, said.append)
    assert len(waited) == 1
    assert "read-only" in said[0]
