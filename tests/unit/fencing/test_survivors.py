# SPDX-License-Identifier: GPL-2.0-or-later
"""What no rehearsal of fence_backstay_ipmi can see, found by breaking it (bench/mutation-records.md): each line a test.

Codes that BMCs hardly ever send, limits of settings, bridged requests, secrets that are hidden, hints, defaults.
"""

from __future__ import annotations

import io
import re

import pytest

from backstay.errors import BackstayError, BadInput
from backstay.fencing import actions, ipmi, password
from backstay.fencing.ipmi_parameters import PARAMETERS
from backstay.fencing.parameters import Values
from backstay.fencing.power import PASSING_CODES, GiveUp, Limits, Look, State, decide, passing, reach
from backstay.fencing.protocol import Conversation
from backstay.fencing.wording import CODE_WORDS, Device, completion, not_known
from backstay.host import ipmitool
from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.clock import Deadline
from backstay.host.ipmitool import CODES, Ipmitool, Login, last_words
from backstay.host.process import Completed, ProcessTimedOut
from tests.unit.fencing.test_protocol import GOOD, Bmc, Spoken

# Recorded: what ipmitool 1.8.19 says to a power-off that is refused with each code. 0xcf it takes for a lost answer.
IPMITOOL = {
    0xC0: "Node busy", 0xC1: "Invalid command", 0xC2: "Invalid command on LUN", 0xC3: "Timeout", 0xC4: "Out of space",
    0xC5: "Reservation cancelled or invalid", 0xC6: "Request data truncated", 0xC7: "Request data length invalid",
    0xC8: "Request data field length limit exceeded", 0xC9: "Parameter out of range",
    0xCA: "Cannot return number of requested data bytes", 0xCB: "Requested sensor, data, or record not found",
    0xCC: "Invalid data field in request", 0xCD: "Command illegal for specified sensor or record type",
    0xCE: "Command response could not be provided", 0xD0: "SDR Repository in update mode",
    0xD1: "Device firmeware in update mode", 0xD2: "BMC initialization in progress", 0xD3: "Destination unavailable",
    0xD4: "Insufficient privilege level", 0xD5: "Command not supported in present state",
    0xD6: "Cannot execute command, command disabled", 0xFF: "Unspecified error",
}  # fmt: skip
# IPMI 2.0, table 5-2, in a word or two that only this code has.
MEANT = {
    0xC0: "busy", 0xC1: "invalid command", 0xC2: "for this unit", 0xC3: "too long inside", 0xC4: "out of space",
    0xC5: "reservation", 0xC6: "truncated", 0xC7: "length invalid", 0xC8: "too long", 0xC9: "out of range",
    0xCA: "too much", 0xCB: "not found", 0xCC: "invalid data field", 0xCD: "illegal", 0xCE: "no response",
    0xCF: "duplicated", 0xD0: "repository", 0xD1: "firmware", 0xD2: "initializing", 0xD3: "destination",
    0xD4: "privilege", 0xD5: "present state", 0xD6: "disabled", 0xFF: "unspecified",
}  # fmt: skip
DEVICE = Device("10.0.0.2", 623, "fencer", "operator", 17, "n2")


@pytest.mark.parametrize(("code", "words"), IPMITOOL.items())
def test_each_code_is_read_from_the_words_of_the_real_tool(code: int, words: str) -> None:
    assert ipmitool.completion_code(words) == code


def test_no_other_words_mean_a_code() -> None:
    assert set(CODES) == {
        *IPMITOOL.values(),
        "Cannot execute duplicated request",
        "Device firmware in update mode",
    }
    assert (CODES["Cannot execute duplicated request"], CODES["Device firmware in update mode"]) == (
        0xCF,
        0xD1,
    )


@pytest.mark.parametrize(("code", "word"), MEANT.items())
def test_each_code_has_its_own_words(code: int, word: str) -> None:
    said = completion(code)
    assert said.startswith(f"IPMI completion code 0x{code:02x}: ")
    assert word in said
    assert set(CODE_WORDS) == set(MEANT)


