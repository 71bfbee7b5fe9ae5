# SPDX-License-Identifier: GPL-2.0-or-later
"""The BMC simulator without its socket: packets, accounts, faults, commands, the slow switch."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.errors import BadInput
from backstay.host.clock import Deadline, until
from backstay.lab.bmc import packets, suites, users
from backstay.lab.bmc.chassis import CYCLE, OFF, ON, RESET, FileChassis, Switch
from backstay.lab.bmc.commands import Commands
from backstay.lab.bmc.faults import KNOWN, Faults
from backstay.lab.bmc.journal import Journal, read
from backstay.lab.bmc.packets import Message
from backstay.lab.bmc.server import Bmc, Settings, guid_of
from backstay.lab.bmc.sessions import Session
from backstay.lab.bmc.suites import SUITES

ACCOUNTS = users.parse("fencer operator fence pass\nviewer user v\n")
# Get Channel Authentication Capabilities (IPMI 2.0, section 22.13) as ipmitool begins every session
GREETING = bytes.fromhex("0600ff07000000000000000000092018c88100388e04b5")


@given(st.binary(max_size=200), st.binary(min_size=16, max_size=32))
def test_what_is_encrypted_can_be_read_again(clear, key):
    assert suites.decrypt(key, suites.encrypt(key, clear)) == clear


@pytest.mark.parametrize("sealed", [b"", bytes(16), bytes(33)])
def test_what_was_not_encrypted_is_refused(sealed):
    with pytest.raises(ValueError, match="encrypted bytes"):
        suites.decrypt(bytes(16), sealed)


@given(st.binary(min_size=1, max_size=100))
def test_a_checksum_makes_the_sum_zero(data):
    assert (sum(data) + packets.checksum(data)) % 256 == 0


def test_a_recorded_greeting_is_understood():
    asked = packets.request(packets.parse(GREETING).payload)
    assert (asked.function, asked.command, asked.data) == (6, 0x38, bytes([0x8E, 4]))


def test_a_message_with_a_wrong_checksum_is_malformed():
    with pytest.raises(packets.Malformed):
        packets.request(packets.parse(GREETING[:-1] + b"\0").payload)


def bmc(tmp_path, **more) -> Bmc:
    settings = Settings("n1", "127.0.0.1", 0, ACCOUNTS, tmp_path, **more)
    return Bmc(settings, FileChassis(tmp_path / "power"))


@given(st.binary(max_size=80))
def test_no_datagram_kills_it(tmp_path_factory, datagram):
    machine = bmc(tmp_path_factory.mktemp("bmc"))
    machine.handle(datagram)
    machine.handle(packets.RMCP + bytes([packets.RMCP_PLUS]) + datagram)


def test_a_greeting_is_answered_unless_the_bmc_is_dead(tmp_path):
    machine = bmc(tmp_path)
    assert machine.handle(GREETING) is not None
    machine.faults.set("drop")
    assert machine.handle(GREETING) is None


@pytest.mark.parametrize(("nth", "answered"), [("2", "+-+-+-"), ("3", "++-++-"), ("nonsense", "++++++")])
def test_every_so_manieth_packet_is_lost(tmp_path, nth, answered):
    machine = bmc(tmp_path)
    machine.faults.set("loss", nth)
    assert "".join("+" if machine.handle(GREETING) else "-" for _ in answered) == answered


def open_request(tag: int) -> bytes:
    """Open Session for suite 17 (section 13.17) from a console whose session id is the tag."""
    algorithms = bytes([0, 0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 8, 4, 0, 0, 0, 2, 0, 0, 8, 1, 0, 0, 0])
    return packets.plain(packets.OPEN, bytes([tag, 0, 0, 0, tag, 0, 0, 0]) + algorithms)


def test_requests_that_were_never_finished_take_no_slot_for_good(tmp_path):
    machine = bmc(tmp_path, slots=2)
    statuses = [packets.parse(machine.handle(open_request(tag)) or b"").payload[1] for tag in range(1, 8)]
    assert statuses == [0] * 7


def test_a_changed_password_is_everybodys_and_heals(tmp_path):
    changed = users.changed(ACCOUNTS, "new")
    assert {account.password for account in changed.values()} == {b"new"}
    assert [(a.name, a.role) for a in changed.values()] == [(a.name, a.role) for a in ACCOUNTS.values()]
    machine = bmc(tmp_path)
    machine.faults.set("password", "new")
    machine.handle(open_request(1))
    assert machine.sessions.accounts["fencer"].password == b"new"
    machine.faults.clear("password")
    machine.handle(open_request(2))
    assert machine.sessions.accounts["fencer"].password == b"fence pass"


def test_a_machine_has_its_own_guid_in_every_run():
    assert guid_of("n1") == guid_of("n1") != guid_of("n2")
    assert len(guid_of("n1")) == 16


@pytest.mark.parametrize(
    ("text", "line"),
    [("fencer operator\n", ":1:"), ("# x\nfencer king pass\n", ":2:"), ("", "no account")],
)
def test_a_bad_list_of_accounts_is_refused(text, line):
    with pytest.raises(BadInput, match=line):
        users.parse(text)


def test_an_account_keeps_its_password_to_itself():
    assert ACCOUNTS["fencer"].password == b"fence pass"
    assert "fence pass" not in repr(ACCOUNTS["fencer"])


def test_faults_are_set_counted_and_healed(tmp_path):
    faults = Faults(tmp_path / "faults")
    assert faults.active() == {}
    for name in KNOWN:
        faults.set(name, "2")
    assert set(faults.active()) == set(KNOWN)
    assert [faults.spend("busy") for _ in range(3)] == [True, True, False]
    assert faults.seconds("delay-off") == 2.0
    faults.clear("drop")
    assert not faults.has("drop")
    faults.clear()
    assert faults.active() == {}


@pytest.mark.parametrize(("text", "code"), [("", 0xFF), ("d4", 0xD4), ("nonsense", 0xFF)])
def test_a_refusal_has_a_code(tmp_path, text, code):
    faults = Faults(tmp_path)
    assert faults.completion("fail-set") is None
    faults.set("fail-set", text)
    assert faults.completion("fail-set") == code


def test_codes_strike_once_each_and_heal(tmp_path):
    faults = Faults(tmp_path)
    assert faults.next_code("codes") is None
    faults.set("codes", "c3 d1")
    assert [faults.next_code("codes") for _ in range(3)] == [0xC3, 0xD1, None]
    assert faults.active() == {}


def test_who_dies_of_a_command_is_dead_from_then_on(machine):
    faults = machine.faults
    faults.set("dies")
    assert not faults.dead()
    assert machine.answer(chassis_message(CONTROL, b"\0"), session(OPERATOR)) == b"\0"
    assert (faults.dead(), machine.switch.is_on()) == (True, True)
    faults.clear("dies")
    assert not faults.dead()


def test_a_command_that_is_ignored_once_is_heard_the_second_time(machine):
    machine.faults.set("ignore-set", "1")
    off = chassis_message(CONTROL, b"\0")
    assert machine.answer(off, session(OPERATOR)) == b"\0"
    assert machine.switch.is_on()
    machine.answer(off, session(OPERATOR))
    until(lambda: not machine.switch.is_on() or None, Deadline(10))


def test_what_was_done_may_stay_unanswered(machine):
    machine.faults.set("lost-answer")
    assert machine.answer(chassis_message(CONTROL, b"\0"), session(OPERATOR)) is None
    until(lambda: not machine.switch.is_on() or None, Deadline(10))


def test_a_fault_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(BadInput, match="explode"):
        Faults(tmp_path).set("explode")


class Notes(list):
    def __call__(self, event, **facts):
        self.append((event, facts))


def session(role: int, limit: int | None = None) -> Session:
    account = users.Account("x", role, b"")
    opened = Session(SUITES[17], bytes(4), bytes(4), 0.0, account)
    opened.limit, opened.privilege = limit or role, role
    return opened


def chassis_message(command: int, data: bytes = b"") -> Message:
    return Message(0x20, 0, 0x81, 0, command, data)


@pytest.fixture
def machine(tmp_path):
    faults, notes = Faults(tmp_path / "faults"), Notes()
    switch = Switch(FileChassis(tmp_path / "power"))
    return Commands(bytes(16), switch, faults, tuple(SUITES.values()), notes)


OPERATOR, USER = users.OPERATOR, users.USER
STATUS, CONTROL = 1, 2


@pytest.mark.parametrize(
    ("role", "fault", "message", "answer"),
    [
        (OPERATOR, {}, chassis_message(STATUS), b"\0\x01\0\0"),
        (USER, {}, chassis_message(STATUS), b"\0\x01\0\0"),
        (USER, {}, chassis_message(CONTROL, b"\0"), b"\xd4"),
        (OPERATOR, {}, chassis_message(CONTROL, b"\0"), b"\0"),
        (OPERATOR, {}, chassis_message(CONTROL, b"\x0a"), b"\xcc"),
        (OPERATOR, {"fail-set": "d5"}, chassis_message(CONTROL, b"\0"), b"\xd5"),
        (OPERATOR, {"fail-set": "d5"}, chassis_message(STATUS), b"\0\x01\0\0"),
        (OPERATOR, {"fail-get": ""}, chassis_message(STATUS), b"\xff"),
        (OPERATOR, {"ignore-set": ""}, chassis_message(CONTROL, b"\0"), b"\0"),
        (OPERATOR, {"quick-cycle": ""}, chassis_message(CONTROL, b"\2"), b"\0"),
        (OPERATOR, {"drop-control": ""}, chassis_message(CONTROL, b"\0"), None),
        (OPERATOR, {"busy": ""}, chassis_message(CONTROL, b"\0"), b"\xc0"),
        (OPERATOR, {"busy": "1"}, chassis_message(STATUS), b"\xc0"),
        (OPERATOR, {}, chassis_message(0x0F), b"\xc1"),
        (OPERATOR, {}, Message(0x20, 6, 0x81, 0, 0x3B, b"\x03"), b"\0\x03"),
        (USER, {}, Message(0x20, 6, 0x81, 0, 0x3B, b"\x03"), b"\x81"),
    ],
)
def test_a_command_is_answered(machine, role, fault, message, answer):
    for name, value in fault.items():
        machine.faults.set(name, value)
    assert machine.answer(message, session(role)) == answer
    heard = [facts["command"] for event, facts in machine.note if event == "chassis-control"]
    assert len(heard) == (message.command == CONTROL)


def test_without_a_session_nothing_is_switched(machine):
    assert machine.answer(chassis_message(CONTROL, b"\0"), None) == b"\xd4"
    assert machine.note == []


class Machine:
    """A chassis that takes its time to die."""

    def __init__(self) -> None:
        self.powered = True
        self.done: list[str] = []
        self.may_die = threading.Event()
        self.may_die.set()

    def is_on(self) -> bool:
        return self.powered

    def off(self) -> None:
        self.powered = False  # its first process is dead, the last one is not
        self.may_die.wait(5)
        self.done.append("off")

    def on(self) -> None:
        self.powered = True
        self.done.append("on")

    def reset(self) -> None:
        self.done.append("reset")


def wait_for(condition) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_an_off_that_is_repeated_does_not_wait_anew():
    machine = Machine()
    switch = Switch(machine)
    for _ in range(10):
        switch.command(OFF, delay_off=0.3)
        time.sleep(0.06)
    assert machine.done


def test_off_is_said_when_the_last_process_is_dead():
    machine = Machine()
    switch = Switch(machine)
    machine.may_die.clear()
    assert switch.command(OFF)
    wait_for(lambda: not machine.powered)
    assert switch.is_on()
    machine.may_die.set()
    wait_for(lambda: not switch.is_on())
    assert machine.done == ["off"]


def test_power_is_reported_before_the_system_boots():
    machine = Machine()
    machine.powered = False
    switch = Switch(machine, firmware=0.3)
    switch.command(ON)
    wait_for(switch.is_on)
    assert machine.done == []
    switch.command(ON)  # once more does not begin the wait again
    wait_for(lambda: machine.done == ["on"])


def test_off_during_a_delayed_on_means_off():
    machine = Machine()
    machine.powered = False
    switch = Switch(machine, firmware=0.2)
    switch.command(ON)
    wait_for(switch.is_on)
    switch.command(OFF)
    wait_for(lambda: machine.done == ["off"])
    time.sleep(0.3)
    assert machine.done == ["off"]
    assert not switch.is_on()


def test_on_for_a_machine_that_is_on_does_nothing():
    machine = Machine()
    switch = Switch(machine)
    switch.command(ON)
    time.sleep(0.05)
    assert machine.done == []


@pytest.mark.parametrize(("operation", "done"), [(RESET, ["reset"]), (OFF, ["off"])])
def test_a_command_takes_effect(operation, done):
    machine = Machine()
    Switch(machine).command(operation)
    wait_for(lambda: machine.done == done)


def test_an_unknown_command_is_refused():
    assert not Switch(Machine()).command(0xA)


def test_a_cycle_is_dark_for_a_second():
    machine = Machine()
    Switch(machine).command(CYCLE)
    wait_for(lambda: machine.done == ["off"])
    wait_for(lambda: machine.done == ["off", "on"])


def test_a_machine_that_cannot_be_switched_does_not_end_the_bmc():
    class Broken(Machine):
        def off(self) -> None:
            raise OSError("stuck")

    notes: list[tuple[str, str]] = []
    machine = Broken()
    switch = Switch(machine, lambda event, what: notes.append((event, what)))
    switch.command(OFF)
    wait_for(lambda: notes == [("failed", "off: stuck")])
    switch.command(RESET)
    wait_for(lambda: machine.done == ["reset"])


def test_the_journal_has_both_clocks(tmp_path):
    journal = Journal(tmp_path / "events.jsonl", "n1")
    assert read(journal.path) == []
    before = time.monotonic()
    journal.write("chassis-control", command="off", user="fencer", code=0)
    (event,) = read(journal.path)
    assert before <= event["monotonic"] <= time.monotonic()
    assert event["host"] == "n1"
    assert (event["event"], event["command"], event["code"]) == ("chassis-control", "off", 0)
