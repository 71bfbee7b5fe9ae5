# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard: an exit code and one line for every failure, no secret anywhere, and the actions' meaning."""

from __future__ import annotations

import dataclasses
import io
from types import SimpleNamespace

import pytest

from backstay.errors import CannotAsk
from backstay.fencing import actions, ipmi
from backstay.fencing.agent import Call
from backstay.fencing.inputs import from_lines
from backstay.fencing.metadata import render
from backstay.fencing.parameters import Values
from backstay.fencing.protocol import converse
from backstay.host.bmc import Kind, Power, Trouble

GOOD = "ip=10.0.0.2\nusername=fencer\npassword=s3cret word\nnodename=n2\nplug=n2\n"


class Spoken:
    """What one run said."""

    def __init__(self, agent, text: str = "", argv: tuple[str, ...] = ()) -> None:
        out, err = io.StringIO(), io.StringIO()
        self.log: list[str] = []
        self.code = converse(
            agent, argv, text.encode, out, err, lambda _name, line, _action: self.log.append(line)
        )
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def errors(self) -> list[str]:
        return self.err.splitlines()


def agent_that(run):
    return dataclasses.replace(ipmi.AGENT, run=run)


def test_an_understood_failure_is_one_line_and_one():
    def fail(call: Call) -> int:
        raise CannotAsk("the moon is\nnot there", hint="wait")

    spoken = Spoken(agent_that(fail), GOOD + "action=off\n")
    assert (spoken.code, spoken.errors) == (1, ["fence_backstay_ipmi: the moon is not there; wait"])
    assert spoken.log == []


def test_a_defect_is_one_line_and_a_traceback_without_the_password():
    def fail(call: Call) -> int:
        raise NameError(f"what is {call.values.text('password')}")

    spoken = Spoken(agent_that(fail), GOOD + "action=off\n")
    assert spoken.code == 1
    assert len(spoken.errors) == 1
    assert "off failed because the agent itself is broken (NameError: what is [hidden])" in spoken.err
    assert any("NameError" in line for line in spoken.log)
    assert "s3cret" not in spoken.err + "".join(spoken.log)


def test_a_password_that_was_found_later_is_hidden_too():
    def fail(call: Call) -> int:
        call.hide("f0und")
        raise ValueError("f0und and more")

    assert "f0und" not in Spoken(agent_that(fail), GOOD).err


def test_a_settled_answer_survives_a_defect():
    def fail(call: Call) -> int:
        call.settle(0)
        raise NameError("on")

    spoken = Spoken(agent_that(fail), GOOD + "action=reboot\n")
    assert spoken.code == 0
    assert "broken" in spoken.err


@pytest.mark.parametrize("words", ["imed out", "imeout"])
def test_a_defect_does_not_look_like_a_lapse_of_time(words):
    def fail(call: Call) -> int:
        raise NameError("x")

    assert words not in Spoken(agent_that(fail), GOOD).err


@pytest.mark.parametrize("text", ["action=metadata\n", "action=meta-data\n", "option=metadata\n"])
def test_metadata_needs_nothing(text):
    spoken = Spoken(agent_that(None), text)
    assert (spoken.code, spoken.err) == (0, "")
    assert spoken.out == render(ipmi.AGENT)


def test_metadata_by_option():
    assert Spoken(agent_that(None), argv=("-o", "metadata")).out == render(ipmi.AGENT)


def test_the_metadata_are_as_recorded(golden):
    golden("fence_backstay_ipmi.xml", render(ipmi.AGENT))


def test_help_and_version():
    assert "--password-script" in Spoken(agent_that(None), argv=("--help",)).out
    assert Spoken(agent_that(None), argv=("-V",)).out.startswith("fence_backstay_ipmi ")
    assert "--ipport" in Spoken(agent_that(None), "action=manpage\n").out


def test_an_unknown_action_says_so_in_words_that_pacemaker_knows():
    spoken = Spoken(ipmi.AGENT, GOOD + "action=cycle\n")
    assert spoken.code == 1
    assert "unsupported action 'cycle'" in spoken.err


