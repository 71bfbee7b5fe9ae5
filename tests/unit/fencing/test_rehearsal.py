# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rehearsal calls wrong: agents that are broken in each way, against a BMC without a process."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from backstay.fencing.ipmi_rehearsal import IPMI, KEYED, STEPS, key_of, parameters, signature
from backstay.fencing.rehearsal import Step, rehearse, wrong


@dataclass
class Said:
    code: int | None
    out: str = ""
    err: str = ""

    @property
    def reason(self) -> str:
        return self.err or self.out or "it said nothing"


class Bmc:
    """A chassis in memory with the two faults that a rehearsal sets."""

    address, port, user, password = "127.0.0.1", 9000, "rehearsal", "secret"
    password_file = "/simulated/password"

    def __init__(self) -> None:
        self.state = "on"
        self.sent: list[str] = []
        self.faults: set[str] = set()
        self.value = ""

    def power(self) -> str:
        return self.state

    def become(self, state: str) -> None:
        self.state = state

    def commands(self) -> list[str]:
        return list(self.sent)

    def left(self) -> int:
        return 0

    def fault(self, name: str, value: str | None) -> None:
        (self.faults.discard if value is None else self.faults.add)(name)
        self.value = value or ""


REFUSED = "insufficient privilege"


def refusal(steps: tuple[Step, ...], action: str, given: dict[str, str]) -> str:
    """What a good agent says to settings that cannot work, as a step has it; nothing for those that can."""
    return next(
        (
            step.says
            for step in steps
            if (step.action, step.code, step.fault) == (action, 1, "")
            and step.settings
            and all(given.get(name, "") == value for name, value in step.settings)
        ),
        "",
    )


class Agent:
    """An agent that is right, but for what a test breaks in it."""

    def __init__(self, bmc: Bmc, broken: str = "") -> None:
        self.bmc = bmc
        self.broken = broken
        self.given: list[dict[str, str]] = []

    def run(self, agent, action, given, timeout) -> Said:
        self.given.append(dict(given))
        if self.broken == "syntax" or (self.broken == "name" and action == "off"):
            return Said(
                1, err="SyntaxError: invalid syntax" if self.broken == "syntax" else "NameError: name 'x'"
            )
        if self.broken == "hangs" and action == "off":
            return Said(None, err="no end within 60 s")
        if action == "no-action":
            return Said(1, err="unsupported action 'no-action'")
        if action == "metadata":
            return Said(0, "" if self.broken == "unknown" else '<action name="off" />')
        refused = refusal((*STEPS, KEYED), action, given)
        if refused and self.broken != "careless":
            return Said(1, err=refused)
        if action in ("list", "list-status"):
            return Said(
                0, "" if self.broken == "nameless" else "rehearsal," + ",ON" * (action == "list-status")
            )
        if action == "validate-all":
            return Said(0)
        if action in ("monitor", "status"):
            return self.look(action)
        if self.bmc.faults & {"drop", "drop-control"}:
            believes = self.broken == ("ghost" if "drop" in self.bmc.faults else "hopeful")
            return Said(0 if believes else 1, err="it does not answer")
        if "dies" in self.bmc.faults:
            return Said(0 if self.broken == "trusts-the-dead" else 1, err="whether it is off is not known")
        if "codes" in self.bmc.faults and self.broken == "gives-up":
            return Said(1, err="it was busy")
        if "lost-answer" in self.bmc.faults and self.broken == "wants-an-answer":
            return Said(1, err="no answer")
        if self.broken == "pedantic" and given.get("stonith_status_sleep") == "often":
            return Said(1, err="stonith_status_sleep must be a number")
        if "maxsess" in self.bmc.faults and self.broken == "once":
            return Said(1, err="no session slot free")
        for state in {"reboot": ("off", "on")}.get(action, (action,)):
            done = self.switch(state, action)
            if done is not None:
                return done
        return Said(0)

    def look(self, action: str) -> Said:
        if "password" in self.bmc.faults or self.given[-1].get("username") == "stranger":
            who = (
                "has no account stranger" if self.given[-1].get("username") == "stranger" else "the password"
            )
            return Said(
                1, err=f"it {who}" if "no" in who else f"it does not accept {who}" * (self.broken != "mute")
            )
        if "busy" in self.bmc.faults and self.broken == "hasty-look":
            return Said(1, err="busy")
        if "maxsess" in self.bmc.faults:
            return Said(1, err="no session slot free")
        if "fail-get" in self.bmc.faults:
            return Said(2 if self.broken == "guesses" else 1, err=REFUSED)
        if self.given[-1].get("verbose") == "1":
            shown = self.bmc.password if self.broken == "shows" else "[hidden]"
            return Said(0, "Status: ON", f"asked with {shown}")
        dark = self.bmc.state == "off" and action == "status" and self.broken != "blind"
        return Said(2 if dark else 0)

    def switch(self, state: str, action: str) -> Said | None:
        if self.bmc.state == state and self.broken != "eager":
            return None
        if self.broken == "idle" or (self.broken == "reboots-never" and action == "reboot"):
            return None
        if self.broken == "hasty" and "delay-off" in self.bmc.faults:
            return Said(1, err="still on")
        if self.broken == "no-fallback" and self.given[-1].get("cipher") == "16":
            return Said(1, err="does not offer cipher suite 16")
        if state == "on" and "fail-on" in self.bmc.faults and self.given[-1].get("method") != "cycle":
            return Said(1, err="on was refused") if self.broken == "pedant" else None
        cycled = "quick-cycle" in self.bmc.faults
        if cycled and self.broken == "cycles-only":
            return Said(1, err="timed out")
        self.bmc.sent.append("cycle" if self.broken == "cycles-off" and action == "off" else state)
        if self.broken == "deaf-reboot" and action == "reboot":
            return None
        if self.bmc.faults & {"fail-set", "ignore-set"} and self.bmc.value != "1":
            return self.refused()
        if "ignore-set" in self.bmc.faults and self.broken == "once-is-enough":
            return Said(1, err="timed out")
        self.bmc.state = "off" if self.broken == "stays-off" else state
        return None

    def refused(self) -> Said | None:
        fault = "refused" if "fail-set" in self.bmc.faults else "ignored"
        if self.broken == {"refused": "deaf", "ignored": "trusting"}[fault]:
            return None
        said = {"silent": "", "vague": "it did not work", "breaks": "the agent itself is broken (TypeError)"}
        codes = {"d4": REFUSED, "d5": "not supported in present state", "81": "0x81: defined by its maker"}
        return Said(
            1, err=said.get(self.broken, codes[self.bmc.value] if fault == "refused" else "timed out")
        )


