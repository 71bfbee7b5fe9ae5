# SPDX-License-Identifier: GPL-2.0-or-later
"""Which hosts have current data, by the promotion scores in a live CIB."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.fencing.copies import PREFIX, copies


def found(scores: dict[str, str], name: str = f"{PREFIX}r0", provider: str = "linbit", **options: str):
    pairs = "".join(f'<nvpair id="{k}" name="{k}" value="{v}"/>' for k, v in options.items())
    states = "".join(
        f'<node_state uname="{host}"><transient_attributes id="{host}"><instance_attributes id="s-{host}">'
        f'<nvpair id="x-{host}" name="{name}" value="{score}"/></instance_attributes></transient_attributes></node_state>'
        for host, score in scores.items()
    )
    return copies(
        etree.fromstring(
            f'<cib><configuration><resources><clone id="c"><primitive id="r0" class="ocf" provider="{provider}" type="drbd">'
            f'<instance_attributes id="i">{pairs}</instance_attributes></primitive></clone>'
            '<primitive id="other" class="ocf" provider="heartbeat" type="Dummy"/></resources></configuration>'
            f"<status>{states}</status></cib>"
        )
    )


@pytest.mark.parametrize(
    ("scores", "hosts"),
    [
        ({"n1": "10000", "n2": "10000"}, {"n1", "n2"}),
        ({"n1": "10000", "n2": "10"}, {"n1"}),  # n2 only reaches n1's data
        ({"n1": "1000", "n2": "5"}, {"n1"}),
        ({"n1": "10000", "n2": "-INFINITY"}, {"n1"}),
        ({"n1": "10000"}, {"n1"}),
        ({}, set()),
    ],
)
def test_local_data_that_is_current_has_a_high_score(scores, hosts):
    assert found(scores) == {"r0": frozenset(hosts)}
    assert found(scores, f"{PREFIX}r0:0", "backstay") == {"r0": frozenset(hosts)}


def test_scores_that_an_admin_has_chosen():
    assert found({"n1": "300", "n2": "20"}, adjust_master_score="1 20 300 400") == {"r0": frozenset({"n1"})}


def test_the_score_of_another_resource_says_nothing():
    assert found({"n1": "10000"}, f"{PREFIX}r01") == {"r0": frozenset()}
