# SPDX-License-Identifier: GPL-2.0-or-later
"""The profile opennebula against the stand-in for oned, which OpenNebula's own client library drives as well."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyone
import pytest

from backstay.agents import frontend_opennebula
from backstay.agents.frontend_opennebula import OpenNebula
from backstay.errors import CannotAsk
from backstay.host import opennebula
from backstay.host.frontend import Host
from backstay.host.probes import Answer, ask
from backstay.lab import oned_model
from backstay.lab.oned import Oned, server_of

SESSION = "oneadmin:secret"


@pytest.fixture
def oned(tmp_path: Path) -> Oned:
    """A manager with two hosts that answer; time passes when the test says so."""
    (tmp_path / "one_auth").write_text(f"{SESSION}\n")
    (tmp_path / "hosts").mkdir()
    for host in ("n1", "n2"):
        (tmp_path / "hosts" / host).write_text("")
    made = Oned(tmp_path, ["n1", "n2"], interval=0.0)
    made.tick()
    return made


@pytest.fixture
def served(oned: Oned) -> Iterator[ThreadingHTTPServer]:
    server = server_of(oned, 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def profile(served: ThreadingHTTPServer, oned: Oned, monkeypatch: pytest.MonkeyPatch) -> OpenNebula:
    """The profile of a host whose oned.conf names the stand-in's port."""
    monkeypatch.setattr(frontend_opennebula, "AUTH", str(oned.directory / "one_auth"))
    text = f'PORT = {served.server_port}\nLISTEN_ADDRESS = "0.0.0.0"\n'
    return frontend_opennebula.make(lambda path: text if path.endswith("oned.conf") else "")


def asked(profile: OpenNebula, within: float = 10.0, slow: float = 5.0) -> Answer:
    probe = profile.probes[0]
    probe.within, probe.slow = within, slow
    (answer,) = ask([probe], 30.0)
    return answer


def test_an_authenticated_answer_is_health(profile: OpenNebula, oned: Oned) -> None:
    answer = asked(profile)
    assert (answer.trouble, answer.late, answer.slow) == ("", False, False)
    (oned.directory / "one_auth").write_text("somebody:else")
    assert asked(profile).trouble == ""  # both sides read the same file
    (oned.directory / "error").touch()
    assert "Error connecting to the database" in asked(profile).trouble


def test_the_managers_own_hook_for_hosts_in_error_is_found(profile: OpenNebula, oned: Oned) -> None:
    (probe,) = (each for each in profile.probes if each.name.startswith("no hook"))
    assert not probe.required
    (answer,) = ask([probe], 30.0)
    assert answer.trouble == ""
    (oned.directory / "hooks").write_text("vm_log.rb ft/host_error.rb")
    (answer,) = ask([probe], 30.0)
    assert answer.trouble == "its answer has 'host_error'"


