# SPDX-License-Identifier: GPL-2.0-or-later
"""Real BMC simulators on loopback, and the installed fence agent as Pacemaker runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import backstay
from backstay.lab.bmc.faults import Faults
from backstay.lab.bmc.journal import read
from tests.integration.fencing.certificates import Authority, Certificate
from tests.integration.fencing.checking import check
from tests.integration.fencing.redfish_bmc import PASSWORD as REDFISH_PASSWORD
from tests.integration.fencing.redfish_bmc import USER, Emulator, Proxy, emulator, proxied
from tests.integration.fencing.udp_proxy import proxied as breakable

__all__ = ["check"]

PASSWORD = "f p\"a's"  # blanks and quotes are part of it
USERS = f"fencer operator {PASSWORD}\nadmin administrator adminpass\nviewer user viewpass\n"


@dataclass(frozen=True)
class Spoken:
    """What one run of the agent said, and how long it took (s)."""

    code: int
    out: str
    err: str
    took: float

    @property
    def errors(self) -> list[str]:
        return self.err.splitlines()


@dataclass
class Bmc:
    """A running BMC and how to log in there."""

    port: int
    directory: Path
    process: subprocess.Popen
    login: dict[str, str] = field(default_factory=dict)

    @property
    def faults(self) -> Faults:
        return Faults(self.directory / "faults")

    @property
    def power(self) -> str:
        return (self.directory / "power").read_text().strip()

    def commands(self) -> list[str]:
        events = read(self.directory / "events.jsonl")
        return [event["command"] for event in events if event["event"] == "chassis-control"]

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(10)


@contextlib.contextmanager
def simulator(directory: Path, *options: str) -> Iterator[Bmc]:
    """Our simulator with suites 3 and 17 and enforced roles."""
    directory.mkdir()
    (directory / "users").write_text(USERS)
    argv = [sys.executable, "-m", "backstay.lab.bmc", "--directory", str(directory), *options]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        word, _address, port = process.stdout.readline().split()
        assert word == "listening"
        yield (machine := Bmc(int(port), directory, process, {"username": "fencer", "password": PASSWORD}))
        machine.end()
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
def bmc(tmp_path, need) -> Iterator[Bmc]:
    """One of our simulators."""
    need("ipmitool")
    with simulator(tmp_path / "bmc") as machine:
        yield machine


LAN = """name "n1"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback md5
    allowed_auths_user md5
    allowed_auths_operator md5
    allowed_auths_admin md5
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{hook} {directory}"
  user 1 false "" "x" user 10 md5
  user 2 true "fencer" "fencepass" operator 10 md5
"""
EMULATION = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""
# Called as: hook DIRECTORY get power | set power "0|1". The words for the files are those of our own simulator. A cycle
# comes to it as an off and an on; its failure, whatever the reason, becomes completion code 0xff. So OpenIPMI's has no other
# refusal and is never busy: only a library in C that it loads (loadlib in lan.conf) could do that. What it is told to keep
# quiet about, the proxy in front of it loses.
HOOK = """#!/bin/sh
cd "$1" || exit 1
case $2-$3 in
get-power) [ -f faults/fail-get ] && exit 1
    [ "$(cat power)" = on ] && echo power:1 || echo power:0 ;;
set-power) [ "$4" = 1 ] && state=on || state=off
    printf '{"event": "chassis-control", "command": "%s"}\\n' "$state" >>events.jsonl
    [ -f faults/fail-set ] && exit 1
    [ -f faults/dies ] && { echo dead >faults/dies; exit 0; }
    [ -f faults/drop-control ] && { : >faults/lose; exit 0; }
    [ -f faults/lost-answer ] && : >faults/lose
    [ -f faults/ignore-set ] && { [ "$(cat faults/ignore-set)" != 1 ] || rm faults/ignore-set; exit 0; }
    [ -f faults/delay-$state ] && { (sleep "$(cat faults/delay-$state)"; echo $state >power) >/dev/null 2>&1 & exit 0; }
    echo $state >power ;;
get-boot) echo boot:default ;;
esac
exit 0
"""


def free_port() -> int:
    """A UDP port of this machine that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


LOGIN = {"username": "fencer", "password": "fencepass", "cipher": "3"}


@contextlib.contextmanager
def openipmi(directory: Path) -> Iterator[Bmc]:
    """OpenIPMI's simulator: an independent BMC, cipher suite 3 only, roles not enforced; behind a network with faults."""
    directory.mkdir()
    (directory / "power").write_text("on\n")
    hook = directory / "hook"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    port = free_port()
    (directory / "lan.conf").write_text(LAN.format(port=port, hook=hook, directory=directory))
    (directory / "emu").write_text(EMULATION)
    argv = ["ipmi_sim", "-n", "-c", str(directory / "lan.conf"), "-f", str(directory / "emu")]
    argv += ["-s", str(directory / "state")]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        with breakable(port, directory / "faults") as reached:
            yield (machine := Bmc(reached, directory, process, dict(LOGIN)))
        machine.end()
    finally:
        process.kill()
        process.wait(10)