def play(broken: str = "", **configured: str) -> tuple[str, Agent]:
    bmc = Bmc()
    agent = Agent(bmc, broken)
    return rehearse("fence_x", configured, agent, bmc, IPMI), agent


def test_a_good_agent_has_nothing_wrong():
    assert play()[0] == ""


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("syntax", "fence_x metadata ended with exit code 1 instead of 0: SyntaxError: invalid syntax"),
        ("name", "fence_x off ended with exit code 1 instead of 0: NameError: name 'x'"),
        ("hangs", "fence_x off did not end: no end within 60 s"),
        ("blind", "fence_x status ended with exit code 0 instead of 2"),
        ("idle", "fence_x off left the power on instead of off"),
        ("stays-off", "fence_x on left the power off instead of on"),
        ("reboots-never", "fence_x reboot sent no off (but nothing)"),
        ("deaf", "fence_x off says that it is done while the BMC refuses and the power is on"),
        (
            "trusting",
            "fence_x off says that it is done while the BMC accepts and does nothing and the power is on",
        ),
        ("silent", "fence_x off fails without a word on standard error"),
        ("unknown", "fence_x metadata does not say '<action name=\"off\"' but: it said nothing"),
        ("guesses", "fence_x status ended with exit code 2 instead of 1"),
        ("hasty", "fence_x off ended with exit code 1 instead of 0: still on"),
        ("once", "fence_x off ended with exit code 1 instead of 0: no session slot free"),
        ("hopeful", "fence_x off says that it is done while the BMC ignores the command and the power is on"),
        ("cycles-off", "fence_x off sent cycle: the power would come back"),
        ("no-fallback", "fence_x off ended with exit code 1 instead of 0: does not offer cipher suite 16"),
        ("deaf-reboot", "fence_x reboot says that it is done while the BMC refuses and the power is on"),
        ("nameless", "fence_x list does not say 'rehearsal,' but: it said nothing"),
        ("hasty-look", "fence_x status ended with exit code 1 instead of 0: busy"),
        ("pedant", "fence_x reboot ended with exit code 1 instead of 0: on was refused"),
        ("mute", "fence_x status fails without a word on standard error"),
        ("ghost", "fence_x off says that it is done while the BMC answers nothing and the power is on"),
        ("vague", "fence_x off does not say 'insufficient privilege' but: it did not work"),
        ("breaks", "fence_x off ended with exit code 1, but the agent itself is broken (TypeError)"),
        ("careless", "fence_x validate-all says that it is done while the BMC refuses and the power is on"),
        ("trusts-the-dead", "fence_x off says that it is done while the BMC dies of the command"),
        ("gives-up", "fence_x off ended with exit code 1 instead of 0: it was busy"),
        ("wants-an-answer", "fence_x off ended with exit code 1 instead of 0: no answer"),
        ("once-is-enough", "fence_x off ended with exit code 1 instead of 0: timed out"),
        ("pedantic", "fence_x off ended with exit code 1 instead of 0: stonith_status_sleep must be"),
        ("shows", "fence_x status shows the password"),
    ],
)
def test_each_broken_agent_is_found(broken, said):
    assert play(broken)[0].startswith(said)


