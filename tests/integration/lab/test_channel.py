# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands over the ports of a VM node: both ends are real, a socket stands for the serial port between them."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from backstay.host.process import Completed, ProcessTimedOut
from backstay.lab.vm import agent, channel

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture
def ports(tmp_path: Path):
    """A directory of ports with an agent behind each."""
    for number in range(channel.PORTS):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / str(number)))
        listener.listen(1)
        threading.Thread(target=be_a_port, args=(listener,), daemon=True).start()
    return tmp_path


def be_a_port(listener: socket.socket) -> None:
    """One agent for one connection after the other, as the emulator has it."""
    while True:
        wire, _ = listener.accept()
        wire.setblocking(False)
        # A serial port holds little: who speaks without listening soon waits for an end that waits for him.
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        threading.Thread(target=attend, args=(wire.detach(),), daemon=True).start()


def attend(fd: int) -> None:
    """Wait for somebody to speak as the agent does, serve him, and hang up."""
    idle = agent.Idle()
    idle.add(fd)
    while not idle.connected():
        time.sleep(0.01)
    agent.serve(agent.Port(fd))
    os.close(fd)


def run(ports: Path, *words: str, timeout: float = 120.0, stdin: str = "") -> Completed:
    return channel.run(ports, "n1", words, timeout, ENVIRONMENT, stdin)


def test_output_and_exit_code_come_apart(ports) -> None:
    done = run(ports, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_input_reaches_the_command_whole(ports) -> None:
    text = "".join(f"{number}\n" for number in range(100_000))
    assert run(ports, "cat", stdin=text).stdout == text
    assert run(ports, "wc", "-c", stdin=text).stdout == f"{len(text)}\n"


def test_a_command_that_reads_nothing_ends_all_the_same(ports) -> None:
    assert run(ports, "true", stdin="x" * 1_000_000).ok


def test_a_signal_is_a_negative_number(ports) -> None:
    assert run(ports, "sh", "-c", "kill -TERM $$").returncode == -15


def test_a_program_that_is_not_there(ports, tmp_path) -> None:
    done = run(ports, f"{tmp_path}/absent")
    assert (done.returncode, done.stderr) == (127, f"{tmp_path}/absent: No such file or directory\n")


def test_a_child_that_lives_on_is_not_waited_for(ports) -> None:
    begin = time.monotonic()
    assert run(ports, "sh", "-c", "sleep 60 & echo here").stdout == "here\n"
    assert time.monotonic() - begin < 30


def test_a_command_without_an_end_is_ended_at_the_deadline(ports, tmp_path) -> None:
    with pytest.raises(ProcessTimedOut) as caught:
        run(ports, "sh", "-c", f"echo $$ >{tmp_path}/pid; echo begun; sleep 100", timeout=1.0)
    assert caught.value.stdout == "begun\n"
    pid = int((tmp_path / "pid").read_text())
    for _ in range(300):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()
    assert run(ports, "echo", "again").stdout == "again\n"


def test_many_at_once_have_a_port_each(ports) -> None:
    said: dict[int, str] = {}

    def ask(number: int) -> None:
        said[number] = run(ports, "sh", "-c", f"sleep 0.2; echo {number}").stdout

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert said == {number: f"{number}\n" for number in range(20)}


def test_nobody_there_is_said(tmp_path) -> None:
    with pytest.raises(channel.Silent, match="n1 is off"):
        run(tmp_path, "true")
    assert not channel.answers(tmp_path, "n1", 0.2)


def test_a_node_that_hangs_is_said(tmp_path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "0"))
        listener.listen(1)
        with pytest.raises(channel.Silent, match="n1 has power, but nobody in it answers"):
            run(tmp_path, "true", timeout=0.5)


def test_what_an_earlier_command_left_unsaid_is_not_heard(ports) -> None:
    for _ in range(5):
        with pytest.raises(ProcessTimedOut):
            run(ports, "sh", "-c", "while :; do echo rubbish; done", timeout=0.3)
        assert run(ports, "echo", "clean").stdout == "clean\n"
