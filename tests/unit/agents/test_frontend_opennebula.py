# SPDX-License-Identifier: GPL-2.0-or-later
"""What the profile opennebula is made of, by what the configuration of a host says, and what keeps oned from starting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from backstay.agents import frontend
from backstay.agents import frontend_opennebula as profile
from backstay.agents.frontend_opennebula import SQLITE_BEGINS, database_of, make, uncommented
from backstay.errors import CannotAsk
from backstay.host.clock import Deadline
from backstay.host.probes import Answer
from backstay.ocf import codes
from tests.unit.agents.frontend_fake import FakeHost, act

CONFIGURED = {
    "/etc/one/oned.conf": """
# PORT = 1
PORT = 2700
LISTEN_ADDRESS = "10.0.0.9"
DB = [ BACKEND = "mysql",
       SERVER  = "db.example",
       PORT    = 0,
       USER    = "oneadmin" ]
VM_MAD = [ NAME = "kvm", PORT = 5 ]
""",
    "/etc/one/onegate-server.conf": ":host: 10.0.0.9\n:port: 5031\n:ssl_server:\n",
    "/etc/one/fireedge-server.conf": "# host: 1.1.1.1\nhost: '0.0.0.0'\nport: 2616\n",
}


def test_without_configuration_it_is_as_it_comes() -> None:
    made = make(lambda _: "")
    assert made.url == "http://127.0.0.1:2633/RPC2"
    assert [probe.target for probe in made.probes if probe.unit] == [
        "127.0.0.1:2616", "127.0.0.1:9869", "127.0.0.1:5030", "127.0.0.1:2474",
    ]  # fmt: skip
    assert made.units[:3] == (
        "opennebula-ssh-agent.service", "opennebula.service", "opennebula-scheduler.service",
    )  # fmt: skip
    assert "opennebula.service" not in made.if_installed
    assert made.database.backend == "sqlite"


def test_a_configuration_is_followed() -> None:
    made = make(lambda path: CONFIGURED.get(path, ""))
    assert made.url == "http://10.0.0.9:2700/RPC2"
    targets = {probe.name: probe.target for probe in made.probes}
    assert (targets["OneGate"], targets["FireEdge"]) == ("10.0.0.9:5031", "127.0.0.1:2616")
    assert made.database.target == "db.example:3306"


@pytest.mark.parametrize(
    ("text", "backend", "target"),
    [
        ("", "sqlite", ""),
        ('DB = [ BACKEND = "sqlite", TIMEOUT = 2500 ]', "sqlite", ""),
        ('# DB = [ BACKEND = "mysql" ]', "sqlite", ""),
        ('DB = [ BACKEND = "mysql", SERVER = "localhost", PORT = 0 ]', "mysql", "/run/mysqld/mysqld.sock"),
        ('DB = [ BACKEND = "mysql", SERVER = "localhost", PORT = 3307 ]', "mysql", "127.0.0.1:3307"),
        ('DB=[BACKEND="mysql",SERVER="fd00::1",PORT=3307]', "mysql", "[fd00::1]:3307"),
        ('DB = [ BACKEND = "postgresql" ]', "postgresql", ""),
    ],
)
def test_the_database(text: str, backend: str, target: str) -> None:
    found = database_of(uncommented(text))
    assert (found.backend, found.target) == (backend, target)


class Store:
    """A host's storage as a check sees it."""

    def __init__(self, trouble: str = "", files: dict[str, bytes] | None = None, silent: str = "") -> None:
        self.trouble, self.files, self.silent = trouble, files or {}, silent

    def usable(self, directory: str, timeout: float) -> str:
        return self.trouble

    def beginning(self, path: str, length: int, timeout: float) -> bytes:
        return self.files.get(path, b"")[:length]

    def ask(self, probes: Sequence[Any], at_most: float) -> tuple[Answer, ...]:
        return tuple(Answer(each.name, True, self.silent) for each in probes)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    made = FakeHost()
    monkeypatch.setattr(frontend, "Host", lambda name: made)
    return made


WHOLE = {profile.AUTH: b"oneadmin:x", profile.SQLITE: SQLITE_BEGINS + b"rest"}


