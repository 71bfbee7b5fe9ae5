# SPDX-License-Identifier: GPL-2.0-or-later
"""More of what no rehearsal of fence_backstay_ipmi can see (bench/mutation-records.md): edges, hints, what goes wrong twice."""

from __future__ import annotations

import dataclasses
import io
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from backstay import __version__
from backstay.errors import BadInput, CannotAsk
from backstay.fencing import actions, ipmi, parameters, password, protocol
from backstay.fencing.ipmi_parameters import PARAMETERS
from backstay.fencing.parameters import Values
from backstay.fencing.power import GiveUp, Limits, Look, State, decide
from backstay.fencing.protocol import Conversation
from backstay.fencing.wording import Device
from backstay.host import ipmitool, process
from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.ipmitool import Ipmitool, Login, last_words
from backstay.host.process import Completed, ProcessTimedOut, ToolMissing
from tests.unit.fencing.test_protocol import GOOD, Bmc, Spoken

CUT = Trouble(Kind.CUT, None, "no complete answer")


@pytest.mark.parametrize(("login", "power", "call"), [("5", "20", 10.0), ("5", "6", 5.0), ("12", "20", 12.0)])
def test_the_limits_of_an_off(login: str, power: str, call: float) -> None:
    given = {"login_timeout": login, "power_timeout": power, "stonith_status_sleep": "0.3"}
    limits = actions.limits_of(SimpleNamespace(values=Values(given, PARAMETERS)))
    wanted = (float(login) + float(power), float(login), float(power), call, 0.3)
    assert (limits.total, limits.patience, limits.power, limits.call, limits.poll) == wanted


def test_trouble_lasts_from_its_first_call_to_the_first_good_one() -> None:
    state = State(Power.OFF).looked(CUT, 3.0, 4.0)
    assert state.troubled_since == 3.0
    assert state.looked(CUT, 5.0, 6.0).troubled_since == 3.0
    assert state.switched(CUT, 5.0, 6.0).troubled_since == 3.0
    assert state.looked(Power.ON, 5.0, 6.0).troubled_since is None
    assert state.switched(None, 5.0, 6.0).troubled_since is None
    assert State(Power.OFF).switched(CUT, 7.0, 8.0).troubled_since == 7.0


def test_what_was_seen_before_a_command_says_nothing_about_its_effect() -> None:
    seen = State(Power.OFF).looked(Power.ON, 0.0, 1.0)
    assert (State(Power.OFF).now, seen.seen, seen.switched(None, 1.0, 2.0).seen) == (0.0, Power.ON, None)
    assert seen.looked(CUT, 1.0, 2.0).seen is None


@pytest.mark.parametrize(("now", "step"), [(14.9, Look), (15.0, GiveUp)])
def test_trouble_is_counted_from_its_beginning(now: float, step: type) -> None:
    state = State(Power.OFF).looked(Trouble(Kind.SILENT), 5.0, 6.0).looked(Trouble(Kind.SILENT), 7.0, now)
    assert isinstance(decide(state, Limits(30, 10, 20, 10)), step)


