# SPDX-License-Identifier: GPL-2.0-or-later
"""Each block of commands in the documentation names the tests that carry it out, or has a reason here why none does."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest

from tests.integration.docs.test_commands import BLOCKS, PLAIN, REPOSITORY, commands

WHOLE = ("test_commands_run.py",)  # takes each block that names it as it stands


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.done], ids=lambda b: f"{b.page}:{b.line}"
)
def test_what_is_said_to_be_done_by_a_test_is(block):
    """Each test that is named is there, and together they have each kind of command of the block in them.

    Of a command of ours that is each word of its verb and each option, by its name or as what it becomes in Python.
    """
    texts = [(REPOSITORY / name).read_text(encoding="utf-8") for name in block.done]
    said = "\n".join(texts)
    if any(
        Path(name).name in WHOLE or block.page in text for name, text in zip(block.done, texts, strict=True)
    ):
        return  # it reads the page itself, and carries out the block as it stands
    for words in commands(block):
        name = Path(words[0]).name
        if name in PLAIN or name == "crm_mon":  # by which every test of the lab looks at the cluster
            continue
        wanted = asked(words) if name.startswith(("backstay", "fence_backstay")) else [name]
        missing = [
            word for word in wanted if word not in said and f"{word[2:].replace('-', '_')}=True" not in said
        ]
        assert missing == [], f"{block.page}:{block.line}: no test named there has {missing} of {words}"


def asked(words):
    """The words of the verb, and the options with two dashes."""
    verb = list(takewhile(re.compile("[a-z]+").fullmatch, words[1:]))
    return verb + [word.partition("=")[0] for word in words[1:] if word.startswith("--")]


NOT_DONE = {
    "stonith_admin --confirm n3": "a human's word about a machine; the lab's tests give it by `backstay recover`",
    "systemctl show --property=After resource-agents-deps.target": "asks the admin's own system",
    "ipmitool user set name 5 fencer2": "the BMC of the machine itself, which a simulator is not",
    "cibadmin --query --xpath": "a cluster that has just moved a guest; each option is looked up",
}
"""The blocks that no test carries out, by how they begin, and why: their commands and options are only looked up."""


def test_every_block_is_carried_out_or_has_a_reason_why_not():
    idle = [block for block in BLOCKS if block.kind == "sh" and not block.done]
    first = [" ".join(commands(block)[0]) for block in idle]
    reasons = [[begin for begin in NOT_DONE if words.startswith(begin)] for words in first]
    without = [f"{block.page}:{block.line}" for block, found in zip(idle, reasons, strict=True) if not found]
    assert without == [], (
        "name the tests that carry it out (<!-- done by FILE... -->), or say in NOT_DONE why none does"
    )
    assert {begin for found in reasons for begin in found} == set(NOT_DONE)