@pytest.mark.parametrize(
    ("store", "complaint"),
    [
        (Store("Read-only file system", WHOLE), "cannot be used: Read-only file system"),
        (Store(files={profile.SQLITE: SQLITE_BEGINS}), "there is no /var/lib/one/.one/one_auth"),
        (Store(files={profile.AUTH: b"x"}), "oned would begin an empty one"),
        (Store(files={**WHOLE, profile.SQLITE: b"garbage"}), "oned would begin an empty one"),
        (Store(files=WHOLE), ""),
    ],
)
def test_what_has_to_be_there(store: Any, complaint: str) -> None:
    said: list[str] = []
    made = make(lambda _: "")
    if complaint:
        with pytest.raises(CannotAsk, match=complaint):
            made.check(store, Deadline(10), said.append)
    else:
        made.check(store, Deadline(10), said.append)
        assert said == ["/var/lib/one can be used, the database /var/lib/one/one.db is there"]


def test_a_database_over_the_network_has_to_greet() -> None:
    made = make(lambda path: CONFIGURED.get(path, ""))
    files = {profile.AUTH: b"x"}
    made.check(Store(files=files), Deadline(10), lambda _: None)  # type: ignore[arg-type]
    with pytest.raises(CannotAsk, match=r"database at db\.example:3306 cannot be reached: refused"):
        made.check(Store(files=files, silent="refused"), Deadline(10), lambda _: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("units", "asked"),
    [("mariadb opennebula", False), ("mysql opennebula", False), ("opennebula", True), ("", True)],
)
def test_a_database_that_is_a_unit_of_the_role_is_not_there_before_it(
    host: FakeHost, units: str, asked: bool
) -> None:
    host.files = {**WHOLE}
    host.configuration = lambda path: CONFIGURED.get(path, "")  # type: ignore[method-assign]
    host.silent = {"database": "refused"}
    done = act(host, "start", profile="opennebula", units=units)
    assert ("cannot be reached" in done.reason) == asked, done.reason
    if not asked:
        assert done.code == codes.SUCCESS
        began = [deed for deed in host.did if deed.startswith("start")]
        assert began[-1] == "start opennebula.service"
        assert began[0] == f"start {units.split()[0]}.service"


def test_units_that_a_host_lacks_are_left_out(host: FakeHost) -> None:
    host.files = {**WHOLE}
    everything = make(lambda _: "")
    host.absent = everything.if_installed - {"opennebula-hem.service", "opennebula-gate.service"}
    assert act(host, "start", profile="opennebula").code == codes.SUCCESS
    started = [deed for deed in host.did if deed.startswith("start")]
    assert started == [
        "start opennebula.service",
        "start opennebula-hem.service",
        "start opennebula-gate.service",
    ]
    assert act(host, "monitor", profile="opennebula").code == codes.SUCCESS
    assert "FireEdge" not in host.asked
    assert {"oned", "OneGate"} <= set(host.asked)
    host.silent = {"OneGate": "refused"}
    assert act(host, "monitor", profile="opennebula").code == codes.DEGRADED
    host.silent = {}
    host.slow = {"oned"}
    outcome = act(host, "monitor", profile="opennebula")
    assert (outcome.code, "oned: slow" in outcome.reason) == (codes.DEGRADED, True)
    host.states["opennebula-hem.service"] = "failed"
    assert act(host, "monitor", profile="opennebula").code == codes.GENERIC
    assert act(host, "stop", profile="opennebula").code == codes.SUCCESS
    assert act(host, "monitor", profile="opennebula", probe=True).code == codes.NOT_RUNNING
    host.masked, host.slow = {"opennebula-gate.service"}, set()
    host.did.clear()
    assert act(host, "start", profile="opennebula").code == codes.SUCCESS
    assert "start opennebula-gate.service" not in host.did
    assert act(host, "monitor", profile="opennebula").code == codes.SUCCESS
    host.masked = {"opennebula.service"}
    assert "masked by an admin" in act(host, "start", profile="opennebula").reason
    host.absent |= {"opennebula.service"}
    assert act(host, "validate", profile="opennebula").code == codes.NOT_INSTALLED