def test_the_longest_name_and_key_are_taken() -> None:
    ipmi.check(Values({"ip": "10.0.0.2", "username": "x" * 16, "password": "s3cret"}, PARAMETERS))
    assert password.key("61" * 20) == "a" * 20
    assert (password.key("6100"), password.key("6158")) == ("a", "aX")
    assert password.checked("x" * 20) == "x" * 20
    assert password.checked("\udcfc" * 20) == "\udcfc" * 20
    for name in ("x" * 17, "ü" * 8 + "x", "\udcfc" + "x" * 16):
        with pytest.raises(BadInput, match=r"the username has 17 bytes") as caught:
            ipmi.check(Values({"ip": "10.0.0.2", "username": name}, PARAMETERS))
    assert caught.value.hint == "create an account with a shorter one on the BMC"
    with pytest.raises(BadInput, match="has 21 bytes"):
        password.key("61" * 21)


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ({"lanplus": "0"}, "remove lanplus"),
        ({"privlvl": "user"}, "privlvl=operator is enough"),
        ({"privlvl": "callback"}, "privlvl=operator is enough"),
    ],
)
def test_a_setting_that_cannot_work_is_told_with_what_to_do(setting: dict[str, str], hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        ipmi.check(
            Values({"ip": "10.0.0.2", "username": "fencer", "password": "s3cret"} | setting, PARAMETERS)
        )
    assert caught.value.hint == hint


def test_an_action_that_is_none_is_told_from_those_that_are() -> None:
    said = Spoken(ipmi.AGENT, GOOD + "action=explode\n").err
    assert "unsupported action 'explode'; this agent offers on, off, reboot, " in said


def test_what_is_not_given_is_told_with_what_to_do() -> None:
    with pytest.raises(BadInput, match="no password is given") as caught:
        password.require_given(Values({}, PARAMETERS))
    assert caught.value.hint == "set password_file, password_script or password"
    assert ToolMissing(["x"], "no").hint == "install the package that brings it"


def test_the_version_is_one_line() -> None:
    assert Spoken(ipmi.AGENT, "action=version\n").out == f"fence_backstay_ipmi {__version__}\n"


def test_the_words_for_yes_and_no() -> None:
    assert {"1", "yes", "on", "true"} == parameters.TRUE
    assert {"0", "no", "off", "false"} == parameters.FALSE


def test_silence_is_told_with_its_exit_code() -> None:
    assert last_words(Completed(["x"], 7, "\n", "Loading IANA PEN Registry...\n")) == "nothing (exit code 7)"


def test_a_command_that_was_cut_off_is_a_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(argv: list[str], **_more: object) -> Completed:
        raise ProcessTimedOut(argv, 5.0)

    monkeypatch.setattr(ipmitool, "run", late)
    bmc = Ipmitool(Login("10.0.0.2", "fencer", "s3cret"))
    for found in (bmc.switch(Power.OFF, 5.0), bmc.cycle(5.0), bmc.guid(5.0)):
        assert found == Trouble(Kind.CUT, None, "no complete answer within 5.0 s")


def test_a_command_that_is_refused_is_a_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cycle that counted as accepted would leave a host alive that is called dead."""
    said = "Set Chassis Power Control to Cycle failed: Insufficient privilege level"
    monkeypatch.setattr(ipmitool, "run", lambda argv, **_: Completed(argv, 1, "", said))
    bmc = Ipmitool(Login("10.0.0.2", "fencer", "s3cret"))
    for found in (bmc.cycle(5.0), bmc.switch(Power.OFF, 5.0)):
        assert isinstance(found, Trouble)
        assert (found.kind, found.code) == (Kind.REFUSED, 0xD4)


def test_a_script_gets_its_time_and_nothing_else_does() -> None:
    assert password.longest_wait(Values({"password_script": "x"}, PARAMETERS)) == password.SCRIPT_TIME
    assert password.longest_wait(Values({"password_file": "x"}, PARAMETERS)) == 0.0


def test_a_password_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    def missing(argv: list[str], **_more: object) -> Completed:
        raise ToolMissing(argv, "No such file or directory")

    with pytest.raises(CannotAsk) as caught:
        password.find(Values({"password_script": "/none"}, PARAMETERS), missing)
    assert caught.value.hint == "it must be there, and executable, on every host that may fence"
    with pytest.raises(CannotAsk) as caught:
        password.find(Values({"password_file": str(tmp_path)}, PARAMETERS), missing)
    assert caught.value.hint == "write the password into a file, or name a password_script that prints it"
    file = tmp_path / "password"
    file.write_bytes(b"\xfc\n")
    assert password.find(Values({"password_file": str(file)}, PARAMETERS), missing) == "\udcfc"


def test_each_login_has_the_patience_that_is_set() -> None:
    given = {"ip": "10.0.0.2", "username": "x", "password": "s3cret", "ipmitool_timeout": "7"}
    given["privlvl"] = "administrator"
    values, traced = Values(given, PARAMETERS), []
    way = ipmi.way_to(values, ipmi.device_of(values), lambda _: None, traced.append, lambda: None)
    assert " -L ADMINISTRATOR -N 7 " in " ".join(way._way.argv(("chassis",)))


@pytest.mark.parametrize("verbose", [False, True])
def test_a_trace_is_one_line_without_secrets_and_only_where_it_is_wanted(verbose: bool) -> None:
    err = io.StringIO()
    talk = Conversation(ipmi.AGENT, io.StringIO(), err)
    talk.begin({"action": "status", "password": "s3cret", "verbose": str(int(verbose))})
    talk.trace("asked\nwith s3cret")
    assert err.getvalue() == ("fence_backstay_ipmi: asked with [hidden]\n" if verbose else "")
    talk.fail("no")
    talk.warn("besides")
    talk.tell()
    assert err.getvalue().endswith("fence_backstay_ipmi: no; besides\n")


def test_before_there_are_settings_nothing_is_secret_and_all_is_said() -> None:
    out, err = io.StringIO(), io.StringIO()
    talk = Conversation(ipmi.AGENT, out, err)
    assert talk.action == ""
    talk.trace("not verbose")
    talk.say("not quiet")
    talk.fail("not good")
    talk.tell()
    assert out.getvalue() == "not quiet\n"
    assert err.getvalue() == "fence_backstay_ipmi: not good\n"


class Full(io.StringIO):
    """A standard output that nobody reads any more."""

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    def fileno(self) -> int:
        return 77


def test_output_that_nobody_takes_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or Python would end with 120 for it; the real thing is in test_fence_backstay_ipmi.py."""
    calls: list[tuple[object, ...]] = []
    fake = SimpleNamespace(
        devnull="/dev/null",
        O_WRONLY=1,
        open=lambda *given: calls.append(given) or 5,
        dup2=lambda *given: calls.append(given),
        close=lambda *given: calls.append(given),
    )
    monkeypatch.setattr(protocol, "os", fake)
    talk = Conversation(ipmi.AGENT, Full(), io.StringIO())
    talk.hand_over()
    nowhere = [("/dev/null", 1), (5, 77), (5,)]
    assert calls == nowhere
    with pytest.raises(Exception, match="what was asked for cannot be written: Broken pipe"):
        talk.document("<resource-agent/>")
    assert calls == nowhere * 2


def test_nothing_is_read_where_standard_input_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol.sys, "stdin", None)
    assert protocol.read_stdin() == b""