def test_a_cycle_that_nobody_saw_is_rehearsed_where_hosts_are_cycled():
    assert play("cycles-only")[0] == ""
    assert play(method="cycle")[0] == ""
    assert (
        play("cycles-only", method="Cycle")[0]
        == "fence_x reboot ended with exit code 1 instead of 0: timed out"
    )


class Starved(Agent):
    """Too late once, as any agent on a host that has no time for it."""

    late = True

    def run(self, agent, action, given, timeout) -> Said:
        if action == "off" and "ignore-set" in self.bmc.faults and not self.bmc.value and self.late:
            self.late = False
            self.given.append(dict(given))
            return Said(1, err="gave no complete answer")
        return super().run(agent, action, given, timeout)


def test_what_went_wrong_once_is_tried_again_with_more_patience():
    bmc = Bmc()
    agent = Starved(bmc)
    assert rehearse("fence_x", {}, agent, bmc, IPMI) == ""
    first, again = [given for given in agent.given if given.get("power_timeout") in ("2", "8")][:2]
    assert (first["login_timeout"], again["login_timeout"], again["power_timeout"]) == ("5", "20", "8")


class Hasty(Agent):
    """Breaks when it has little time, and only then."""

    def run(self, agent, action, given, timeout) -> Said:
        said = super().run(agent, action, given, timeout)
        hurried = "drop" in self.bmc.faults and given.get("login_timeout") == "5"
        return Said(1, err="off failed because the agent itself is broken (NameError)") if hurried else said


def test_an_agent_that_says_that_it_is_broken_gets_no_second_try():
    bmc = Bmc()
    assert "the agent itself is broken (NameError)" in rehearse("fence_x", {}, Hasty(bmc), bmc, IPMI)


def test_no_fault_is_left_behind():
    for broken in ("", "deaf", "trusting", "silent"):
        assert play(broken)[1].bmc.faults == set()


def test_a_real_bmc_is_out_of_reach():
    real = {"ip": "10.0.0.2", "ipaddr": "10.0.0.2", "plug": "10.0.0.2", "port_as_ip": "1", "username": "u", "login": "u",
            "password": "p", "passwd": "p", "password_file": "/f", "password_script": "/s", "hexadecimal_kg": "61",
            "target": "0x20", "delay": "9", "ipport": "623"}  # fmt: skip
    _, agent = play(**real)
    assert len(agent.given) == len((*STEPS, KEYED))
    for given in agent.given:
        assert given["ip"] in ("127.0.0.1", "rehearsal..invalid")  # the latter can be no name
        assert given["ipport"] in ("9000", "65536")  # the latter is no port
        assert given["plug"] in ("rehearsal", "a\0b")
        assert not {"10.0.0.2", "u", "p", "/f", "/s"} & set(given.values())


@pytest.mark.parametrize(
    ("configured", "name", "value"),
    [
        ({"password_file": "/etc/p"}, "password_file", "/simulated/password"),
        (
            {"password_script": "/s", "password_file": "/etc/p"},
            "password_script",
            "/bin/cat /simulated/password",
        ),
        ({"passwd_script": "/s"}, "password_script", "/bin/cat /simulated/password"),
        ({"passwd": "real"}, "password", "secret"),
    ],
)
def test_the_password_comes_the_way_that_it_is_configured(configured, name, value):
    given = parameters(configured, Bmc())
    assert [key for key in given if key.startswith("passw")] == [name]
    assert given[name] == value
    assert signature(configured) == signature({name: "another"})


def test_a_bmc_with_a_key_is_rehearsed_with_another_key():
    assert (
        parameters({"hexadecimal_kg": "6162"}, Bmc())["hexadecimal_kg"]
        == key_of({"hexadecimal_kg": "6162"})
        != "6162"
    )
    assert "hexadecimal_kg" not in parameters({"hexadecimal_kg": ""}, Bmc())
    assert signature({"hexadecimal_kg": "6162"}) == signature({"hexadecimal_kg": "01"}) != signature({})


def test_the_comfort_is_the_configured_one():
    given = parameters({"cipher": "3", "power_timeout": "40", "privlvl": "administrator", "ip": "x"}, Bmc())
    assert (given["cipher"], given["power_timeout"], given["privlvl"]) == ("3", "40", "administrator")
    assert "cipher" not in parameters({"cipher": "8"}, Bmc())


def test_devices_that_differ_in_address_share_a_rehearsal():
    one, two = {"ip": "1", "plug": "a", "cipher": "17"}, {"ip": "2", "plug": "b", "cipher": "17"}
    assert signature(one) == signature(two) != signature({**two, "cipher": "3"})


def test_a_reason_is_not_asked_of_a_success():
    assert wrong(Step("monitor", "on", 0, "on"), Said(0), "on", []) == ""
