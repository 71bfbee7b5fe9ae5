# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of whole agents share: the runtime without the effects of a real call."""

from __future__ import annotations

from typing import Any

import pytest

from backstay.ocf import runtime
from tests.unit.agents.domain_host import Texts


class Idle:
    """In the place of the runtime's alarm."""

    def __init__(self, *_given: object) -> None:
        pass

    def disarm(self) -> None:
        pass


@pytest.fixture(scope="module")
def quiet() -> Any:
    """The runtime without alarms, log and memory on the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "Backstop", Idle)
        patch.setattr(runtime, "State", lambda: Texts({}))
        patch.setattr("backstay.host.syslog.send", lambda *_line, **_fields: None)
        yield patch
