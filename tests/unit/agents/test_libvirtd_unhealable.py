# SPDX-License-Identifier: GPL-2.0-or-later
"""What the libvirtd agent says of a libvirtd that cannot be healed, by what an admin wants of such a host."""

from __future__ import annotations

from typing import Any

import pytest

from backstay.agents.libvirtd import LibvirtdParameters
from backstay.agents.libvirtd_monitor import watch
from backstay.ocf.outcome import Outcome
from tests.unit.agents.libvirtd_fake import CRASHED, RECURRING, REFUSED, FakeHost, context

FENCES = {**RECURRING, "OCF_RESKEY_CRM_meta_on_fail": "fence"}


def given_up(host: FakeHost, environ: dict[str, str], **parameters: Any) -> Outcome:
    """What is said after the budget and the second look at the other hosts."""
    said = Outcome(0, "")
    for later in (0, 61, 20):
        host.time += later
        said = watch(context(host, LibvirtdParameters(**parameters), **environ), host)  # type: ignore[arg-type]
    return said


@pytest.mark.parametrize(
    ("unhealable", "environ", "guests", "code", "words"),
    [
        ("fence", FENCES, ("web1",), 1, "n2 can take its guests when it is fenced: web1"),
        ("fence", RECURRING, ("web1",), 1, "unhealable=fence fences nobody, for this monitor has no on-fail"),
        ("fence", FENCES, (), 190, "no guest runs here for which it would be fenced"),
        ("leave", RECURRING, (), 1, "n2 can take its guests"),
        ("leave", RECURRING, ("web1",), 1, "n2 can take its guests"),
        ("degrade", FENCES, ("web1",), 190, "unhealable=degrade"),
    ],
)
def test_each_way_of_giving_up_is_its_own(
    unhealable: str, environ: dict[str, str], guests: tuple[str, ...], code: int, words: str
) -> None:
    host = FakeHost(REFUSED, service=CRASHED, emulators=guests)
    outcome = given_up(host, environ, unhealable=unhealable)
    assert (outcome.code, words in outcome.reason) == (code, True), outcome
    assert ("fence" in outcome.reason) == (unhealable == "fence")
    assert [each for each in host.did if each.startswith("publish")][-1] == "publish broken:crashed"
