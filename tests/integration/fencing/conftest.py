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

from backstay.lab.bmc.faults import Faults
from backstay.lab.bmc.journal import read

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
def simulator(directory: Path) -> Iterator[Bmc]:
    """Our simulator with suites 3 and 17 and enforced roles."""
    directory.mkdir()
    (directory / "users").write_text(USERS)
    argv = [sys.executable, "-m", "backstay.lab.bmc", "--directory", str(directory)]
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
# Called as: hook DIRECTORY get power | set power "0|1". The words for the file are those of our own simulator.
HOOK = """#!/bin/sh
cd "$1" || exit 1
case $2-$3 in
get-power) [ "$(cat power)" = on ] && echo power:1 || echo power:0 ;;
set-power) [ -f fail-set ] && exit 1
    [ -f ignore-set ] || { [ "$4" = 1 ] && echo on >power || echo off >power; } ;;
get-boot) echo boot:default ;;
esac
exit 0
"""


@pytest.fixture
def ipmi_sim(tmp_path, need) -> Iterator[Bmc]:
    """OpenIPMI's simulator: an independent BMC, cipher suite 3 only, roles not enforced."""
    program = need("ipmi_sim", "ipmitool")
    directory = tmp_path / "sim"
    directory.mkdir()
    (directory / "power").write_text("on\n")
    hook = directory / "hook"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (directory / "lan.conf").write_text(LAN.format(port=port, hook=hook, directory=directory))
    (directory / "emu").write_text(EMULATION)
    argv = [program, "-n", "-c", str(directory / "lan.conf"), "-f", str(directory / "emu")]
    argv += ["-s", str(directory / "state")]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    login = {"username": "fencer", "password": "fencepass", "cipher": "3"}
    yield Bmc(port, directory, process, login)
    process.terminate()
    process.wait(10)


Fence = Callable[..., Spoken]


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
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-I", str(agent), *argv],
            input="" if argv else text,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"]},
            check=False,
        )
        return Spoken(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)

    return run
