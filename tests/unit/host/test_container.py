# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as a container and whose it is, on a proc file system that was written down from a real host."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstay.host.container import Containers, Everything, is_controller, key_of
from backstay.host.emulator import is_frozen, lacks, name_of, uuid_of
from backstay.host.proc import Proc, Process

UUID = "11111111-2222-3333-4444-5555555555c1"
STAT = "{pid} (a) b) {state} 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0\n"
GROUP = "/machine/lxc-110-box1.libvirt-lxc"
STATUS = """<!-- generated -->
<domstatus state='running' reason='booted' pid='{pid}'>
  <init pid='111'/>
  <domain type='lxc' id='{pid}'>
    <name>{name}</name>
    <uuid>{uuid}</uuid>
  </domain>
</domstatus>
"""


class Machine:
    """A proc file system, libvirt's directory and the freezer of a host."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("proc", "run", "groups"):
            (place / name).mkdir()
        self.process(1, group="/", arguments=("init",))

    def process(
        self,
        pid: int,
        *,
        group: str = GROUP,
        arguments: Sequence[str] = ("/bin/sleep",),
        inside: Sequence[int] = (),
        state: str = "S",
    ) -> None:
        place = self.place / "proc" / str(pid)
        (place / "task").mkdir(parents=True)
        (place / "stat").write_text(STAT.format(pid=pid, state=state, start=pid * 10))
        (place / "cmdline").write_bytes("".join(f"{word}\0" for word in arguments).encode())
        (place / "cgroup").write_text(f"9:name=systemd:/\n6:freezer:{group}\n1:cpu:{group}\n0::/\n")
        ids = "\t".join(map(str, (pid, *inside)))
        (place / "status").write_text(f"Name:\ta\nNStgid:\t{ids}\nNSpid:\t{ids}\nNSpgid:\t{ids}\n")

    def controller(self, pid: int = 110, name: str = "box1", group: str = GROUP) -> None:
        arguments = ("/usr/lib/libvirt/libvirt_lxc", "--name", name, "--console", "26")
        self.process(pid, group=group, arguments=arguments)

    def known(self, pid: int = 110, name: str = "box1", uuid: str = UUID) -> None:
        (self.place / "run" / f"{name}.xml").write_text(STATUS.format(pid=pid, name=name, uuid=uuid))

    def containers(self) -> Containers:
        return Containers(
            Proc(str(self.place / "proc")),
            run=str(self.place / "run"),
            groups=str(self.place / "groups"),
        )

    def seen(self) -> list[tuple[int, str, str, str]]:
        return [
            (one.pid, name_of(one.arguments), uuid_of(one.arguments), lacks(one))
            for one in self.containers().all()
        ]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (GROUP, (110, "box1")),
        (f"{GROUP}/sub", (110, "box1")),
        ("/custom.partition/lxc-7-a-b.libvirt-lxc", (7, "a-b")),
        ("/machine.slice/machine-lxc\\x2d110\\x2dbox1.scope/libvirt", (110, "box1")),
        ("/machine.slice/machine-lxc\\x2d7\\x2da\\x2db.scope", (7, "a-b")),
        ("/machine/qemu-3-web1.libvirt-qemu", None),
        ("/machine.slice/machine-qemu\\x2d3\\x2dweb1.scope", None),
        ("/lxc/box1", None),
        ("/lxc-box1.libvirt-lxc", None),
        ("/", None),
        ("", None),
    ],
)
def test_a_group_says_whose_it_is(path: str, key: tuple[int, str] | None) -> None:
    assert key_of(path) == key


def test_a_host_without_containers(machine: Machine) -> None:
    assert machine.seen() == []


def test_a_whole_container_is_its_init_with_libvirts_uuid(machine: Machine) -> None:
    machine.controller()
    machine.process(111, inside=[1])
    machine.process(115, inside=[5])
    machine.known()
    assert machine.seen() == [(111, "box1", UUID, "")]


def test_a_container_in_the_container_is_not_taken_for_it(machine: Machine) -> None:
    machine.process(90, inside=[9, 1], arguments=("/inner",))
    machine.controller()
    machine.process(111, inside=[1])
    assert machine.seen() == [(111, "box1", "", "")]


def test_without_its_controller_it_is_known_by_the_name_of_its_group(machine: Machine) -> None:
    machine.process(111, inside=[1])
    assert machine.seen() == [(111, "box1", "", "controller")]


def test_an_init_that_is_still_a_copy_of_its_controller_is_none(machine: Machine) -> None:
    """What is left when the controller died in the middle of a start."""
    machine.process(111, inside=[1], arguments=("/usr/lib/libvirt/libvirt_lxc", "--name", "box1"))
    assert machine.seen() == [(111, "box1", "", "controller")]


def test_what_is_left_without_an_init_says_so(machine: Machine) -> None:
    machine.process(115, inside=[5], state="D")
    machine.controller()
    assert machine.seen() == [(110, "box1", "", "init")]


def test_a_controller_that_is_in_no_group_yet(machine: Machine) -> None:
    machine.controller(group="/system.slice")
    machine.known()
    assert machine.seen() == [(110, "box1", UUID, "init")]


def test_a_name_that_a_group_cannot_hold_comes_from_libvirt(machine: Machine) -> None:
    machine.controller(name="a_b,c", group="/machine/lxc-110-abc.libvirt-lxc")
    machine.process(111, group="/machine/lxc-110-abc.libvirt-lxc", inside=[1])
    assert machine.seen() == [(111, "a_b,c", "", "")]
    machine.known(name="a_b,c")
    assert machine.seen() == [(111, "a_b,c", UUID, "")]


def test_the_word_about_another_container_whose_controller_had_the_same_pid_does_not_count(
    machine: Machine,
) -> None:
    machine.process(111, inside=[1])
    machine.known(name="other")
    assert machine.seen() == [(111, "box1", "", "controller")]


def test_two_containers(machine: Machine) -> None:
    machine.controller()
    machine.process(111, inside=[1])
    machine.process(211, group="/machine/lxc-210-box2.libvirt-lxc", inside=[1])
    assert sorted(machine.seen()) == [(111, "box1", "", ""), (211, "box2", "", "controller")]


def test_what_ends_in_some_container_leaves_a_doubt(machine: Machine) -> None:
    """In exit, a process is in no group of v1 any more, and has no arguments."""
    machine.process(111, group="/", arguments=(), inside=[1], state="D")
    assert machine.seen() == [(111, "", "", "")]
    assert machine.containers().all()[0].arguments == ()


def test_what_ends_on_the_host_itself_leaves_none(machine: Machine) -> None:
    machine.process(111, group="/", arguments=(), state="D")
    assert machine.seen() == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("/run/backstay/containers/box1/libvirt_lxc", "--name", "box1"), True),
        (("libvirt_lxc",), True),
        (("/usr/sbin/libvirtd", "libvirt_lxc"), False),
        ((), False),
    ],
)
def test_a_controller_is_told_by_its_program(arguments: tuple[str, ...], expected: bool) -> None:
    assert is_controller(Process(1, 1, "S", arguments)) is expected


@pytest.mark.parametrize(
    ("number", "reached"),
    [(signal.SIGTERM, [111]), (signal.SIGKILL, [111, 110, 115]), (signal.SIGCONT, [111, 110, 115])],
)
def test_a_container_is_killed_as_a_whole_and_asked_through_its_init(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, number: int, reached: list[int]
) -> None:
    machine.controller()
    machine.process(111, inside=[1])
    machine.process(115, inside=[5])
    machine.process(116, group="/")
    state = machine.place / "groups" / f"freezer{GROUP}" / "freezer.state"
    state.parent.mkdir(parents=True)
    sent: list[int] = []
    monkeypatch.setattr(
        "backstay.host.emulator.Emulators.signal",
        lambda _self, process, _number: sent.append(process.pid) or True,
    )
    containers = machine.containers()
    assert containers.signal(containers.all()[0], number)
    assert sorted(sent) == sorted(reached)
    assert sent[0] == 111
    assert state.read_text() == "THAWED"


# ---- whatever stands there

LINES = st.lists(
    st.sampled_from(
        ["6:freezer:", "0::", ":", GROUP, "/", "/lxc-", "lxc-x-y.libvirt-lxc", "machine-lxc\\x2d", "\\x2", ".scope",
         "lxc--1-a.libvirt-lxc", "\n", "²", "\\x2d"]
    ),
    max_size=10,
).map("".join)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=40), LINES)
WORDS = st.one_of(
    st.text(max_size=60), st.sampled_from([STATUS, STATUS[:90], "<domstatus pid='x'><domain <uuid>"])
)


@given(group=LINES, ids=TEXTS, cmdline=st.binary(max_size=40), word=WORDS, ours=st.booleans())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_process_in_a_containers_group_is_never_missed(
    machine: Machine, group: str, ids: str, cmdline: bytes, word: str, ours: bool
) -> None:
    place = machine.place / "proc" / "111"
    if not place.exists():
        machine.process(111)
    own = f"5:devices:{GROUP}\n" if ours else ""
    (place / "cgroup").write_text(f"{own}{group}\n")
    (place / "status").write_text(f"Name:\tx\nNSpid:\t{ids}\n")
    (place / "cmdline").write_bytes(cmdline)
    (machine.place / "run" / "box1.xml").write_text(word)
    found = machine.seen()
    assert [pid for pid, *_said in found] in ([111], [] if not ours else [111])
    if ours:
        assert found[0][1] in ("box1", *cmdline.decode("utf-8", "surrogateescape").split("\0"))


def test_whoever_does_not_know_what_a_domain_is_sees_emulators_and_containers(machine: Machine) -> None:
    machine.controller()
    machine.process(111, inside=[1])
    machine.known()
    machine.process(
        300,
        group="/machine/qemu-3-web1.libvirt-qemu",
        arguments=("kvm", "-name", "guest=web1", "-uuid", "AB"),
    )
    there = Everything(Proc(str(machine.place / "proc")), run=str(machine.place / "run"))
    assert [(one.pid, name_of(one.arguments), uuid_of(one.arguments)) for one in there.all()] == [
        (111, "box1", UUID),
        (300, "web1", "ab"),
    ]
    assert not there.by_pid


@pytest.mark.parametrize(
    ("file", "text", "frozen"),
    [
        (f"groups/freezer{GROUP}/freezer.state", "FROZEN\n", True),
        (f"groups/freezer{GROUP}/freezer.state", "FREEZING\n", True),
        (f"groups/freezer{GROUP}/freezer.state", "THAWED\n", False),
        ("groups/cgroup.events", "populated 1\nfrozen 1\n", True),
        ("groups/cgroup.events", "populated 1\nfrozen 0\n", False),
        ("groups/unified/cgroup.events", "populated 1\nfrozen 1\n", True),
        ("proc/111/wchan", "__refrigerator", True),
        ("proc/111/wchan", "do_freezer_trap", True),
        ("proc/111/wchan", "do_nanosleep", False),
    ],
)
def test_a_container_whose_init_gets_no_time_is_frozen(
    machine: Machine, file: str, text: str, frozen: bool
) -> None:
    machine.controller()
    machine.process(111, inside=[1])
    (machine.place / file).parent.mkdir(parents=True, exist_ok=True)
    (machine.place / file).write_text(text)
    assert [is_frozen(one) for one in machine.containers().all()] == [frozen]