def test_an_unknown_option_is_one_line():
    spoken = Spoken(ipmi.AGENT, argv=("--nonsense",))
    assert (spoken.code, len(spoken.errors)) == (1, 1)


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ("", ""),
        ("unknown_key=1\n", ""),
        ("cipher=3\nprivlvl=administrator\nlanplus=1\n", ""),
        ("ip=\n", "ip is not given"),
        ("username=\n", "username is not given"),
        ("password=\n", "no password is given"),
        ("password=\npassword_file=/etc/x\n", ""),
        ("password=123456789012345678901\n", "the password has 21 bytes"),
        ("cipher=0\n", "cipher must be a number from 1 to 254, not '0'"),
        ("privlvl=user\n", "the role user may not switch power"),
        ("lanplus=0\n", "lanplus=0 (IPMI 1.5) is not offered"),
        ("method=twice\n", "method must be onoff or cycle, not 'twice'"),
        ("method=cycle\n", ""),
        ("cipher_fallback=1\n", "cipher_fallback must be 3 or none, not '1'"),
        ("hexadecimal_kg=616263\n", ""),
        ("hexadecimal_kg=xyz\n", "hexadecimal_kg is not hexadecimal"),
        ("hexadecimal_kg=610062\n", "hexadecimal_kg has a zero byte inside"),
        (
            "power_timeout=soon\n",
            "the parameter 'Seconds for a power command to take effect' must be a number",
        ),
    ],
)
def test_validation(more, wrong):
    spoken = Spoken(ipmi.AGENT, GOOD + "action=validate-all\n" + more)
    assert spoken.code == (1 if wrong else 0)
    assert wrong in spoken.err
    assert len(spoken.errors) == (1 if wrong else 0)
    assert "s3cret" not in spoken.err


@pytest.mark.parametrize(("plug", "listed"), [("plug=n2\n", "n2,\n"), ("port=n3\nplug=\n", ""), ("", "")])
def test_list_names_the_host_that_is_configured(plug, listed):
    spoken = Spoken(ipmi.AGENT, f"ip=1\nusername=x\npassword=y\naction=list\n{plug}")
    assert (spoken.code, spoken.out) == (0, listed)


class Bmc:
    """A switch whose answers are given; it has no delays of its own."""

    def __init__(self, *looks: Power | Trouble, command: Trouble | None = None) -> None:
        self.looks = list(looks)
        self.command = command
        self.sent: list[Power] = []
        self.cycled = 0

    def cycle(self, timeout: float) -> Trouble | None:
        self.cycled += 1
        return self.command

    def power(self, timeout: float) -> Power | Trouble:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def switch(self, wanted: Power, timeout: float) -> Trouble | None:
        self.sent.append(wanted)
        return self.command


@pytest.fixture
def with_bmc(monkeypatch):
    def run(bmc: Bmc, text: str, pause=lambda seconds: None) -> Spoken:
        monkeypatch.setattr(ipmi, "bmc_of", lambda call, device: bmc)
        monkeypatch.setattr(actions, "pause", pause)
        return Spoken(ipmi.AGENT, GOOD + text)

    return run


OFF, ON = Power.OFF, Power.ON
DENIED = Trouble(Kind.REFUSED, 0xD4)


@pytest.mark.parametrize(
    ("action", "bmc", "code", "sent"),
    [
        ("status", Bmc(ON), 0, []),
        ("status", Bmc(OFF), 2, []),
        ("status", Bmc(DENIED), 1, []),
        ("monitor", Bmc(ON), 0, []),
        ("monitor", Bmc(OFF), 0, []),
        ("monitor", Bmc(Trouble(Kind.PASSWORD)), 1, []),
        ("off", Bmc(OFF), 0, []),
        ("off", Bmc(ON, OFF), 0, [OFF]),
        ("off", Bmc(ON, command=DENIED), 1, [OFF]),
        ("on", Bmc(OFF, ON), 0, [ON]),
        ("on", Bmc(OFF, command=DENIED), 1, [ON]),
        ("reboot", Bmc(ON, OFF, OFF, ON), 0, [OFF, ON]),
        ("reboot", Bmc(OFF, OFF, ON), 0, [ON]),
        ("reboot", Bmc(ON, command=DENIED), 1, [OFF]),
        ("reboot", Bmc(OFF, command=DENIED), 0, [ON]),
        ("OFF", Bmc(ON, OFF), 0, [OFF]),
    ],
)
def test_what_an_action_does(with_bmc, action, bmc, code, sent):
    spoken = with_bmc(bmc, f"action={action}\n")
    assert (spoken.code, bmc.sent) == (code, sent)
    assert len(spoken.errors) == (0 if code in (0, 2) and bmc.command is None else 1)