@contextlib.contextmanager
def pyghmi_server(directory: Path, key: str = "") -> Iterator[Bmc]:
    """pyghmi's server: a second independent BMC, cipher suite 3 only, no roles; behind the same network with faults."""
    directory.mkdir()
    (directory / "power").write_text("on\n")
    port = free_port()
    argv = [sys.executable, str(Path(__file__).with_name("pyghmi_bmc.py")), str(directory), str(port), key]
    environment = {**os.environ, "PYTHONPATH": str(Path(backstay.__file__).parent.parent)}
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert process.stdout.readline() == "listening\n"
        with breakable(port, directory / "faults") as reached:
            yield (machine := Bmc(reached, directory, process, dict(LOGIN)))
        machine.end()
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


MAKERS = {"ours": simulator, "openipmi": openipmi, "pyghmi": pyghmi_server}


@pytest.fixture
def ipmi_sim(tmp_path, need) -> Iterator[Bmc]:
    """One of OpenIPMI's simulators."""
    need("ipmi_sim", "ipmitool")
    with openipmi(tmp_path / "sim") as machine:
        yield machine


@pytest.fixture
def pyghmi(tmp_path, need) -> Iterator[Bmc]:
    """One of pyghmi's servers."""
    need("ipmitool")
    with pyghmi_server(tmp_path / "pyghmi") as machine:
        yield machine


Fence = Callable[..., Spoken]


def spoken(agent: Path, argv: tuple[str, ...], text: str, environment: dict[str, str]) -> Spoken:
    """One run of an agent, with these lines on standard input unless there are arguments."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", str(agent), *argv],
        input="" if argv else text,
        capture_output=True,
        text=True,
        timeout=150,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
    )
    return Spoken(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)


@pytest.fixture(scope="session")
def fence(repository) -> Fence:
    """`fence(bmc, "off", cipher=3)` runs the agent with its parameters on standard input, nothing in its argv."""
    agent = repository / "fencing" / "fence_backstay_ipmi"

    def run(bmc: Bmc | None, action: str, argv: tuple[str, ...] = (), **more: object) -> Spoken:
        given = {"action": action, "nodename": "n2", "plug": "n2"}
        if bmc:
            given |= {"ip": "127.0.0.1", "ipport": str(bmc.port), **bmc.login}
        given |= {name: str(value) for name, value in more.items()}
        text = "".join(f"{name}={value}\n" for name, value in given.items())
        return spoken(agent, argv, text, {})

    return run


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    """Who signs the certificates of good BMCs."""
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="session")
def certificate(authority) -> Certificate:
    """A good one."""
    return authority.certificate("bmc")


@pytest.fixture(scope="session")
def machines(tmp_path_factory) -> Iterator[Emulator]:
    """One emulator with a machine for each test."""
    with emulator(tmp_path_factory.mktemp("emulators") / "many", 200) as running:
        yield running


@pytest.fixture
def redfish(machines, certificate) -> Iterator[Proxy]:
    """A BMC with Redfish and a machine of its own, which is on."""
    with proxied(machines, certificate) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def fence_redfish(repository, authority) -> Fence:
    """The same for fence_backstay_redfish; `environment` is for the agent's process."""
    agent = repository / "fencing" / "fence_backstay_redfish"

    def run(
        bmc: Proxy | None,
        action: str,
        argv: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        **more: object,
    ) -> Spoken:
        given = {"action": action, "nodename": "n2", "plug": "n2"}
        if bmc:
            given |= {"ip": "127.0.0.1", "ipport": str(bmc.port), "systems_uri": bmc.system}
            given |= {"username": USER, "password": REDFISH_PASSWORD, "ssl_ca": str(authority.path)}
        given |= {name: str(value) for name, value in more.items()}
        text = "".join(f"{name}={value}\n" for name, value in given.items())
        return spoken(agent, argv, text, environment or {})

    return run


@pytest.fixture
def at_once(fence) -> Callable[[], float]:
    """`at_once()`: the seconds that an answer without any waiting may take now; about six on a machine at rest, where to wait for a host takes 20.

    Measured with a run that asks nobody, because on a busy machine even an interpreter needs seconds to begin.
    """
    return lambda: 5 + 6 * fence(None, "metadata").took
