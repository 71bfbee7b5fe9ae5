# SPDX-License-Identifier: GPL-2.0-or-later
"""What a copy of a definition must be like to be believed."""

from __future__ import annotations

import pytest

from backstay.host.definition_copies import pack, unpack

CONFIG = "/srv/web1.xml"
CONTENT = b"<domain>\n\n<name>web1</name>\n</domain>\n"
PACKED = pack(CONFIG, CONTENT)


def test_a_whole_copy_gives_back_what_was_read() -> None:
    assert unpack(PACKED, CONFIG) == CONTENT
    assert unpack(pack(CONFIG, b""), CONFIG) == b""


@pytest.mark.parametrize("length", range(len(PACKED)))
def test_a_copy_that_was_cut_short_is_none(length: int) -> None:
    assert unpack(PACKED[:length], CONFIG) is None


@pytest.mark.parametrize("place", range(len(PACKED)))
def test_a_copy_with_one_wrong_byte_is_none(place: int) -> None:
    wrong = bytes([PACKED[place] ^ 1])
    assert unpack(PACKED[:place] + wrong + PACKED[place + 1 :], CONFIG) is None


def test_a_copy_of_another_config_is_none() -> None:
    assert unpack(PACKED, "/srv/web2.xml") is None
