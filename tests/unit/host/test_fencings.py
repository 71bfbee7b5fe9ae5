# SPDX-License-Identifier: GPL-2.0-or-later
"""Which fencings count as under way."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.host import fencings
from backstay.host.fencings import pending
from backstay.host.process import Completed

# Recorded from crm_mon of Pacemaker 2.1.5 on a host without a cluster, and with a CIB that it does not understand.
HEAD = '<pacemaker-result api-version="2.25" request="crm_mon --one-shot --output-as=xml">'
NO_CLUSTER = f"""{HEAD}
  <status code="102" message="Not connected">
    <errors>
      <error>error: Could not connect to launcher: Connection refused</error>
      <error>crm_mon: Connection to cluster failed: Connection refused</error>
    </errors>
  </status>
</pacemaker-result>
"""
NO_CIB = f"""{HEAD}
  <status code="0" message="OK">
    <errors>
      <error>Could not connect to the CIB: Update does not conform to the configured schema</error>
    </errors>
  </status>
</pacemaker-result>
"""


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


@pytest.mark.parametrize(
    ("code", "said", "reason"),
    [
        (102, NO_CLUSTER, "crm_mon: Connection to cluster failed: Connection refused"),
        (0, NO_CIB, "Could not connect to the CIB: Update does not conform to the configured schema"),
        (
            102,
            f'{HEAD}\n<status code="102" message="Not &quot;connected&quot;"/>\n</pacemaker-result>',
            'Not "connected"',
        ),
        (102, f"{HEAD}\n</pacemaker-result>", "it failed without a reason"),
        (1, "", "crm_mon ended with exit code 1 and said nothing"),
    ],
)
def test_a_cluster_that_does_not_answer_is_told_with_its_reason(monkeypatch, code, said, reason):
    monkeypatch.setattr(fencings, "run", lambda *_, **__: Completed(["crm_mon"], code, said, ""))
    with pytest.raises(CannotAsk) as caught:
        fencings.under_way(1.0)
    assert str(caught.value) == f"crm_mon does not tell what is being fenced: {reason}"
