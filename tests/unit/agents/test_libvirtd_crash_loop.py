# SPDX-License-Identifier: GPL-2.0-or-later
"""How often a libvirtd that crashes again and again is healed before that counts as trouble that healing does not end."""

from __future__ import annotations

from tests.unit.agents.libvirtd_fake import CRASHED, GOOD, NO_SOCKET, REFUSED, FakeHost
from tests.unit.agents.test_libvirtd_monitor import look


def crashes(host: FakeHost, times: int) -> list[str]:
    """Let it crash so many times, 20 s apart, and be healed of each; give what was said of the crashes."""
    said = []
    for _ in range(times):
        host.pings, host.service, host.sockets = [REFUSED], CRASHED, (NO_SOCKET,)
        said.append(look(host)[0].reason)
        host.time += 10
        host.pings = [GOOD]
        assert look(host)[0].code == 0
        host.time += 10
    return said


def test_a_crash_loop_is_healed_eight_times_in_ten_minutes_and_one_more_and_then_given_up() -> None:
    host = FakeHost(GOOD, emulators=())
    said = crashes(host, 10)
    assert ["healing it" in one for one in said] == [True] * 9 + [False]
    assert "it was healed too often; it cannot be healed here" in said[-1]
    assert len([deed for deed in host.did if deed.startswith("heal")]) == 9
    host.time += 600
    assert ["healing it" in one for one in crashes(host, 2)] == [True, True]
