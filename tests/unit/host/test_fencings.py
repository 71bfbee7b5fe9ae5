# SPDX-License-Identifier: GPL-2.0-or-later
"""Which fencings count as under way."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.host.fencings import pending


@pytest.mark.parametrize(
    ("events", "hosts"),
    [
        ("", ()),
        ('<fence_event action="reboot" target="n2" status="success"/>', ()),
        ('<fence_event action="reboot" target="n2" status="failed"/>', ()),
        ('<fence_event action="off" target="n2" status="pending"/>', ("n2",)),
        (
            '<fence_event target="n3" status="pending"/><fence_event target="n2" status="pending"/>',
            ("n2", "n3"),
        ),
    ],
)
def test_only_what_has_not_ended_is_under_way(events, hosts):
    assert pending(f"<pacemaker-result><fence_history>{events}</fence_history></pacemaker-result>") == hosts


def test_nonsense_is_no_answer():
    with pytest.raises(CannotAsk, match="does not speak XML"):
        pending("Connection refused")
