# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as disorder, and when the machine rather than the test is to blame."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from backstay.lab import cluster, order
from backstay.lab.layout import Layout

DATA = Path(__file__).parent / "data"
NODES = ("n1", "n2", "n3")
LOG = """\
Nov 20 09:39:22.394 [37] n1 corosync notice  [MAIN  ] Corosync Cluster Engine 3.1.7 starting up
Nov 20 09:41:02.100 [37] n1 corosync warning [MAIN  ] Corosync main process was not scheduled for 4711.2 ms (threshold is 2400.0 ms).
"""


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        ("fresh", []),
        ("failed", ["d1_monitor_5000 failed on n2 (7)"]),
        ("fenced", ["n3 is UNCLEAN", "d1_monitor_5000 failed on n2 (7)"]),
    ],
)
def test_disorder_of_the_cluster(recorded: str, found: list[str]) -> None:
    state = cluster.parse((DATA / f"crm_mon-{recorded}.xml").read_text(), "n1")
    assert order._of_cluster(state, NODES) == found


@pytest.mark.parametrize(
    ("path", "attribute", "value", "finding"),
    [
        ("resources/resource[@id='d2']", "failed", "true", "d2 is failed, blocked or unmanaged"),
        ("resources/resource[@id='d2']", "blocked", "true", "d2 is failed, blocked or unmanaged"),
        ("resources/resource[@id='d2']", "managed", "false", "d2 is failed, blocked or unmanaged"),
        ("resources/resource[@id='d2']", "orphaned", "true", "d2 is left over"),
        ("resources/resource[@id='off']", "target_role", "Started", "off does not run"),
        ("nodes/node[@name='n1']", "standby", "true", "n1 is standby"),
        ("nodes/node[@name='n1']", "maintenance", "true", "n1 is maintenance"),
        ("nodes/node[@name='n1']", "pending", "true", "n1 is pending"),
        ("nodes/node[@name='n1']", "online", "false", "n1 is offline"),
        ("summary/current_dc", "with_quorum", "false", "no quorum"),
    ],
)
def test_each_kind_of_disorder_is_said(path: str, attribute: str, value: str, finding: str) -> None:
    top = etree.fromstring((DATA / "crm_mon-failed.xml").read_bytes())
    (element,) = top.findall(path)
    element.set(attribute, value)
    state = cluster.parse(etree.tostring(top, encoding="unicode"), "n1")
    assert finding in order._of_cluster(state, NODES)


@pytest.mark.parametrize(
    ("seconds", "found"),
    [(0, []), (-1, ["Corosync on n1 was not scheduled for 4711 ms"]), (600, [])],
)
def test_a_starved_machine_is_seen_from_then_on(tmp_path: Path, seconds: float, found: list[str]) -> None:
    layout = Layout(tmp_path, tmp_path)
    log = layout.node("n1").root / "var/log/corosync/corosync.log"
    log.parent.mkdir(parents=True)
    log.write_text(LOG)
    since = datetime(2026, 11, 20, 9, 41, 2, 500000, tzinfo=UTC) + timedelta(seconds=seconds)
    assert order._starved(layout, "n1", since) == found


def test_no_log_is_no_blame(tmp_path: Path) -> None:
    assert order._starved(Layout(tmp_path, tmp_path), "n1", datetime.now(UTC)) == []
    assert order.blame(Layout(tmp_path, tmp_path), datetime.now(UTC)) == ()


def test_a_lab_that_is_not_there_is_not_mended(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "lab", tmp_path / "cache")
    assert order.restore(layout, NODES) == ("the lab has the nodes (none) instead of n1 n2 n3",)
    assert list(tmp_path.iterdir()) == []


def test_fencing_is_off_while_a_lab_is_tidied() -> None:
    wanted = '<configuration><crm_config><cluster_property_set id="a"><nvpair id="b" name="dc-deadtime" value="4s"/>'
    given = wanted + '<nvpair id="c" name="stonith-enabled" value="true"/></cluster_property_set>'
    found = order.unfenced(given)
    assert found.count("stonith-enabled") == 1
    assert 'name="stonith-enabled" value="false"' in found
    assert found.replace('<nvpair id="unfenced-while-tidied" name="stonith-enabled" value="false"/>', "") == (
        wanted + "</cluster_property_set>"
    )