def test_a_wrong_password_is_said(profile: OpenNebula, oned: Oned, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("oneadmin:old")
    profile.probes[0].words = (f"{{file:{other}}}",)
    assert "couldn't be authenticated" in asked(profile).trouble


def test_hung_slow_and_down_are_told_apart(
    profile: OpenNebula, oned: Oned, served: ThreadingHTTPServer
) -> None:
    (oned.directory / "slow").write_text("0.5")
    answer = asked(profile, slow=0.2)
    assert (answer.trouble, answer.slow) == ("", True)
    (oned.directory / "slow").unlink()
    (oned.directory / "hang").touch()
    answer = asked(profile, within=0.5)
    assert answer.late
    assert answer.trouble == "it hangs: takes connections and gives no answer within 0.5 s"
    (oned.directory / "hang").unlink()
    assert asked(profile).trouble == ""
    served.shutdown()
    served.server_close()
    answer = asked(profile)
    assert (answer.late, answer.trouble) == (False, "Connection refused")


def test_pyone_drives_the_stand_in(served: ThreadingHTTPServer, oned: Oned) -> None:
    """What it says is what the real client's bindings, made from the published schemas, understand."""
    vm = oned.model.place("web", "n1")
    oned.model.world.boot("n1", vm.number)
    one: Any = pyone.OneServer(f"http://127.0.0.1:{served.server_port}/RPC2", SESSION, timeout=10)
    assert one.system.version() == "7.2.0"
    assert one.user.info(-1).NAME == "oneadmin"
    host = one.hostpool.info().HOST[0]
    assert (host.NAME, host.STATE, host.VMS.ID) == ("n1", pyone.HOST_STATES.MONITORED, [0])
    seen = one.vm.info(0)
    assert (seen.STATE, seen.LCM_STATE) == (pyone.VM_STATE.ACTIVE, pyone.LCM_STATE.RUNNING)
    last = seen.HISTORY_RECORDS.HISTORY[-1]
    assert (last.HOSTNAME, last.TM_MAD) == ("n1", "shared")
    assert [vm.ID for vm in one.vmpool.info(-2, -1, -1, -1).VM] == [0]
    one.vm.update(0, 'BACKSTAY_RESUME = "n1 5"\nSCHED_MESSAGE = "no host"', 1)
    (short,), (whole,) = one.vmpool.info(-2, -1, -1, -1).VM, one.vmpool.infoextended(-2, -1, -1, -1).VM
    assert short.USER_TEMPLATE == {"SCHED_MESSAGE": "no host"}
    assert whole.USER_TEMPLATE["BACKSTAY_RESUME"] == "n1 5"

    # the host dies: what ran there is UNKNOWN, and goes elsewhere when it is told to
    (oned.directory / "hosts" / "n1").unlink()
    oned.tick()
    assert one.host.info(0).STATE == pyone.HOST_STATES.ERROR
    assert one.vm.info(0).LCM_STATE == pyone.LCM_STATE.UNKNOWN
    assert one.vm.action("resched", 0) == 0
    for _ in range(4):
        oned.tick()
    assert one.vm.info(0).HISTORY_RECORDS.HISTORY[-1].HOSTNAME == "n2"
    assert one.vm.info(0).LCM_STATE == pyone.LCM_STATE.RUNNING
    assert (oned.directory / "hosts" / "n2").read_text() == "0\n"
    with pytest.raises(pyone.OneNoExistsException):
        one.vm.info(7)
    with pytest.raises(pyone.OneActionException):
        one.vm.recover(0, 9)
    with pytest.raises(pyone.OneAuthenticationException):
        pyone.OneServer(f"http://127.0.0.1:{served.server_port}/RPC2", "x:y").system.version()


def test_a_host_off_line_keeps_its_machines_running_for_the_manager(oned: Oned) -> None:
    """The trap: who takes a dead host off line at once never sees its machines UNKNOWN."""
    oned.model.place("web", "n1")
    (oned.directory / "hosts" / "n1").unlink()
    oned.model.status(0, 2)
    oned.tick()
    assert oned.model.vms[0].lcm == oned_model.RUNNING
    oned.model.status(0, 1)
    oned.tick()
    assert (oned.model.vms[0].lcm, oned.model.hosts[0].state) == (oned_model.UNKNOWN, oned_model.DISABLED)


def test_what_a_call_says(profile: OpenNebula, oned: Oned) -> None:
    auth = str(oned.directory / "one_auth")
    assert opennebula.call(profile.url, auth, "one.system.version", [], 10.0) == "7.2.0"
    with pytest.raises(opennebula.Refused, match="Error getting host") as refused:
        opennebula.call(profile.url, auth, "one.host.info", [9, False], 10.0)
    assert refused.value.code == opennebula.ABSENT
    with pytest.raises(CannotAsk, match="not defined"):
        opennebula.call(profile.url, auth, "one.nothing", [], 10.0)
    for words in ([], ["-1"]):
        with pytest.raises(CannotAsk, match=r"Not enough parameters|not what one.user.info needs"):
            opennebula.call(profile.url, auth, "one.user.info", words, 10.0)
    (oned.directory / "hang").touch()
    with pytest.raises(CannotAsk, match="timed out"):
        opennebula.call(profile.url, auth, "one.system.version", [], 0.5)


def test_its_storage_is_used_and_looked_at(tmp_path: Path) -> None:
    host = Host("frontend")
    assert host.usable(str(tmp_path), 10.0) == ""
    assert list(tmp_path.iterdir()) == []
    assert host.usable(str(tmp_path / "nowhere"), 10.0) == "No such file or directory"
    (tmp_path / "one.db").write_bytes(b"SQLite format 3\0 and more")
    assert host.beginning(str(tmp_path / "one.db"), 16, 10.0) == b"SQLite format 3\0"
    assert host.beginning(str(tmp_path / "other"), 16, 10.0) == b""
