# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command of the documentation: ours is parsed by the command itself (in a sentence too), others by what their tools say of options.

What is carried out is so by the tests that a page names (`<!-- done by FILE... -->` above a block): tests/lint looks them up.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import click
import pytest
import yaml
from lxml import etree

from backstay.cli import cli
from backstay.cloud.parse import parse

REPOSITORY = Path(__file__).resolve().parents[3]
PAGES = sorted([*REPOSITORY.glob("docs/*.md"), REPOSITORY / "README.md"])
# How each tool tells its options; Pacemaker's have them in groups.
HELP = {
    "ansible-playbook": ("--help",),
    "attrd_updater": ("--help-all",),
    "cibadmin": ("--help-all",),
    "corosync-keygen": ("-h",),
    "corosync-quorumtool": ("-h",),
    "crm_attribute": ("--help-all",),
    "crm_mon": ("--help-all",),
    "crm_node": ("--help-all",),
    "crm_resource": ("--help-all",),
    "crm_standby": ("--help-all",),
    "fence_backstay_ipmi": ("--help",),
    "journalctl": ("--help",),
    "stonith_admin": ("--help-all",),
    "systemctl": ("--help",),
}
# Whose words nobody checks here: the shell's, an editor's, and tools that this machine may lack.
PLAIN = frozenset(
    """apt apt-get certtool cp crm drbdadm install ipmitool kill make openssl pcs pidof rm scp ssh touch virsh mkdir
    chmod chown cat gzip ip ping cd test grep ssh-keygen ssh-keyscan""".split()
)
PLAYED = "how-to-migrate.md"  # its scripts are played whole by tests/lab/test_domain_migration.py
FENCE = re.compile(r"^(\s*)```(\w*)\s*$")
DONE = re.compile(r"<!-- done by ([^>]*?) -->")


@dataclass(frozen=True)
class Block:
    """One block of code: its page, its first line, its language, its text, and the tests that carry it out."""

    page: str
    line: int
    kind: str
    text: str
    done: tuple[str, ...] = ()


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page, and the indented ones as sh where they begin with a command of ours."""
    found, body, kind, begun, done = [], [], None, 0, ()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if fence and kind is None:
            kind, begun, body = fence[2] or "text", number, []
        elif fence:
            found.append(Block(path.name, begun, kind, "\n".join(body), done))
            kind, done = None, ()
        elif kind is not None:
            body.append(line)
        elif re.match(r"^\s{4,}(backstay|crm_\w+|cibadmin) ", line) or (
            body and found and _goes_on(found[-1], number, line)
        ):
            if found and _goes_on(found[-1], number, line):
                last = found.pop()
                found.append(Block(last.page, last.line, "sh", f"{last.text}\n{line}", last.done))
            else:
                found.append(Block(path.name, number, "sh", line, done))
                done = ()
            body = [line]
        else:
            told = DONE.search(line)
            done = tuple(told[1].split()) if told else done if not line.strip() else ()
    return found


def _goes_on(block: Block, number: int, line: str) -> bool:
    """Whether a line belongs to the indented block that ended just before it."""
    return number == block.line + block.text.count("\n") + 1 and line.startswith("    ")


BLOCKS = [block for page in PAGES for block in blocks(page)]


def commands(block: Block) -> list[list[str]]:
    """The simple commands of a block, without comments, redirections and what `...` stands for."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    found: list[list[str]] = []
    for line in text.splitlines():
        lexer = shlex.shlex(re.sub(r"\$\((.*?)\)", r"X", line), posix=True, punctuation_chars=";|&<>")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words: list[str] = []
        skip = False
        for word in [*lexer, ";"]:
            if set(word) <= set(";|&"):
                if words:
                    found.append(words)
                words, skip = [], False
            elif set(word) <= set("<>"):
                skip = True
            elif skip:
                skip = False
            elif "..." not in word and not (not words and re.fullmatch(r"\w+=\S*", word)):
                words.append(word)
    return found


SH = [(block, words) for block in BLOCKS if block.kind == "sh" for words in commands(block)]
OURS = [(block, words) for block, words in SH if words[0] == "backstay"]


def test_pages_and_commands_are_found():
    assert len(PAGES) > 15
    assert {words[0] for _, words in SH} >= {"backstay", "crm_mon", "cibadmin", "systemctl"}
    assert len(OURS) >= 50
    assert sum(bool(block.done) for block in BLOCKS) > 10


