# SPDX-License-Identifier: GPL-2.0-or-later
"""The short way of a monitor is taken only while nothing at all has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.host.libvirt_status import writer
from backstay.host.state import State
from backstay.host.unchanged import TRUSTED, Unchanged, is_recurring_monitor

PID, START = 4711, 99
DAEMON, SINCE = 500, 7
RECURRING = {"OCF_RESKEY_CRM_meta_interval": "10000"}


class Machine:
    """What the short way looks at, in a directory; `word` is libvirt's last written one."""

    def __init__(self, top: Path) -> None:
        self.state = State(str(top / "notes"))
        self.proc = top / "proc"
        self.word = ("web1", PID)
        self.now = 1000.0
        self.environ = {
            "OCF_RESOURCE_INSTANCE": "web1",
            "OCF_RESKEY_config": "/srv/web1.xml",
            "OCF_RESKEY_CRM_meta_timeout": "20000",
        }
        boot = self.proc / "sys/kernel/random/boot_id"
        boot.parent.mkdir(parents=True)
        boot.write_text("this-boot\n")
        self.process()
        self.daemon()

    def process(self, state: str = "S", start: int = START) -> None:
        self._stat(self.proc / str(PID), "qemu) x", state, start)

    def daemon(self, state: str = "S", pid: int = DAEMON, start: int = SINCE, name: str = "libvirtd") -> None:
        (self.proc.parent / "libvirtd.pid").write_text(str(pid))
        self._stat(self.proc / str(pid), name, state, start)

    def processor(self, waits_in: str, kind: str = "KVM", state: str = "S") -> None:
        """Give the guest a processor, which waits in that function of the kernel."""
        thread = self.proc / str(PID) / "task" / "4713"
        self._stat(thread, "CPU 0", state, START)
        (thread / "comm").write_text(f"CPU 0/{kind}\n")
        (thread / "wchan").write_text(waits_in)

    def _stat(self, place: Path, name: str, state: str, start: int) -> None:
        place.mkdir(parents=True, exist_ok=True)
        (place / "stat").write_text(f"1 ({name}) {state} {' 0' * 18} {start} 0 0\n")

    def unchanged(self) -> Unchanged:
        return Unchanged(
            self.environ,
            self.state,
            str(self.proc),
            lambda: self.now,
            lambda *asked: asked == self.word,
            lambda: writer(str(self.proc.parent), str(self.proc)),
        )

    def long_way(self, well: bool = True, answers: bool = True) -> bool:
        """Do as the agent does; gives whether libvirt's written word was enough."""
        mine = self.unchanged()
        mine.take()
        enough = mine.says_running("web1", PID)
        if answers and not enough:
            mine.answered()
        if well:
            mine.keep("web1", PID, START)
        return enough

    def holds(self) -> bool:
        try:
            return self.unchanged().holds()
        except (OSError, ValueError):
            return False


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_parameter_that_is_not_utf_8_is_as_good_as_another(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.environ["OCF_RESKEY_config"] = "/srv/b\udcfcro.xml"
    machine.long_way()
    assert machine.holds()
    machine.environ["OCF_RESKEY_config"] = "/srv/b\udce4ro.xml"
    assert not machine.holds()


def test_without_a_note_nothing_holds(machine: Machine) -> None:
    assert not machine.holds()


def test_it_holds_while_nothing_changes(machine: Machine) -> None:
    machine.long_way()
    assert machine.holds()
    machine.environ["OCF_RESKEY_CRM_meta_timeout"] = "30000"
    machine.now += TRUSTED - 1
    assert machine.holds()


def gone(machine: Machine) -> None:
    (machine.proc / str(PID) / "stat").unlink()


CHANGES: dict[str, Callable[[Machine], object]] = {
    "the process is gone": gone,
    "it is another process": lambda machine: machine.process(start=START + 1),
    "it was stopped by a signal": lambda machine: machine.process(state="T"),
    "it is traced": lambda machine: machine.process(state="t"),
    "it is a zombie": lambda machine: machine.process(state="Z"),
    "libvirtd is gone": lambda machine: (machine.proc / str(DAEMON) / "stat").unlink(),
    "libvirtd was stopped": lambda machine: machine.daemon(state="T"),
    "libvirtd is blocked": lambda machine: machine.daemon(state="D"),
    "libvirtd is another": lambda machine: machine.daemon(start=SINCE + 1),
    "libvirt says something else": lambda machine: setattr(machine, "word", ("", 0)),
    "a parameter is another": lambda machine: machine.environ.update(OCF_RESKEY_config="/srv/web2.xml"),
    "a parameter is new": lambda machine: machine.environ.update(OCF_RESKEY_force_stop="true"),
    "a parameter is gone": lambda machine: machine.environ.pop("OCF_RESKEY_config"),
    "it is another resource": lambda machine: machine.environ.update(OCF_RESOURCE_INSTANCE="web2"),
    "libvirt was not asked for long": lambda machine: setattr(machine, "now", machine.now + TRUSTED),
    "the clock stands before": lambda machine: setattr(machine, "now", machine.now - 1),
    "it is another boot": lambda machine: (machine.proc / "sys/kernel/random/boot_id").write_text(
        "another\n"
    ),
    "the note is torn": lambda machine: machine.state.write("web1", "2 this-boot 47"),
    "the note is another version's": lambda machine: machine.state.write(
        "web1", "1" + machine.state.read("web1")[1:]
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_asks_for_the_long_way(machine: Machine, change: str) -> None:
    machine.long_way()
    assert machine.holds()
    CHANGES[change](machine)
    assert not machine.holds()


def test_after_an_answer_that_was_not_well_comes_another_long_way(machine: Machine) -> None:
    machine.long_way()
    machine.long_way(well=False)
    assert not machine.holds()


def test_libvirt_is_asked_at_first_and_again_after_a_while(machine: Machine) -> None:
    assert not machine.long_way()
    assert machine.long_way()
    machine.now += TRUSTED - 1
    assert machine.long_way()
    assert machine.holds()
    machine.now += 1
    assert not machine.holds()
    assert not machine.long_way()
    assert machine.holds()


def test_libvirt_is_asked_when_its_written_word_is_another(machine: Machine) -> None:
    machine.long_way()
    machine.word = ("", 0)
    assert not machine.long_way()


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        (["domain", "monitor"], RECURRING, True),
        (["domain", "monitor", "more"], RECURRING | {"OCF_CHECK_LEVEL": "0"}, True),
        (["domain", "monitor"], {}, False),
        (["domain", "monitor"], {"OCF_RESKEY_CRM_meta_interval": "0"}, False),
        (["domain", "monitor"], {"OCF_RESKEY_CRM_meta_interval": ""}, False),
        (["domain", "monitor"], RECURRING | {"OCF_CHECK_LEVEL": "10"}, False),
        (["domain", "stop"], RECURRING, False),
        (["domain"], RECURRING, False),
    ],
)
def test_only_a_recurring_monitor_has_a_short_way(
    argv: list[str], environ: dict[str, str], expected: bool
) -> None:
    assert is_recurring_monitor(argv, environ) is expected


def test_an_answer_that_did_not_come_is_no_question_asked(machine: Machine) -> None:
    """Or a libvirtd that hangs would be trusted for another while, each time that it was asked in vain."""
    machine.long_way()
    machine.now += TRUSTED
    assert not machine.long_way(answers=False)
    assert not machine.holds()
    assert not machine.long_way(answers=False)


def test_the_word_of_a_libvirtd_that_has_just_started_does_not_count(machine: Machine) -> None:
    assert not machine.long_way()
    assert machine.long_way()
    machine.daemon(start=SINCE + 1)
    assert not machine.long_way()
    assert machine.long_way()
    machine.daemon(name="bash")
    assert not machine.long_way(answers=False)
    assert not machine.long_way(answers=False)
    machine.daemon()
    assert not machine.long_way()


@pytest.mark.parametrize("waits_in", ["kvm_vcpu_block", "0"])
def test_under_kvm_a_processor_is_seen_to_run(machine: Machine, waits_in: str) -> None:
    machine.processor(waits_in, state="R" if waits_in == "0" else "S")
    machine.long_way()
    assert machine.holds()
    machine.processor("futex_do_wait")
    assert not machine.holds()
    assert not machine.long_way(answers=False)


def test_a_processor_that_is_not_seen_running_leaves_no_note(machine: Machine) -> None:
    """Or the next monitors would look at none."""
    machine.processor("futex_do_wait")
    machine.long_way()
    machine.processor("kvm_vcpu_block")
    assert not machine.holds()


def test_without_kvm_one_look_at_a_processor_tells_nothing(machine: Machine) -> None:
    machine.processor("futex_do_wait", "TCG")
    machine.long_way()
    assert machine.long_way()
    assert machine.holds()