def test_what_is_written_down_stays_as_it_is() -> None:
    """One state follows the other; a step that changed one in place would change what was decided from it."""
    for one in (State(Power.OFF), CUT, Login("10.0.0.2", "fencer", "s3cret"), PARAMETERS[0]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, dataclasses.fields(one)[0].name, None)


def test_a_secret_is_hidden_in_the_form_of_a_traceback() -> None:
    talk = Conversation(ipmi.AGENT, io.StringIO(), io.StringIO())
    talk.hide("a\nb")
    assert talk.without_secrets(repr("a\nb") + " 'a") == "'[hidden]' 'a"


def test_one_suite_is_named_alone() -> None:
    device = Device("10.0.0.2", 623, "fencer", "operator", 17)
    assert (device.suites, device.host, device.fallback) == ("cipher suite 17", "", 0)


def test_a_reboot_whose_on_is_refused_claims_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses(Bmc):
        def switch(self, wanted: Power, timeout: float) -> Trouble | None:
            return Trouble(Kind.REFUSED, 0xD6) if wanted is Power.ON else super().switch(wanted, timeout)

    monkeypatch.setattr(ipmi, "bmc_of", lambda _call, _device: Refuses(Power.ON, Power.OFF, Power.OFF))
    monkeypatch.setattr(actions, "pause", lambda _: None)
    spoken = Spoken(ipmi.AGENT, GOOD + "action=reboot\n")
    assert (spoken.code, spoken.out) == (0, "")
    assert "off was seen, so the reboot counts as done, but " in spoken.err


def test_an_answer_that_came_late_is_slow() -> None:
    """Its HMAC does not fit, but the password is right: the BMC is asked again."""
    late = "RAKP 2 HMAC is invalid\nError: no response from RAKP 3 message\n"
    assert ipmitool.read_trouble(Completed(["x"], 1, "", late), 0.2, 10.0).kind is Kind.SLOW


def test_what_a_process_is_given() -> None:
    assert [Completed(["x"], code, "", "").ok for code in (0, 1, -9)] == [True, False, False]
    assert process.SIGKILL == signal.SIGKILL
    assert process.ENVIRONMENT == {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    for error in (ProcessTimedOut(["x", "y"], 1.0), ToolMissing(["x", "y"], "no")):
        assert error.argv == ("x", "y")


@pytest.mark.parametrize(("said", "text"), [(None, ""), ("half", "half"), (b"h\xffalf", "h\ufffdalf")])
def test_what_is_left_of_a_process_that_was_killed(said: bytes | str | None, text: str) -> None:
    """The runner's own exception carries bytes, text or nothing (subprocess.TimeoutExpired)."""
    assert process._text(said) == text


def test_a_role_that_is_refused_slowly_is_a_role() -> None:
    """A reason after the colon is the BMC's word; only without one does the time tell."""
    words = "Set Session Privilege Level to OPERATOR failed"
    for text, waited, kind in (
        (f"{words}: Insufficient privilege level", 20.0, Kind.ROLE),
        (words, 0.2, Kind.ROLE),
        (words, 20.0, Kind.UNANSWERED),
    ):
        assert ipmitool.read_trouble(Completed(["x"], 1, "", text), waited, 10.0).kind is kind