@pytest.mark.parametrize(
    ("bmc", "code", "cycled", "sent"),
    [
        (Bmc(ON, OFF, ON), 0, 1, []),
        (Bmc(ON, OFF, OFF, ON), 0, 1, [ON]),
        (Bmc(OFF, OFF, ON), 0, 0, [ON]),
        (Bmc(ON, command=DENIED), 1, 1, []),
        (Bmc(ON), 1, 1, [OFF]),
    ],
)
def test_a_cycle_counts_when_off_was_seen(with_bmc, monkeypatch, bmc, code, cycled, sent):
    clock = iter(range(0, 1000, 1))
    monkeypatch.setattr(actions.time, "monotonic", lambda: next(clock))
    spoken = with_bmc(bmc, "action=reboot\nmethod=cycle\n")
    assert (spoken.code, bmc.cycled, bmc.sent) == (code, cycled, sent)


@pytest.mark.parametrize(("looks", "listed"), [(ON, "n2,,ON\n"), (OFF, "n2,,OFF\n")])
def test_list_status_tells_the_power(with_bmc, looks, listed):
    spoken = with_bmc(Bmc(looks), "action=list-status\n")
    assert (spoken.code, spoken.out) == (0, listed)


@pytest.mark.parametrize(
    ("given", "address", "host"),
    [
        ("ip=10.0.0.1\nplug=n2", "10.0.0.1", "n2"),
        ("ip=10.0.0.1\nnodename=n3", "10.0.0.1", "n3"),
        ("plug=10.0.0.9\nport_as_ip=1\nnodename=n3", "10.0.0.9", "n3"),
        ("ip=10.0.0.1\nport_as_ip=1", "10.0.0.1", ""),
    ],
)
def test_which_bmc_is_meant(given, address, host):
    values = Values(from_lines(f"username=x\n{given}\n".encode()), ipmi.PARAMETERS)
    device = ipmi.device_of(values)
    assert (device.address, device.host) == (address, host)


@pytest.mark.parametrize(
    ("given", "fallback"),
    [
        ("", 3),
        ("cipher=17\n", 3),
        ("cipher=3\n", 0),
        ("cipher_fallback=none\n", 0),
        ("cipher_fallback=8\n", 3),
    ],
)
def test_the_second_cipher_suite(given, fallback):
    assert ipmi.fallback_of(Values(from_lines(given.encode()), ipmi.PARAMETERS)) == fallback


def test_without_an_action_it_is_a_reboot(with_bmc):
    bmc = Bmc(ON, OFF, OFF, ON)
    assert with_bmc(bmc, "").code == 0
    assert bmc.sent == [OFF, ON]


def test_a_failed_on_of_a_reboot_is_a_warning(with_bmc):
    spoken = with_bmc(Bmc(OFF, command=DENIED), "action=reboot\n")
    assert spoken.code == 0
    assert "off was seen, so the reboot counts as done, but n2 was not powered on" in spoken.err
    assert "IPMI completion code 0xd4: insufficient privilege" in spoken.err


@pytest.mark.parametrize(
    ("action", "seen", "sent"),
    [("off", (ON, OFF), [OFF]), ("on", (OFF, ON), [ON]), ("reboot", (ON, OFF, OFF, ON), [OFF, ON])],
)
def test_a_typing_error_does_not_keep_a_host_alive(with_bmc, action, seen, sent):
    bmc = Bmc(*seen)
    spoken = with_bmc(bmc, f"action={action}\npower_timeout=soon\nlanplus=perhaps\n")
    assert (spoken.code, bmc.sent) == (0, sent)
    assert "to take effect' must be a number from 1 to 600, not 'soon'; the default is used" in spoken.err


def test_a_failure_is_one_line_whatever_else_is_to_be_known(with_bmc):
    """The reason comes first: Pacemaker's log keeps some 200 characters of it."""
    spoken = with_bmc(Bmc(ON, command=DENIED), "action=off\npower_timeout=soon\nlanplus=perhaps\npassword=\n")
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert spoken.err.startswith("fence_backstay_ipmi: n2 was not powered off: ")
    for note in (
        "not 'soon'; the default is used",
        "lanplus must be 1 or 0",
        "no password is given, which only",
    ):
        assert note in spoken.err


