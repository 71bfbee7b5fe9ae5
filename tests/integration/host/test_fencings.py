# SPDX-License-Identifier: GPL-2.0-or-later
"""What the real crm_mon says on a host without a cluster, as Backstay repeats it."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.host import crm_mon, fencings


@pytest.mark.parametrize("ask", [fencings.under_way, crm_mon.cluster])
def test_why_the_cluster_does_not_answer(need, ask) -> None:
    need("crm_mon")
    with pytest.raises(CannotAsk, match="Connection to cluster failed: Connection refused"):
        ask(30.0)
