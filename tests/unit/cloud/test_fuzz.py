# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever bytes a description has: it is understood, or refused with the places; nothing else ever happens."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.cloud.parse import parse
from backstay.cloud.problems import InvalidDescription
from tests.unit.cloud.test_parse import GOOD

WORDS = st.sampled_from(
    ["cluster", "hosts", "domains", "n1", "n2", "web1", "bmc", "prefers", "memory", "1 GiB", "", "~", "'", '"', "{", "}",
     "[", "]", ":", ": ", "- ", "\n", "\n  ", "\n    ", "&a", "*a", "!!x ", "|", ">", "#", "---", "...", "%", "\t", "<<", "\ufeff"]
)  # fmt: skip


def understood_or_refused(data):
    try:
        parse(data, "c.yaml")
    except InvalidDescription as error:
        assert error.exit_code == 2
        assert error.problems
        assert all(problem.position.line >= 1 and problem.position.column >= 1 for problem in error.problems)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    understood_or_refused(data)


@settings(deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(max_size=8)), max_size=40).map("".join))
def test_any_text_that_looks_like_yaml(text):
    understood_or_refused(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, 40), st.one_of(WORDS, st.text(max_size=5)))
def test_a_good_description_with_one_wound(place, length, scar):
    understood_or_refused((GOOD[:place] + scar + GOOD[place + length :]).encode("utf-8", "surrogatepass"))


def test_lines_in_any_order():
    lines = GOOD.splitlines(keepends=True)
    chance = random.Random(7)
    for _ in range(300):
        chance.shuffle(lines)
        understood_or_refused("".join(lines).encode())


def test_no_nesting_exhausts_the_stack():
    for opening in ("[", "{a: ", "- ", "? "):
        understood_or_refused(opening.encode() * 100_000)
