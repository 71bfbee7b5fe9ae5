# SPDX-License-Identifier: GPL-2.0-or-later
"""What Prometheus reads of a host: valid for its own parser, and everything that the dashboard asks for is there."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backstay.cli import exposition, fence_metrics
from backstay.cli.exposition import Gauge
from backstay.cli.metrics_facts import Facts, gauges
from backstay.fencing.check import Report
from backstay.fencing.drill_marks import Record
from backstay.fencing.finding import Finding
from backstay.fencing.readiness import Cell, State
from backstay.host.guests import Guest

ATTRIBUTES = {
    "backstay-fencing": "not-ready:fence-n3",
    "backstay-agents": "ready",
    "backstay-libvirtd": "degraded:hung",
    "backstay-datastore-vmstore": "healthy:soft",
    "backstay-datastore-iso": "broken:gone",
    "backstay-drbd-mail1": "degraded:outdated",
    "backstay-frontend-one": "up",
    "backstay-strays": "a (u) runs twice; b (v) runs outside of libvirt and of the cluster (pid 1)",
    "backstay-memory-left": "10000",
}
GUESTS = (
    Guest("u1", "web1", "10.1"),
    Guest("u2", 'odd"name\\', "11.1", runs=False),
    Guest("u3", "stray", "12.1", accounted=False),
)
FACTS = Facts(1000.0, ATTRIBUTES, GUESTS, frozenset({"10.1", "97.1", "98.1", "99.1"}))
REPORT = Report(
    "n1",
    1000.0,
    (Cell("n1", "fence-n2", "n2", State.READY, 900.0), Cell("n1", "fence-n3", "n3", State.SILENT, 900.0)),
    (Finding("error", "x"),),
    {},
    {},
)


def parsed(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample, as Prometheus' own parser reads it; none may be there twice."""
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    found = {(one.name, frozenset(one.labels.items())): one.value for one in samples}
    assert len(found) == len(samples)
    return found


def sample(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_what_a_host_knows_of_itself_is_read_by_prometheus():
    found = parsed(exposition.text(gauges(FACTS)))
    assert found[sample("backstay_fencing_ready", state="not-ready:fence-n3")] == 0
    assert found[sample("backstay_agents_ready", state="ready")] == 1
    assert found[sample("backstay_libvirtd_healthy", state="degraded:hung")] == 0
    assert found[sample("backstay_datastore_usable", datastore="vmstore", state="healthy:soft")] == 1
    assert found[sample("backstay_datastore_usable", datastore="iso", state="broken:gone")] == 0
    assert found[sample("backstay_drbd_well", resource="mail1", state="degraded:outdated")] == 0
    assert found[sample("backstay_frontend_up", frontend="one", state="up")] == 1
    assert found[sample("backstay_strays")] == 2
    assert found[sample("backstay_domains", truth="running")] == 1
    assert found[sample("backstay_domains", truth="stopped")] == 3
    assert found[sample("backstay_guest_running", guest="web1", uuid="u1", of="cluster")] == 1
    assert found[sample("backstay_guest_running", guest='odd"name\\', uuid="u2", of="libvirt")] == 0
    assert found[sample("backstay_guest_running", guest="stray", uuid="u3", of="nobody")] == 1
    assert not any("10000" in str(labels) for _, labels in found)


def test_what_does_not_answer_is_left_out_and_said():
    found = parsed(exposition.text(gauges(Facts(1000.0, None, None, frozenset({"10.1"})))))
    assert found[sample("backstay_cluster_answers")] == 0
    assert found[sample("backstay_domains", truth="unknown")] == 1
    assert found[sample("backstay_domains", truth="running")] == 0
    assert {name for name, _ in found} == {
        "backstay_info",
        "backstay_metrics_timestamp_seconds",
        "backstay_cluster_answers",
        "backstay_domains",
    }


def names() -> set[str]:
    """Every metric that there is."""
    drills = [Record("n2", 900.0, "n1", "fence-n2", 2.4, 41.0)]
    fencing = parsed(fence_metrics.text(REPORT, drills))
    host = parsed(exposition.text(gauges(FACTS)))
    # Both files lie in one directory, and no exporter takes a metric from two files.
    assert {name for name, _ in fencing}.isdisjoint(name for name, _ in host)
    return {name for name, _ in (*fencing, *host)}


def test_names_and_units_are_as_prometheus_wants_them():
    """What promtool check metrics asks: a help, lower case, base units, no name of a type."""
    for gauge in gauges(FACTS):
        assert re.fullmatch(r"backstay_[a-z_]+", gauge.name)
        assert gauge.help.endswith(".")
        assert "\n" not in gauge.help
        assert not gauge.name.endswith(("_total", "_gauge", "_count", "_sum", "_bucket", "_minutes", "_ms"))


def test_the_dashboard_asks_only_for_what_there_is(repository):
    dashboard = json.loads((repository / "share/grafana/backstay.json").read_text(encoding="utf-8"))
    asked = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            found = set(re.findall(r"backstay_[a-z_]+", target["expr"]))
            assert found, panel["title"]
            asked |= found
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), panel["title"]
        assert panel["description"].endswith("."), panel["title"]
    assert asked - names() == set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_documentation_alarms_on_what_there_is(repository):
    text = (repository / "docs/how-to-be-told.md").read_text(encoding="utf-8")
    asked = set(re.findall(r"\bbackstay_[a-z_]+", text))
    assert asked - names() == set()
    assert len(asked) > 5


@pytest.mark.parametrize("value", ['"', "\\", "\n", '\\n"', "ü"])
def test_any_label_comes_through(value):
    found = parsed(exposition.text([Gauge("backstay_x", "A test.", (({"a": value}, 1),))]))
    assert found == {sample("backstay_x", a=value): 1}
