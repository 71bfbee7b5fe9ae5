# SPDX-License-Identifier: GPL-2.0-or-later
"""What a value in the environment becomes, and what is refused."""

from __future__ import annotations

import pytest

from backstay.ocf.codes import NOT_CONFIGURED
from backstay.ocf.parameters import (
    BadParameter,
    Parameters,
    Seconds,
    boolean,
    choice,
    integer,
    path,
    seconds,
    text,
)


def lower(given: str) -> str:
    return "" if given.islower() else "must be in small letters"


class Sample(Parameters):
    directory = path("where it is", required=True, unique_group="place")
    word = text("a word", check=lower, default="none")
    mode = choice("how", ("fast", "slow"), default="fast")
    wait = seconds("how long", default="1500ms", reloadable=True)
    limit = seconds("how long at most", default="0", zero=True)
    force = boolean("whether")
    count = integer("how many", default=3, minimum=1, maximum=9)


def read(lenient: bool = False, **given: str) -> Sample:
    given = {"directory": "/srv", **given}
    return Sample.read({f"OCF_RESKEY_{name}": value for name, value in given.items()}, lenient=lenient)


def test_defaults() -> None:
    sample = read()
    assert (sample.directory, sample.word, sample.mode) == ("/srv", "none", "fast")
    assert (sample.wait, sample.force, sample.count) == (1.5, False, 3)
    assert sample.warnings == ()


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("directory", "/a b/ü", "/a b/ü"),
        ("word", "yes", "yes"),
        ("word", "", "none"),
        ("mode", "slow", "slow"),
        ("mode", "", "fast"),
        ("wait", "2", 2.0),
        ("wait", "2.5s", 2.5),
        ("wait", "250ms", 0.25),
        ("wait", " 2min ", 120.0),
        ("wait", "1h", 3600.0),
        ("force", "TRUE", True),
        ("force", "1", True),
        ("force", "y", True),
        ("force", "Off", False),
        ("force", "no", False),
        ("count", "9", 9),
        ("count", " 1 ", 1),
    ],
)
def test_good_values(name: str, given: str, value: object) -> None:
    assert getattr(read(**{name: given}), name) == value


BAD = [
    ("directory", "srv", "must be an absolute path, not 'srv'"),
    ("directory", "", "must be set"),
    ("word", "NO", "must be in small letters, not 'NO'"),
    ("mode", "Fast", "must be one of fast, slow, not 'Fast'"),
    ("wait", "soon", "must be a time such as 30s, 500ms or 2min, not 'soon'"),
    ("wait", "3 weeks", "must be a time such as 30s, 500ms or 2min, not '3 weeks'"),
    ("wait", "-1s", "must be a time above zero, not '-1s'"),
    ("wait", "0", "must be a time above zero, not '0'"),
    ("limit", "-3", "must be a time above zero, or 0, not '-3'"),
    ("limit", "x", "must be a time such as 30s, 500ms or 2min, or 0, not 'x'"),
    ("wait", "nan", "must be a time such as 30s, 500ms or 2min, not 'nan'"),
    ("wait", "1e300", "must be a time above zero, not '1e300'"),
    ("force", "maybe", "must be true or false, not 'maybe'"),
    ("count", "1.5", "must be a whole number, not '1.5'"),
    ("count", "0", "must be at least 1, not '0'"),
    ("count", "10", "must be at most 9, not '10'"),
]


@pytest.mark.parametrize(("name", "given", "complaint"), BAD)
def test_bad_values_are_refused(name: str, given: str, complaint: str) -> None:
    with pytest.raises(BadParameter) as caught:
        read(**{name: given})
    assert str(caught.value) == f"parameter {name} {complaint}"
    assert caught.value.code == NOT_CONFIGURED


@pytest.mark.parametrize(("name", "given", "complaint"), BAD)
def test_bad_values_become_the_default_where_failing_would_hurt(
    name: str, given: str, complaint: str
) -> None:
    sample = read(lenient=True, **{name: given})
    assert sample.warnings == (f"parameter {name} {complaint}; the default is used",)
    assert sample.rejected == {name: given}
    assert getattr(sample, name) == getattr(Sample(), name)


def test_only_reloadable_ones_may_be_forgiven_alone() -> None:
    def read_with(name: str) -> Sample:
        environ = {"OCF_RESKEY_directory": "/srv", f"OCF_RESKEY_{name}": "wrong"}
        return Sample.read(environ, lenient=False, lenient_if_reloadable=True)

    assert read_with("wait").wait == 1.5
    with pytest.raises(BadParameter):
        read_with("count")


def test_made_by_hand_for_tests() -> None:
    assert Sample(wait=Seconds(4)).wait == 4.0
    assert Sample().directory == ""
    with pytest.raises(TypeError, match="no such parameter: wiat"):
        Sample(wiat=4)


def test_declared_in_order_and_inherited() -> None:
    class More(Sample):
        extra = text("more")

    names = [declared.name for declared in More.declared()]
    assert names == ["directory", "word", "mode", "wait", "limit", "force", "count", "extra"]
    assert More().extra == ""
    assert [declared.name for declared in Sample.declared()] == names[:-1]


def test_a_wrong_value_is_known_by_name() -> None:
    assert read(lenient=True).wrong == {}
    assert list(read(lenient=True, count="many", wait="long").wrong) == ["wait", "count"]


class Sometimes(Parameters):
    limit = seconds("how long", default="0", zero=True)


@pytest.mark.parametrize(("given", "value"), [("", 0.0), ("0", 0.0), ("0s", 0.0), ("10min", 600.0)])
def test_a_time_that_may_be_zero(given: str, value: float) -> None:
    assert Sometimes.read({"OCF_RESKEY_limit": given}, lenient=False).limit == value


@pytest.mark.parametrize("given", ["-1", "never", "00"])
def test_a_time_that_may_be_zero_is_still_a_time(given: str) -> None:
    with pytest.raises(BadParameter, match="parameter limit must be a time"):
        Sometimes.read({"OCF_RESKEY_limit": given}, lenient=False)
