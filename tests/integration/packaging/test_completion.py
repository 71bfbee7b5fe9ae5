# SPDX-License-Identifier: GPL-2.0-or-later
"""Tab is pressed in the real shells, with the completion that the packages install."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pexpect
import pytest

WAIT = 120.0  # seconds for an answer that takes a fraction of one
TAB, BEGIN, END = "\t", "\x01", "\x05"
CLOUD = "hosts: {alpha: {}, beta: {}}\ndomains: {web1: {drbd: {}}}\n"

LINES = {
    "backstay fence dri": "backstay fence drill",
    "backstay agents sw": "backstay agents switch",
    "backstay plan --allow-": None,
    "backstay apply --allow-": "backstay apply --allow-stop",
    "backstay plan --output j": "backstay plan --output json",
    "backstay fence check --cib cloud.yaml --accept bet": "backstay fence check --cib cloud.yaml --accept beta",
    "backstay render --template nf": "backstay render --template nfs",
    "backstay render --template nfs --set ser": "backstay render --template nfs --set server=",
    "backstay render cloud.yaml --template apart --set domains=we": "backstay render cloud.yaml --template apart --set domains=web1",
    "backstay drbd repair --cloud cloud.yaml we": "backstay drbd repair --cloud cloud.yaml web1",
    "backstay render clo": "backstay render cloud.yaml",
    "backstay lab fault cut-p": "backstay lab fault cut-power",
}
"""What is typed before Tab, and what stands on the line behind it (without the blank at its end); None: the same."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a description, in which the shells are."""
    (tmp_path / "cloud.yaml").write_text(CLOUD)
    return tmp_path


def environment(repository: Path, place: Path) -> dict[str, str]:
    """Where the shells find `backstay`, and no configuration of anybody."""
    path = f"{repository}/bin:/usr/bin:/bin"
    return {
        "PATH": path,
        "HOME": str(place),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "XDG_CONFIG_HOME": str(place),
    }


def interactive(argv, setup, repository, place) -> dict[str, str]:
    """What an interactive shell makes of each line: after Tab it is made an argument of `echo`."""
    made = {}
    with pexpect.spawn(argv[0], argv[1:], env=environment(repository, place), cwd=str(place), timeout=WAIT,
                       encoding="utf-8", dimensions=(50, 200)) as shell:  # fmt: skip
        shell.sendline(f"{setup}; PS1='ready''> '")
        shell.expect("ready> ")
        for line in LINES:
            shell.send(line + TAB + BEGIN + "echo '[" + END + "]'\r")
            shell.expect(r"\n\[(.*?)\]\r?\n")
            made[line] = shell.match[1].rstrip()
            shell.expect("ready> ")
        shell.sendline("exit")
        shell.expect(pexpect.EOF)
    return made


def wanted() -> dict[str, str]:
    return {line: line if made is None else made for line, made in LINES.items()}


def test_bash(repository, need, place):
    file = repository / "packaging/completion/backstay.bash"
    argv = [need("bash"), "--norc", "--noprofile"]
    assert interactive(argv, f"bind 'set bell-style none'; . {file}", repository, place) == wanted()


def test_zsh(repository, need, place):
    setup = f"unset zle_bracketed_paste; unsetopt beep prompt_sp; bindkey -e; fpath=({repository}/packaging/completion $fpath)"
    setup += "; autoload -Uz compinit; compinit -u -D"
    assert interactive([need("zsh"), "-f"], setup, repository, place) == wanted()


@pytest.mark.parametrize("line", LINES)
def test_fish(repository, need, place, line):
    """Fish tells what it would offer."""
    script = f"source {repository}/packaging/completion/backstay.fish; complete --do-complete '{line}'"
    argv = [need("fish"), "--no-config", "--command", script]
    done = subprocess.run(
        argv,
        env=environment(repository, place),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.stderr == ""
    offered = [each.partition("\t")[0] for each in done.stdout.splitlines()]
    made = LINES[line]
    assert offered == ([] if made is None else [made.rpartition(" ")[2]])