def parsed(words: list[str]) -> click.Context:
    """The command line as the command itself reads it; nothing is carried out."""
    command: click.Command = cli
    context, name, rest = None, words[0], list(words[1:])
    while isinstance(command, click.Group) and (context is None or rest):
        context = command.make_context(name, rest, parent=context)
        protected = getattr(context, "_protected_args", None) or context.protected_args
        name, found, rest = command.resolve_command(context, [*protected, *context.args])
        assert found is not None
        command, name = found, name or ""
    return command.make_context(name, rest, parent=context)


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.kind == "sh"], ids=lambda b: f"{b.page}:{b.line}"
)
def test_each_command_is_one(block, need):
    for words in commands(block):
        name = Path(words[0]).name
        if name == "backstay":
            try:
                parsed(words)
            except click.UsageError as error:
                pytest.fail(f"{block.page}:{block.line}: {shlex.join(words)}: {error.format_message()}")
        elif name not in HELP and block.page == PLAYED:
            continue
        elif name in HELP:
            need_options(name, words, need)
        else:
            assert name in PLAIN or (REPOSITORY / "libexec" / name).exists(), (
                f"{block.page}:{block.line}: nobody looks at {words}"
            )
        for word in words:
            if word.startswith("<"):
                etree.fromstring(word)


def need_options(name, words, need):
    """Every option that is used stands in the tool's own help."""
    for before, word in pairwise(words):
        if before == "--parameter-value":
            continue
        option = word.partition("=")[0]
        if re.fullmatch(r"--[a-z][a-z-]+|-[A-Za-z]", option):
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", told(name, need)), (
                f"{name} has no {option}: {words}"
            )


@cache
def told(name: str, need) -> str:
    """What a tool says of its options."""
    tool = str(REPOSITORY / "fencing" / name) if (REPOSITORY / "fencing" / name).exists() else need(name)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    done = subprocess.run(
        [tool, *HELP[name]], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def mentioned() -> list[tuple[str, list[str]]]:
    """Each command of ours that stands in a sentence, with its place: there it may lack what it is about."""
    found = []
    for page in PAGES:
        text = re.sub(
            r"^ *```.*?^ *```",
            lambda block: "\n" * block[0].count("\n"),
            page.read_text("utf-8"),
            flags=re.DOTALL | re.MULTILINE,
        )
        for span in re.finditer(r"`(backstay [^`]+)`", text):
            words = [word for word in shlex.split(span[1]) if "..." not in word]
            found.append((f"{page.name}:{text.count(chr(10), 0, span.start()) + 1}", words))
    return found


def test_a_command_in_a_sentence_is_one_too(capsys):
    assert len(mentioned()) > 40
    for place, words in mentioned():
        try:
            parsed(words)
        except (click.MissingParameter, click.exceptions.Exit):
            pass  # without what it is about
        except click.BadOptionUsage as error:
            assert "requires an argument" in error.format_message(), f"{place}: {shlex.join(words)}"
        except click.UsageError as error:
            pytest.fail(f"{place}: {shlex.join(words)}: {error.format_message()}")
    capsys.readouterr()  # a group alone shows its help


def merged(base: dict, more: dict) -> dict:
    """A description with a fragment put into it."""
    both = {**base}
    for key, value in more.items():
        deep = isinstance(value, dict) and isinstance(base.get(key), dict)
        both[key] = merged(base[key], value) if deep else value
    return both


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.kind == "yaml"], ids=lambda b: f"{b.page}:{b.line}"
)
def test_each_description_and_each_fragment_of_one_is_right(block):
    given = yaml.load(block.text, yaml.BaseLoader)
    if "domains" not in given:
        given = merged(
            yaml.load(
                (REPOSITORY / "examples/three-hosts.yaml").read_text(encoding="utf-8"), yaml.BaseLoader
            ),
            given,
        )
    parse(yaml.safe_dump(given, sort_keys=False).encode(), f"{block.page}:{block.line}")


def test_the_index_names_every_page():
    index = (REPOSITORY / "docs/README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    assert named == {path.name for path in (REPOSITORY / "docs").glob("*.md")} - {"README.md"}


def test_no_link_leads_nowhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
