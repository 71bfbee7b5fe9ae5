# SPDX-License-Identifier: GPL-2.0-or-later
"""The BMC simulator as a process: what it says when it cannot start, and what it writes down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lxml import etree

from backstay.host.clock import Deadline, until
from backstay.lab.bmc.journal import read


def start(directory, *more: str) -> subprocess.CompletedProcess:
    argv = [sys.executable, "-m", "backstay.lab.bmc", "--directory", str(directory), *more]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)


REHEARSAL = """
import os, sys
from backstay.host.loopback_bmc import simulator
with simulator() as bmc:
    print(bmc.port, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_simulator_ends_with_a_rehearsal_that_was_killed():
    done = subprocess.run(
        [sys.executable, "-c", REHEARSAL], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -9
    port = int(done.stdout)

    def gone():
        taken = [line.split()[1] for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return f"0100007F:{port:04X}" not in taken or None

    until(gone, Deadline(30), what=f"UDP port {port} to be free")


def test_a_port_that_is_taken_is_one_sentence(bmc):
    done = start(bmc.directory, "--port", str(bmc.port))
    assert done.returncode == 4
    assert done.stderr == (
        f"the BMC of bmc cannot listen on UDP 127.0.0.1 port {bmc.port}: something else listens there; "
        f"ss -ulnp 'sport = :{bmc.port}' shows who has it\n"
    )


def test_an_address_of_another_machine_is_one_sentence(bmc):
    done = start(bmc.directory, "--address", "192.0.2.1")
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "this machine does not have that address" in done.stderr


def test_bad_accounts_are_one_sentence(tmp_path):
    (tmp_path / "users").write_text("nonsense\n")
    done = start(tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "users:1: not an account" in done.stderr


def test_what_was_asked_and_what_was_done_is_written_down(bmc, fence):
    fence(bmc, "off")
    fence(bmc, "off", username="viewer", password="viewpass", privlvl="user")
    events = read(bmc.directory / "events.jsonl")
    asked = [event for event in events if event["event"] == "chassis-control"]
    assert [(event["command"], event["user"], event["code"]) for event in asked] == [("off", "fencer", 0)]
    (done,) = [event for event in events if event["event"] == "chassis"]
    assert done["command"] == "off"
    assert all(event["host"] == "bmc" and event["wall"] > 0 for event in events)


def test_the_guid_is_that_of_the_machine(bmc, need):
    argv = [
        need("ipmitool"),
        "-I",
        "lanplus",
        "-C",
        "17",
        "-L",
        "OPERATOR",
        "-H",
        "127.0.0.1",
        "-p",
        str(bmc.port),
    ]
    argv += ["-U", "fencer", "-E", "mc", "guid"]
    environment = {"PATH": os.environ["PATH"], "IPMITOOL_PASSWORD": bmc.login["password"]}
    told = {subprocess.run(argv, env=environment, capture_output=True, text=True).stdout for _ in range(2)}
    assert len(told) == 1
    assert "System GUID" in told.pop()


def test_the_metadata_are_valid(fence, schemas):
    document = etree.fromstring(fence(None, "metadata").out.encode())
    etree.RelaxNG(etree.parse(schemas / "metadata.rng")).assertValid(document)
