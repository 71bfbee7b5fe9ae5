# SPDX-License-Identifier: GPL-2.0-or-later
"""When what ran on a host has to be recovered: the whole table, and a cluster whose history is any."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.agents import recovery
from backstay.agents.recovery import (
    BACK,
    BEGUN,
    DONE,
    GIVE_BACK,
    HOLD,
    NOTE,
    RECOVER,
    SAME,
    SEEN,
    SETTLED,
    Fencing,
    Host,
    Record,
    decide,
    record,
)

OLD, NEW = Fencing(1000), Fencing(2000)


def host(online: bool, known: str = "", fenced: Fencing | None = None, **more: object) -> Host:
    return Host("n1", online=online, fenced=fenced, record=record(known), **more)  # type: ignore[arg-type]


TABLE = [
    # nobody kept records before: what runs is noted, and of what is gone nobody knows whether it came back since
    (host(True), NOTE, Fencing(0)),
    (host(True, fenced=OLD), NOTE, OLD),
    (host(False, fenced=OLD), HOLD, None),
    (host(False), HOLD, None),
    (host(False, unclean=True), HOLD, None),
    (host(False, fencing=True), HOLD, None),
    # a new fencing is due, whatever was before, and whether or not the host is back already
    (host(False, "1000 fenced seen", NEW), RECOVER, NEW),
    (host(False, "1000 fenced done", NEW), RECOVER, NEW),
    (host(False, "1000 fenced back", NEW), RECOVER, NEW),
    (host(False, "1000 fenced begun", NEW), RECOVER, NEW),
    (host(True, "1000 fenced back", NEW), RECOVER, NEW),
    # begun is gone on with: by whoever holds the role now, also without a history
    (host(False, "1000 fenced begun", OLD), RECOVER, OLD),
    (host(False, "1000 fenced begun"), RECOVER, OLD),
    (host(True, "1000 fenced begun"), RECOVER, OLD),
    (host(False, "1000 human begun"), RECOVER, Fencing(1000, human=True)),
    # once is enough, also when another host noted it a moment later
    (host(False, "1000 fenced done", OLD), SETTLED, None),
    (host(False, "1000 fenced done", Fencing(1000 + SAME)), SETTLED, None),
    (host(False, "1000 fenced done", Fencing(1000 + SAME + 1)), RECOVER, Fencing(1000 + SAME + 1)),
    (host(False, "1000 fenced done"), SETTLED, None),
    # a host that is not proven dead again
    (host(False, "1000 fenced back", OLD, unclean=True), HOLD, None),
    (host(False, "1000 fenced back", OLD, fencing=True), HOLD, None),
    (host(False, "1000 fenced done", OLD, unclean=True), HOLD, None),
    # left in order
    (host(False, "1000 fenced back", OLD), HOLD, None),
    (host(False, "0 fenced seen"), HOLD, None),
    # back
    (host(True, "1000 fenced done", OLD), GIVE_BACK, OLD),
    (host(True, "1000 fenced done", OLD, well="libvirtd is broken"), HOLD, None),
    (host(True, "1000 fenced back", OLD), SETTLED, None),
    (host(True, "1000 fenced seen", OLD), SETTLED, None),
    # garbage is no record
    (host(True, "yesterday"), NOTE, Fencing(0)),
    (host(False, "1000 fenced perhaps", OLD), HOLD, None),
]


@pytest.mark.parametrize(("seen", "verb", "fencing"), TABLE)
def test_the_table(seen: Host, verb: str, fencing: Fencing | None) -> None:
    decision = decide(seen)
    assert (decision.verb, decision.fencing) == (verb, fencing)
    assert bool(decision.said) == (verb in (HOLD, RECOVER, GIVE_BACK))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (host(False, unclean=True), "its state is not known: nothing is recovered; if you have seen it off"),
        (host(False, unclean=True, refusal="BMC refused"), "its fencing failed (BMC refused)"),
        (host(False, fencing=True, refusal="BMC refused"), "it is being fenced: nothing is recovered"),
        (host(False), "left the cluster in order (no fencing of it is known) and may still run guests"),
        (host(False, fenced=OLD), "fenced before records were kept, and may have come back since"),
        (host(False, "1 human begun"), "a human confirmed that it is off"),
        (host(True, "1 fenced done", well="a stray"), "is back, but not given to the manager: a stray"),
    ],
)
def test_the_reason_is_said(seen: Host, words: str) -> None:
    assert words in decide(seen).said


times = st.integers(0, 5000)
fencings = st.builds(Fencing, times, st.booleans())
records = st.one_of(
    st.none(), st.builds(Record, fencings, st.sampled_from(recovery.STATES), st.text(max_size=20))
)


@given(records)
def test_a_record_survives_being_written(known: Record | None) -> None:
    again = record(known.text()) if known else None
    assert (again.text() if again else None) == (known.text() if known else None)


@given(
    st.booleans(), st.booleans(), st.booleans(), st.one_of(st.none(), fencings), records, st.sampled_from(["", "x"])
)  # fmt: skip
def test_nothing_is_recovered_without_a_confirmed_fencing(
    online: bool, unclean: bool, fencing: bool, fenced: Fencing | None, known: Record | None, well: str
) -> None:
    seen = Host("n1", online=online, unclean=unclean, fencing=fencing, fenced=fenced, record=known, well=well)
    decision = decide(seen)
    begun = known.fencing if known and known.state == BEGUN else None
    if decision.verb == RECOVER:
        assert decision.fencing in (fenced, begun)
        assert decision.fencing is not None
        assert not (known and known.state == DONE and abs(decision.fencing.when - known.fencing.when) <= SAME)
    if not fenced and not begun:
        assert decision.verb != RECOVER
    if decision.verb == GIVE_BACK:
        assert online
        assert not well
        assert known is not None
        assert known.state == DONE


@given(
    st.lists(
        st.sampled_from(["die", "fail", "confirm", "fence", "come", "leave", "look", "crash"]), max_size=40
    )
)
def test_each_confirmed_fencing_is_recovered_exactly_once(events: list[str]) -> None:
    """A host to which anything happens, and a role that looks now and then and is lost in the middle of it."""
    now, online, unclean = 10_000, True, False
    fenced: Fencing | None = None
    known: Record | None = None
    due: set[int] = set()
    ended: list[int] = []
    for event in ["look", *events, "look"]:
        now += SAME + 1
        if event == "die" and online:
            online, unclean = False, True
        elif event in ("fence", "confirm") and unclean:
            fenced, unclean = Fencing(now, event == "confirm"), False
            due.add(now)
        elif event == "come" and not online and not unclean:
            online = True
        elif event == "leave" and online:
            online = False
        elif event in ("look", "crash"):
            for _ in range(4):
                decision = decide(Host("n1", online=online, unclean=unclean, fenced=fenced, record=known))
                if decision.verb == NOTE and decision.fencing:
                    known = Record(decision.fencing, SEEN)
                elif decision.verb == RECOVER and decision.fencing:
                    assert not unclean or (known and known.state == BEGUN)
                    known = Record(decision.fencing, BEGUN)
                    if event == "crash":
                        break
                    ended.append(decision.fencing.when)
                    known = Record(decision.fencing, DONE)
                elif decision.verb == GIVE_BACK and decision.fencing:
                    known = Record(decision.fencing, BACK)
                else:
                    break
    assert len(ended) == len(set(ended))
    # What was not recovered by itself was superseded by a later fencing before anybody looked.
    assert set(ended) <= due
    assert not due or max(due) in ended


def test_every_combination_has_an_answer() -> None:
    flags = [False, True]
    for online, unclean, fencing in itertools.product(flags, flags, flags):
        for state, fenced in itertools.product(["", *recovery.STATES], [None, OLD, NEW]):
            known = Record(OLD, state) if state else None
            seen = Host("n1", online=online, unclean=unclean, fencing=fencing, fenced=fenced, record=known)
            assert decide(seen).verb in (SETTLED, NOTE, RECOVER, GIVE_BACK, HOLD)
