# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_redfish against BMCs that are dead, slow, busy or lying: it ends in time and says which it was.

Each case has a BMC of its own and all of them wait at the same time, because what takes long here is patience.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from tests.integration.fencing.redfish_bmc import proxied

SHORT = {"login_timeout": 10, "power_timeout": 10}
AT_MOST = 60.0  # seconds: 20 by the settings, the rest for a busy machine


@dataclass(frozen=True)
class Case:
    """How a BMC is broken, and what is asked of it."""

    name: str
    faults: Mapping[str, str] = field(default_factory=dict)
    action: str = "off"
    settings: Mapping[str, object] = field(default_factory=lambda: SHORT)


# That packets are lost is TCP's own business: it shows as slowness, or as a connection that breaks.
GIVEN_UP = [
    (Case("lies", {"lie": ""}), "timed out waiting for n2 to be powered off: its BMC .* accepted the command"),
    (Case("late", {"delay": "60"}), "timed out waiting for n2 to be powered off"),
    (Case("busy", {"busy": "always"}), "refused to .* .HTTP 503, ServiceTemporarilyUnavailable: Come back later.; if it stays"),
    (Case("full", {"full": ""}, settings={**SHORT, "session": 1}), "has no session free .HTTP 503, SessionLimitExceeded"),
    (Case("ignores", {"ignore": ""}), "leaves the request to power off unanswered; restart the BMC"),
    (Case("silent", {"silent": ""}), "leaves the request to .* unanswered"),
    (Case("slow", {"latency": "40"}), "leaves the request to .* unanswered"),
    (Case("drips", {"drip": "0.2"}), "gave no complete answer in the time that it has"),
    (Case("drips", {"drip": "0.2"}, "monitor"), "gave no complete answer in the time that it has"),
    (Case("drops", {"drop": ""}), "takes a connection and drops it .the connection was closed"),
    (Case("dead", {}, "off"), "does not answer on TCP port \\d+ .no connection in time"),
    (Case("refused", {}, "off"), "does not answer on TCP port \\d+ .Connection refused"),
    (Case("mute", {}, "off"), "takes a connection and then does not agree on TLS in time"),
    (Case("mute", {}, "monitor"), "takes a connection and then does not agree on TLS in time"),
    (Case("dripping-tls", {}, "monitor"), "takes a connection and then does not agree on TLS in time"),
    (Case("plain", {}, "off"), "does not agree on TLS 1.2 or newer"),
    (Case("internal", {"status": "500"}), "names no power state .HTTP 500, InternalError: It broke, took too long"),
    (Case("blank", {"body": "{}"}), "names no power state .no PowerState"),
    (Case("odd", {"body": '{"PowerState": "Sleeping"}'}), "names no power state .PowerState 'Sleeping'"),
    (Case("html", {"body": "<html>"}), "an answer that is not Redfish's .no JSON object at"),
    (Case("no-action", {"body": '{"PowerState": "On"}'}), "offers no ComputerSystem.Reset"),
]  # fmt: skip
WAITED_FOR = [
    Case("hangs-up", {"hangup": ""}, settings={}),
    Case("hangs-up-in-a-session", {"hangup": ""}, settings={"session": 1}),
    Case("late", {"delay": "2"}, settings={}),
    Case("busy", {"busy": "3"}, settings={}),
    Case("slow", {"latency": "0.5"}, settings={}),
    Case("drips", {"drip": "0.0005"}, settings={}),
]
CASES = [case for case, _ in GIVEN_UP] + WAITED_FOR


def name(given: object) -> str:
    """A case as the name of its test."""
    if not isinstance(given, Case):
        return ""
    values = "-".join(filter(None, given.faults.values()))
    return f"{given.name}-{values:.12}-{given.action}" if given.faults else f"{given.name}-{given.action}"


@contextlib.contextmanager
def no_tls(how: str) -> Iterator[SimpleNamespace]:
    """A server that says nothing at all, drips what looks like TLS, or speaks plain text."""
    done = threading.Event()

    def talk(taken: socket.socket) -> None:
        with contextlib.suppress(OSError), taken:
            if how == "plain":
                taken.sendall(b"220 mail.example ESMTP\r\n" * 4)
            for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 500 if how == "dripping-tls" else b"":
                taken.sendall(bytes([byte]))
                done.wait(0.2)
            done.wait(60)

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=take, daemon=True).start()
        yield SimpleNamespace(port=listener.getsockname()[1], system="/redfish/v1/Systems/1", power="On")
        done.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def dead() -> Iterator[SimpleNamespace]:
    """A BMC without power: nothing answers, not even a no. The queue of a listener is full, so Linux drops the packets."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield SimpleNamespace(port=listener.getsockname()[1], system="/redfish/v1/Systems/1", power="On")


@contextlib.contextmanager
def nobody() -> Iterator[SimpleNamespace]:
    """A port that is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield SimpleNamespace(port=port, system="/redfish/v1/Systems/1", power="On")


@pytest.fixture(scope="module")
def ends(fence_redfish, machines, certificate) -> dict[str, SimpleNamespace]:
    """What came of every case, by its name."""

    def bmc_of(case: Case):
        if case.name in ("dead", "refused"):
            return dead() if case.name == "dead" else nobody()
        if case.name in ("mute", "dripping-tls", "plain"):
            return no_tls(case.name)
        return proxied(machines, certificate, **case.faults)

    def play(case: Case, bmc) -> SimpleNamespace:
        spoken = fence_redfish(bmc, case.action, **case.settings)
        return SimpleNamespace(spoken=spoken, power=bmc.power)

    with contextlib.ExitStack() as running, ThreadPoolExecutor(len(CASES)) as pool:
        bmcs = {name(case): running.enter_context(bmc_of(case)) for case in CASES}
        begun = {name(case): pool.submit(play, case, bmcs[name(case)]) for case in CASES}
        return {case: end.result() for case, end in begun.items()}


@pytest.mark.parametrize(("case", "reason"), GIVEN_UP, ids=name)
def test_it_is_given_up_in_time_with_its_own_reason(ends, case, reason):
    spoken = ends[name(case)].spoken
    assert (spoken.code, len(spoken.errors)) == (1, 1), spoken.err
    assert re.search(reason, spoken.err)
    assert spoken.took < AT_MOST
    assert ("imed out" in spoken.err) == (case.name in ("lies", "late"))
    assert ends[name(case)].power == "On"


@pytest.mark.parametrize("case", WAITED_FOR, ids=name)
def test_a_slow_or_busy_one_is_waited_for(ends, case):
    end = ends[name(case)]
    assert (end.spoken.code, end.power) == (0, "Off"), end.spoken.err
