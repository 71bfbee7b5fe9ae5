# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose BMC it is: the table, row by row, and the byte orders of makers."""

from __future__ import annotations

import uuid

import pytest

from backstay.fencing.identity import Belongs, Identity, judge, spellings, usable

ONE, TWO, NEW = (uuid.uuid5(uuid.NAMESPACE_DNS, name) for name in ("n1", "n2", "new"))
KNOWN = {"n1": ONE.bytes.hex(), "n2": TWO.bytes.hex()}


@pytest.mark.parametrize(
    ("guid", "machines", "remembered", "seen", "expected"),
    [
        (None, {}, KNOWN, {}, Identity(Belongs.UNKNOWN)),
        (bytes(16), {}, KNOWN, {}, Identity(Belongs.UNKNOWN)),
        (ONE.bytes, {"n1": str(ONE)}, {}, {}, Identity(Belongs.PROVEN)),
        (ONE.bytes, {"n1": str(ONE).upper()}, {}, {}, Identity(Belongs.PROVEN)),
        (ONE.bytes, {"n0": str(ONE), "n1": str(ONE), "n2": str(ONE)}, {}, {}, Identity(Belongs.DOUBLED)),
        (ONE.bytes, {"n1": str(TWO), "n3": str(ONE), "n2": str(ONE)}, {}, {}, Identity(Belongs.OTHERS, "n2")),
        (ONE.bytes_le, {"n1": str(ONE)}, {}, {}, Identity(Belongs.PROVEN)),
        (ONE.bytes[::-1], {"n1": str(ONE)}, {}, {}, Identity(Belongs.PROVEN)),
        (ONE.bytes, {"n1": str(ONE)}, {"n1": TWO.bytes.hex()}, {}, Identity(Belongs.PROVEN)),
        (TWO.bytes, {"n1": str(ONE), "n2": str(TWO)}, {}, {}, Identity(Belongs.OTHERS, "n2")),
        (TWO.bytes, {"n2": str(TWO)}, KNOWN, {}, Identity(Belongs.OTHERS, "n2")),
        (ONE.bytes, {"n1": str(NEW)}, KNOWN, {}, Identity(Belongs.AS_BEFORE)),
        (ONE.bytes, {}, KNOWN, {}, Identity(Belongs.AS_BEFORE)),
        (ONE.bytes, {}, KNOWN, KNOWN, Identity(Belongs.AS_BEFORE)),
        (TWO.bytes, {}, KNOWN, {}, Identity(Belongs.OTHERS, "n2")),
        (TWO.bytes, {}, {"n2": TWO.bytes.hex()}, {}, Identity(Belongs.OTHERS, "n2")),
        (NEW.bytes, {}, KNOWN, {}, Identity(Belongs.CHANGED)),
        (NEW.bytes, {}, {}, {"n1": NEW.bytes.hex()}, Identity(Belongs.FIRST)),
        (NEW.bytes, {}, {}, {"n1": NEW.bytes.hex(), "n2": NEW.bytes.hex()}, Identity(Belongs.DOUBLED)),
    ],
)  # fmt: skip
def test_whose_bmc_it_is(guid, machines, remembered, seen, expected):
    assert judge("n1", guid, machines, remembered, seen) == expected


@pytest.mark.parametrize("belongs", list(Belongs))
def test_only_another_machine_is_wrong(belongs):
    assert belongs.wrong == (belongs in (Belongs.OTHERS, Belongs.CHANGED))


@pytest.mark.parametrize("guid", [None, bytes(16), b"\xff" * 16, b"\x03\x02" * 8, bytes(range(16)), b"short"])
def test_what_is_no_identity(guid):
    assert not usable(guid)


def test_all_byte_orders_of_one_machine_are_understood():
    for sent in (ONE.bytes, ONE.bytes_le, ONE.bytes[::-1]):
        assert str(ONE) in spellings(sent)
