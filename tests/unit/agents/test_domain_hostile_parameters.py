# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever an admin writes into the parameters: a defined code with one line, and never a lie about a guest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.agents import domain, domain_autostart, domain_hypervisor, libvirtd
from backstay.host import container, libvirt, libvirt_lxc
from backstay.host.libvirt import Answer
from backstay.ocf import codes, runtime
from backstay.ocf.agent import Agent
from backstay.ocf.context import Call
from backstay.ocf.parameters import PREFIX
from tests.unit.agents.domain_host import UUID, Daemon, Guest, Texts
from tests.unit.agents.test_domain_hostile import ENDS, VALUES, Machine, defined, environment


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("agent", [domain.AGENT, libvirtd.AGENT], ids=lambda agent: agent.name)
@settings(max_examples=150)
@given(data=st.data())
def test_any_parameters_are_valid_or_named(agent: Agent, data: Any) -> None:
    environ = data.draw(environment(agent))
    outcome = runtime.run(agent, Call(agent.name, "validate-all", environ))
    defined(outcome)
    assert outcome.code in (codes.SUCCESS, codes.NOT_CONFIGURED), outcome
    if outcome.code == codes.NOT_CONFIGURED:
        assert outcome.reason.startswith("parameter ") or "config" in outcome.reason
    agent.parameters.read(environ, lenient=True)


KINDS_OF_GUESTS = ("emulator", "container", "xen")
SPELLINGS = {
    "emulator": (
        "qemu:///system",
        "qemu+unix:///system",
        "qemu:///sytem",
        "qemu+ssh://n1/system",
        "xen:///system",
    ),
    "container": ("lxc:///system", "lxc:///", "lxc:///sytem", "lcx:///system"),
    "xen": ("xen:///system", "xen+unix:///system", "xen:///", "hail"),
}


class Kind(Machine):
    """A host whose only guest is an emulator, a container, or a guest of Xen, which no process shows."""

    def __init__(self, kind: str, guest: Guest) -> None:
        super().__init__(guest)
        self.kind = kind
        self.known = Answer(libvirt.ABSENT)

    def seen_as(self, *kinds: str) -> Any:
        """The host's side of the agent for guests of these kinds; nothing else is seen with it."""
        sees = self.kind in kinds

        class Side:
            by_pid = False
            boot = staticmethod(lambda: "boot")
            all = staticmethod(lambda timeout=5.0: self.all(timeout) if sees else ())
            again = staticmethod(lambda process: self.again(process) if sees else None)
            signal = staticmethod(self.signal)
            waits_for = staticmethod(self.waits_for)
            files = staticmethod(self.files)

        return lambda ask: Side


def wire(patch: pytest.MonkeyPatch, host: Kind) -> None:
    """Let the whole agent, with its own wiring, find a host of `Kind`."""
    for name, value in {
        "Emulators": host.seen_as("emulator"),
        "Libvirt": lambda _uri: Daemon(host),
        "Records": lambda _boot: host,
        "State": lambda: Texts(host.texts),
        "Definitions": lambda: SimpleNamespace(read=host.definition),
        "monitor_of": host.world().monitor,
        "copies_of": host.world().copies,
        "written": lambda _name, _pid: ("", ""),
        "writer": lambda: (50, 500),
        "processors": host.processors,
        "pause": host.pause,
        "Unchanged": Forgetful,
    }.items():
        patch.setattr(domain, name, value)
    patch.setattr(container, "Containers", host.seen_as("container"))
    patch.setattr(container, "Everything", host.seen_as("emulator", "container"))
    patch.setattr(libvirt_lxc, "Lxc", lambda _uri, _gate: Daemon(host))
    patch.setattr(libvirt_lxc, "Gate", lambda _instance: Open)
    patch.setattr(domain_autostart, "disarm", lambda *_given: None)
    patch.setattr(domain, "time", SimpleNamespace(monotonic=lambda: host.now))
    patch.setattr(runtime, "Deadline", host.deadline)
    signs = "/proc/xen" if host.kind == "xen" else "/dev/vboxdrv"
    patch.setattr(domain_hypervisor.hidden, "__defaults__", (lambda path: path == signs,))


class Forgetful:
    """In the place of the note of a monitor's short way."""

    def __init__(self, _environ: object) -> None:
        self.answered = self.take

    def take(self) -> None:
        pass

    def says_running(self, _name: str, _pid: int) -> bool:
        return False

    def keep(self, _name: str, _pid: int, _start: int) -> None:
        pass


class Open:
    """In the place of libvirt's way to create a container."""

    shut = staticmethod(lambda: False)


@pytest.mark.usefixtures("quiet")
@settings(max_examples=300)
@given(
    data=st.data(),
    kind=st.sampled_from(KINDS_OF_GUESTS),
    action=st.sampled_from(("probe", "monitor", "stop")),
)
def test_with_any_parameters_nothing_is_called_stopped_that_runs(data: Any, kind: str, action: str) -> None:
    host = Kind(kind, Guest(100, **dict.fromkeys(("acpi", "destroy", "term", "kill"), data.draw(ENDS))))
    environ = data.draw(environment(domain.AGENT))
    hypervisor = st.sampled_from(SPELLINGS[kind])
    if kind == "emulator":  # nothing but its own spelling means a container or a guest of Xen
        hypervisor = hypervisor | VALUES.filter(lambda given: not given.startswith("lxc"))
    around = {
        "OCF_RESOURCE_INSTANCE": "web1",
        f"{PREFIX}config": "/srv/web1.xml",
        f"{PREFIX}hypervisor": data.draw(hypervisor),
        f"{PREFIX}uuid": data.draw(st.sampled_from(("", UUID, "no uuid"))),
        "OCF_RESKEY_CRM_meta_on_node": "n2",
        "OCF_RESKEY_CRM_meta_timeout": "60000",
    } | ({"OCF_RESKEY_CRM_meta_interval": "10000"} if action == "monitor" else {})
    call = Call("domain", "monitor" if action == "probe" else action, environ | around)
    with pytest.MonkeyPatch.context() as patch:
        wire(patch, host)
        outcome = runtime.run(domain.AGENT, call)
    defined(outcome)
    assert "internal error" not in outcome.reason
    if host.guests[0].end > host.now:
        assert outcome.code != codes.NOT_RUNNING
        assert (action, outcome.code) != ("stop", codes.SUCCESS)