def test_these_codes_pass_and_no_others() -> None:
    assert {0xC0, 0xC3, 0xCE, 0xD1, 0xD2, 429, 502, 503, 504} == PASSING_CODES
    found = {code for code in (*range(0x80, 0x100), *range(300, 600)) if passing(Trouble(Kind.REFUSED, code))}
    assert found == PASSING_CODES


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("power_timeout", ("1", "600"), ("0.9", "600.1")),
        ("login_timeout", ("1", "120"), ("0.9", "120.1")),
        ("stonith_status_sleep", ("0.1", "10"), ("0.09", "10.1")),
        ("power_wait", ("0", "120"), ("-1", "120.1")),
        ("delay", ("0", "600"), ("-1", "600.1")),
        ("ipport", ("1", "65535"), ("0", "65536")),
        ("cipher", ("1", "254"), ("0", "255")),
        ("ipmitool_timeout", ("1", "30"), ("0", "31")),
    ],
)
def test_each_setting_has_its_limits(name: str, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    (parameter,) = (each for each in PARAMETERS if each.name == name)
    assert [parameter.problem(value) for value in good] == ["", ""]
    assert all(parameter.problem(value).startswith("a number from ") for value in bad)


def test_what_is_secret() -> None:
    assert {parameter.name for parameter in PARAMETERS if parameter.secret} == {"password", "hexadecimal_kg"}


def test_the_way_to_a_bmc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bridged requests among them: no simulator has a bridge."""
    logins: list[Login] = []
    monkeypatch.setattr(ipmi, "Ipmitool", lambda login, _trace: logins.append(login) or Ipmitool(login))
    given = {
        "ip": "10.0.0.2",
        "username": "fencer",
        "password": "s3cret",
        "hexadecimal_kg": "6b6579",
        "target": "0x82",
    }
    values, hidden = Values(given, PARAMETERS), []
    ipmi.way_to(values, ipmi.device_of(values), hidden.append, lambda _: None, lambda: None)
    assert hidden == ["s3cret", "key"]
    assert sorted(login.suite for login in logins) == [3, 17]
    assert {(login.target, login.key, login.password, login.seconds) for login in logins} == {
        ("0x82", "key", "s3cret", 1)
    }
    argv = " ".join(Ipmitool(logins[-1]).argv(("chassis", "power", "off")))
    assert argv.endswith("-U fencer -E -K -t 0x82 chassis power off")
    bare = " ".join(Ipmitool(Login("10.0.0.2", "fencer", "s3cret")).argv(("chassis", "power", "status")))
    assert "-C 17 -L OPERATOR -N 1 -R 2 -H 10.0.0.2 -p 623 -U fencer -E chassis" in bare


@pytest.mark.parametrize("address", ["fd00::2", "[fd00::2]"])
def test_an_address_with_brackets_is_the_one_without(address: str) -> None:
    values = Values({"ip": address, "username": "fencer"}, PARAMETERS)
    assert ipmi.device_of(values).address == "fd00::2"


def test_each_call_is_traced_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    done = Completed(["ipmitool"], 0, "Chassis Power is on\n", "Loading IANA PEN Registry...\n")
    monkeypatch.setattr(ipmitool, "run", lambda *_, **__: done)
    Ipmitool(Login("10.0.0.2", "fencer", "s3cret"), said.append).power(5.0)
    (line,) = said
    assert re.fullmatch(
        r"/usr/bin/ipmitool -vv .* chassis power status: exit code 0 after 0\.\d\d s: Chassis Power is on",
        line,
    )


def test_a_call_that_was_cut_off_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(argv: list[str], **_more: object) -> Completed:
        raise ProcessTimedOut(argv, 5.0)

    said: list[str] = []
    monkeypatch.setattr(ipmitool, "run", late)
    found = Ipmitool(Login("10.0.0.2", "fencer", "s3cret"), said.append).power(5.0)
    assert found == Trouble(Kind.CUT, None, "no complete answer within 5.0 s")
    assert said[0].startswith("/usr/bin/ipmitool -vv -I lanplus -C 17 ")
    assert said[0].endswith(" -E chassis power status: killed after 5.0 s")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (0xC0, "if it stays busy, restart the BMC"),
        (0xD4, "give it the role operator there"),
        (0xD6, "enable chassis control in the BMC's firmware firewall"),
        (0xCC, "see the BMC's own log"),
    ],
)
def test_a_refusal_comes_with_advice(code: int, advice: str) -> None:
    assert not_known(Trouble(Kind.REFUSED, code), DEVICE).endswith(f"; {advice}")


def test_the_last_words_are_a_line_of_one_stream() -> None:
    assert last_words(Completed(["x"], 1, "of standard output", "Loading IANA\n")) == "of standard output"
    assert last_words(Completed(["x"], 1, "out", "of standard error")) == "of standard error"


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("x" * 21, "the password has 21 bytes, and IPMI 2.0 allows 20; set a shorter one on the BMC"),
        ("a\0b", "the password has a NUL byte in it; write it into its file as plain text"),
    ],
)
def test_a_password_that_cannot_be_one(secret: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        password.checked(secret)
    assert f"{caught.value}; {caught.value.hint}" == said


@pytest.mark.parametrize(
    ("ask", "hint"),
    [
        (lambda: password.key("what"), "write two digits for each byte"),
        (lambda: password.key("610061"), "set another key on the BMC"),
        (lambda: password.find(Values({"password_script": "'"}, PARAMETERS), no_run), "close the quotation, or name a script"),
        (lambda: password.find(Values({"password_script": "x"}, PARAMETERS), no_run), "run it by hand"),
        (
            lambda: password.find(Values({"password_file": "/proc/none"}, PARAMETERS), no_run),
            "it must exist on every host that may fence",
        ),
        (Values({}, PARAMETERS).require_sound, "see the agent's metadata"),
    ],
)  # fmt: skip
def test_each_no_says_what_to_do(ask, hint: str) -> None:
    with pytest.raises(BackstayError) as caught:
        ask()
    assert caught.value.hint == hint


def no_run(*_argv: object, **_more: object) -> Completed:
    return Completed(["x"], 1, "", "")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble(Kind.SESSION, None, "no reason"), "refused a session and ipmitool does not say why (no reason); check account"),
        (Trouble(Kind.UNCLEAR, None, "odd words"), "ipmitool said about its BMC (10.0.0.2): odd words; try that by hand"),
    ],
)  # fmt: skip
def test_what_ipmitool_says_is_quoted(trouble: Trouble, said: str) -> None:
    assert said in not_known(trouble, DEVICE)


def test_of_two_secrets_no_part_is_left() -> None:
    talk = Conversation(ipmi.AGENT, io.StringIO(), io.StringIO())
    for secret in ("abc", "abcdef", "ab"):
        talk.hide(secret)
    assert talk.without_secrets("is abcdef or abc") == "is [hidden] or [hidden]"


def test_a_defect_after_off_was_seen_leaves_the_reboot_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaks(Bmc):
        def switch(self, wanted, timeout):
            if wanted is Power.ON:
                raise NameError("on")
            return super().switch(wanted, timeout)

    monkeypatch.setattr(ipmi, "bmc_of", lambda _call, _device: Breaks(Power.ON, Power.OFF, Power.OFF))
    monkeypatch.setattr(actions, "pause", lambda _: None)
    spoken = Spoken(ipmi.AGENT, GOOD + "action=reboot\n")
    assert (spoken.code, "the agent itself is broken (NameError: on)" in spoken.err) == (0, True)


class Ticking:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def wait(self, seconds: float) -> None:
        self.now += seconds


class Ignoring:
    """A BMC whose looks cost a quarter of a second, and that ignores or does not answer commands."""

    def __init__(self, time: Ticking, command: Trouble | None) -> None:
        self.time, self.command, self.sent = time, command, 0
        self.timeouts: list[float] = []

    def power(self, timeout: float) -> Power | Trouble:
        self.timeouts.append(timeout)
        self.time.wait(0.25)
        return Power.ON

    def switch(self, _wanted: Power, _timeout: float) -> Trouble | None:
        self.sent += 1
        self.time.wait(0.25)
        return self.command


def test_three_commands_without_an_answer_are_enough() -> None:
    time = Ticking()
    bmc = Ignoring(time, Trouble(Kind.UNANSWERED))
    reach(Power.OFF, bmc, Limits(30, 10, 20, 10), lambda: time.now, time.wait)
    assert bmc.sent == 3


def test_after_the_time_for_an_effect_the_end_comes_at_once() -> None:
    state = State(Power.OFF).switched(None, 0.0, 0.0).looked(Power.ON, 19.0, 20.0)
    assert decide(state, Limits(30, 10, 20, 10)) == GiveUp(None, accepted=True)
    assert decide(State(Power.OFF), Limits(30, 10, 20, 10)) == Look(0.0)


def test_how_long_was_waited_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Ticking()
    monkeypatch.setattr(actions.time, "monotonic", lambda: time.now + 1000)
    monkeypatch.setattr(actions, "pause", time.wait)
    said = actions.bring(Power.OFF, Ignoring(time, None), DEVICE, Limits(30, 10, 20, 10))
    assert "but 21 s later the power is still on" in said


class Busy:
    """A BMC that is busy, each answer after nine seconds."""

    def __init__(self, time: Ticking) -> None:
        self.time, self.timeouts = time, []

    def power(self, timeout: float) -> Trouble:
        self.timeouts.append(timeout)
        self.time.wait(min(timeout, 9.0))
        return Trouble(Kind.REFUSED, 0xC0)


def test_a_monitor_ends_within_twice_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """completeness_devices.py counts on it."""
    time = Ticking()
    bmc = Busy(time)
    monkeypatch.setattr(ipmi, "bmc_of", lambda _call, _device: bmc)
    monkeypatch.setattr(actions, "Deadline", lambda seconds: Deadline(seconds, lambda: time.now))
    monkeypatch.setattr(actions, "pause", lambda seconds: time.wait(seconds + 3.0))
    assert Spoken(ipmi.AGENT, GOOD + "action=monitor\nlogin_timeout=10\n").code == 1
    assert bmc.timeouts == [10.0, 6.0]
    assert time.now <= 20.0


def test_an_off_without_any_password_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipmi, "bmc_of", lambda _call, _device: Bmc(Power.ON, Power.OFF))
    monkeypatch.setattr(actions, "pause", lambda _: None)
    spoken = Spoken(ipmi.AGENT, GOOD.replace("password=s3cret word\n", "") + "action=off\n")
    assert (spoken.code, len(spoken.errors)) == (0, 1)
    assert "no password is given, which only an account with an empty one allows" in spoken.err


def test_a_process_that_was_killed_had_said_nothing_unless_told() -> None:
    late = ProcessTimedOut(["x"], 1.0)
    assert (late.stdout, late.stderr) == ("", "")