def test_what_the_configuration_is_told_has_the_name_of_the_parameter():
    wrong = Values(from_lines(b"power_timeout=soon"), ipmi.PARAMETERS).wrong
    assert wrong == ("power_timeout must be a number from 1 to 600, not 'soon'",)


def test_nothing_is_said_to_be_tried_that_is_not():
    spoken = Spoken(ipmi.AGENT, "username=x\naction=off\n")
    assert (spoken.code, len(spoken.errors), "is tried" in spoken.err) == (1, 1, False)
    assert "ip is not given" in spoken.err


def test_who_reads_no_errors_does_not_keep_a_host_alive(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(ipmi, "bmc_of", lambda call, device: Bmc(ON, OFF))
    given = f"{GOOD}action=off\nlanplus=perhaps\n".encode()
    assert converse(ipmi.AGENT, (), lambda: given, io.StringIO(), Closed(), print) == 0


@pytest.mark.parametrize("setting", [p.name for p in ipmi.PARAMETERS if "timeout" in p.name])
@pytest.mark.parametrize("action", ["off", "monitor"])
def test_a_bad_setting_does_not_make_a_refusal_look_like_a_lapse_of_time(with_bmc, action, setting):
    """Pacemaker searches a failed agent's stderr for these words, whatever their case."""
    spoken = with_bmc(Bmc(ON, command=DENIED), f"action={action}\n{setting}=soon\n")
    assert spoken.code == 1
    assert not any(word in spoken.err.lower() for word in ("timeout", "timed out"))


def test_what_is_missing_has_no_default(with_bmc):
    spoken = with_bmc(Bmc(ON, OFF), "action=off\nip=\n")
    assert (spoken.code, spoken.errors) == (1, ["fence_backstay_ipmi: ip is not given"])


@pytest.mark.parametrize(
    ("action", "looks", "waits"),
    [("off", (OFF,), [7]), ("reboot", (OFF, ON), [7, 3]), ("on", (ON,), [])],
)
def test_delays_that_an_admin_asked_for(monkeypatch, with_bmc, action, looks, waits):
    waited = []
    spoken = with_bmc(Bmc(*looks), f"action={action}\ndelay=7\npower_wait=3\n", waited.append)
    assert spoken.code == 0
    assert [seconds for seconds in waited if seconds] == waits


def test_everything_fits_into_the_time_that_pacemaker_gives():
    values = Values({}, ipmi.PARAMETERS)
    limits = actions.limits_of(SimpleNamespace(values=values))
    assert (limits.total, limits.patience, limits.power) == (30, 10, 20)
    assert limits.total + 1 + actions.ON_AFTER_OFF.total + 1 < 0.8 * 60


def test_a_busy_bmc_is_asked_again_by_a_monitor(with_bmc):
    waited = []
    spoken = with_bmc(
        Bmc(Trouble(Kind.REFUSED, 0xC0), Trouble(Kind.SLOW), ON), "action=monitor\n", waited.append
    )
    assert (spoken.code, waited) == (0, [1.0, 1.0])


def test_quiet_and_verbose(with_bmc):
    assert with_bmc(Bmc(ON), "action=status\nquiet=1\n").out == ""
    assert with_bmc(Bmc(ON), "action=status\n").out == "Status: ON\n"


def test_a_traceback_goes_to_a_log_that_nobody_waits_for(monkeypatch):
    from backstay.fencing import protocol
    from backstay.host import syslog

    sent = []
    monkeypatch.setattr(syslog, "send", lambda *said, fields: sent.append((*said, fields)))
    protocol.to_system_log("fence_backstay_ipmi", "Traceback", "off")
    ((priority, tag, text, fields),) = sent
    assert (priority, text) == (3, "Traceback")
    assert (fields["BACKSTAY_ACTION"], fields["BACKSTAY_CODE"], bool(fields["BACKSTAY_HOST"])) == (
        "off",
        "1",
        True,
    )
    assert tag.startswith("fence_backstay_ipmi[")
