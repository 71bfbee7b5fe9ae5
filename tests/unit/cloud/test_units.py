# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes and times as people write them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.cloud.units import (
    Bytes,
    Seconds,
    cib_duration,
    mebibytes,
    nearest_duration,
    nearest_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1 B", 1),
        ("128 MiB", 128 * 2**20),
        ("128MiB", 128 * 2**20),
        ("4 GiB", 4 * 2**30),
        ("0.5 GiB", 2**29),
        ("2 GB", 2 * 10**9),
        ("1 kB", 1000),
        ("1.5 TiB", 3 * 2**39),
    ],
)
def test_a_size_is_read_as_people_write_it(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "4G",
        "4 gib",
        "GiB",
        "-1 GiB",
        "4 GiB ",
        "4  GiB\n",
        "0x10 MiB",
        "1e3 MiB",
        "0.3 B",
        "٤ GiB",
        "9" * 40 + " B",
    ],
)
def test_a_size_without_a_clear_meaning_is_refused(text):
    with pytest.raises(ValueError):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("30 s", 30),
        ("2 min", 120),
        ("2min", 120),
        ("1 h", 3600),
        ("500 ms", Fraction(1, 2)),
        ("1.5 s", Fraction(3, 2)),
        ("1 minute", 60),
        ("24 h", 86400),
    ],
)
def test_a_time_is_read_as_people_write_it(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "30 m", "s", "-1s", "25 h", "0.0001 s", "30 S", "∞ s", "1 day"])
def test_a_time_without_a_clear_meaning_is_refused(text):
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(Fraction(30), "30s"), (Fraction(3, 2), "1500ms"), (Fraction(1, 1000), "1ms"), (Fraction(0), "0s")],
)
def test_pacemaker_gets_whole_numbers(seconds, text):
    assert cib_duration(Seconds(seconds)) == text


@given(st.integers(min_value=1, max_value=86_400_000))
def test_a_time_survives_the_way_into_the_cib(milliseconds):
    assert parse_duration(cib_duration(Seconds(Fraction(milliseconds, 1000)))) == Fraction(milliseconds, 1000)


def test_memory_is_rounded_up_to_whole_mebibytes():
    assert [mebibytes(Bytes(size)) for size in (1, 2**20, 2**20 + 1)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("4G", "4 GiB"),
        ("4 gib", "4 GiB"),
        ("512m", "512 MiB"),
        ("2 gb", "2 GB"),
        ("4", ""),
        ("4 X", ""),
        ("lots", ""),
    ],
)
def test_a_size_that_was_nearly_right_is_recognised(text, meant):
    assert nearest_size(text) == meant
    assert not meant or parse_size(meant)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("30", "30s"), ("30 S", "30s"), ("2m", "2 min"), ("2 mins", "2 min"), ("1 day", ""), ("soon", "")],
)
def test_a_time_that_was_nearly_right_is_recognised(text, meant):
    assert nearest_duration(text) == meant
    assert not meant or parse_duration(meant)
