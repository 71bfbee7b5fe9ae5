# SPDX-License-Identifier: GPL-2.0-or-later
"""What Pacemaker's own scheduler does with the rendered configuration when something breaks.

These are the promises of the templates' comments: libvirtd restarts alone; domains leave a host whose libvirtd cannot
be started, without fencing; a drain migrates; a lost host is fenced first.
"""

from __future__ import annotations

import pytest
from lxml import etree

DOMAINS = ("db1", "db2", "web1", "web2", "mail1", "mail2")
ON_N1 = ("db1", "web2")


def edited(path, change):
    """The CIB file `path` after `change(root)`."""
    tree = etree.parse(str(path))
    change(tree.getroot())
    tree.write(str(path))
    return path


def libvirtd_start_failed(simulator, steady):
    """A CIB file after libvirtd on n1 failed and could not be started again, as the controller records it."""
    broken = simulator.run(
        steady, "-i", "libvirtd_monitor_5000@n1=1", "-F", "libvirtd_start_0@n1=1", name="broken.xml"
    )

    def fatal(root):
        # With start-failure-is-fatal the controller writes INFINITY; crm_simulate counts by one.
        (count,) = root.findall(".//nvpair[@name='fail-count-libvirtd#start_0']")
        count.set("value", "INFINITY")

    return edited(broken.cib, fatal)


def standby(root):
    node = root.find("configuration/nodes/node[@uname='n1']")
    attributes = etree.SubElement(node, "instance_attributes", id="nodes-1")
    etree.SubElement(attributes, "nvpair", id="nodes-1-standby", name="standby", value="on")


def test_everything_starts_and_the_domains_are_spread(steady, running):
    where = running(steady)
    assert where["libvirtd"] == {"n1", "n2", "n3"}
    assert where["db1"] == {"n1"}
    assert where["db2"] == {"n2"}
    assert all(len(where[domain]) == 1 for domain in DOMAINS)
    assert sorted(sum(where[domain] == {host} for domain in DOMAINS) for host in ("n1", "n2", "n3")) == [
        2,
        2,
        2,
    ]
    assert all(f"n{number}" not in where[f"fence-n{number}"] for number in (1, 2, 3))


def test_a_failed_libvirtd_restarts_alone(simulator, steady):
    transition = simulator.run(steady, "-i", "libvirtd_monitor_5000@n1=1")
    assert transition.summary == {("Recover", "libvirtd")}
    assert transition.executed == [
        ("libvirtd", "stop", "n1"),
        ("libvirtd", "start", "n1"),
        ("libvirtd", "monitor=5000", "n1"),
        ("libvirtd", "monitor=60000", "n1"),
    ]


def test_a_libvirtd_that_cannot_be_started_sends_its_domains_away_and_fences_nothing(simulator, steady):
    transition = simulator.run(libvirtd_start_failed(simulator, steady))
    assert transition.about(*DOMAINS, "n1", "n2", "n3") == {("Migrate", "db1"), ("Migrate", "web2")}
    assert ("Stop", "libvirtd") in transition.summary
    assert simulator.run(transition.cib, name="after.xml").summary == set()


def test_when_the_migration_fails_too_they_are_stopped_there_and_started_elsewhere(
    simulator, steady, running
):
    broken = libvirtd_start_failed(simulator, steady)
    failed = simulator.run(broken, "-F", "db1_migrate_to_0@n1=1", name="failed.xml")
    transition = simulator.run(failed.cib)
    assert ("Recover", "db1") in transition.summary
    assert not {verb for verb, _ in transition.summary} & {"Fence"}
    db1 = [(action, host) for name, action, host in transition.executed if name == "db1"]
    assert db1.index(("stop", "n1")) < db1.index(("start", "n2"))
    assert simulator.run(transition.cib, name="after.xml").about(*DOMAINS) == set()


@pytest.mark.parametrize("action", ["stop", "monitor"])
def test_a_libvirtd_that_does_not_even_stop_fences_nothing(simulator, steady, action):
    options = ["-i", "libvirtd_monitor_5000@n1=1"] + (
        ["-F", "libvirtd_stop_0@n1=1"] if action == "stop" else []
    )
    first = simulator.run(steady, *options, name="first.xml")
    second = simulator.run(first.cib)
    assert first.summary | second.summary <= {("Recover", "libvirtd"), ("Start", "libvirtd")}


def test_a_domain_that_does_not_stop_fences_its_host(simulator, steady):
    first = simulator.run(steady, "-i", "db1_monitor_10000@n1=7", "-F", "db1_stop_0@n1=1", name="first.xml")
    assert ("Recover", "db1") in first.summary
    assert ("Fence", "n1") in simulator.run(first.cib).summary


def test_a_crashed_domain_comes_back_where_it_was(simulator, steady):
    transition = simulator.run(steady, "-i", "web2_monitor_10000@n1=7")
    assert transition.summary == {("Recover", "web2")}


def test_a_drain_migrates_and_libvirtd_stays_until_the_domains_are_gone(simulator, steady):
    transition = simulator.run(edited(steady, standby))
    assert transition.about(*DOMAINS) == {("Migrate", domain) for domain in ON_N1}
    order = [(name, action) for name, action, host in transition.executed if host == "n1"]
    assert all(order.index((domain, "stop")) < order.index(("libvirtd", "stop")) for domain in ON_N1)


def test_a_lost_host_is_fenced_and_its_domains_start_elsewhere(simulator, steady, running):
    transition = simulator.run(steady, "--node-fail", "n1")
    assert ("Fence", "n1") in transition.summary
    assert transition.about(*DOMAINS) == {("Move", domain) for domain in ON_N1}
    where = running(transition.cib)
    assert all(where[domain] & {"n2", "n3"} for domain in DOMAINS)


def test_a_host_that_comes_back_attracts_no_domain(simulator, steady):
    away = simulator.run(steady, "--node-fail", "n1", name="away.xml").cib
    back = simulator.run(away, "--node-up", "n1", name="back.xml")
    assert back.about(*DOMAINS) == set()
    assert ("Start", "libvirtd") in back.summary


def no_quorum(root):
    root.set("have-quorum", "0")


def switches(**values):
    """Set switches of web2 (which runs on n1), as an admin does it."""

    def change(root):
        meta = root.find(".//primitive[@id='web2']/meta_attributes")
        for name, value in values.items():
            attribute = name.replace("_", "-")
            etree.SubElement(
                meta, "nvpair", id=f"backstay-metas-web2-{attribute}", name=attribute, value=value
            )

    return change


@pytest.mark.parametrize("lost", [(), ("n2",), ("n2", "n3")], ids=["none", "one", "both"])
def test_without_quorum_a_host_keeps_its_domains_and_fences_nobody(simulator, steady, lost):
    away = [word for host in lost for word in ("--node-fail", host)]
    transition = simulator.run(edited(steady, no_quorum), "--quorum", "0", *away)
    assert transition.executed == []
    assert ("Fence", "n2") not in transition.summary


def test_without_quorum_nothing_is_started(simulator, empty):
    transition = simulator.run(edited(empty, no_quorum), "--quorum", "0")
    assert not [name for name, action, _ in transition.executed if action == "start"]


def test_an_unmanaged_domain_on_a_drained_host_harms_no_other(simulator, steady):
    transition = simulator.run(edited(edited(steady, standby), switches(is_managed="false")))
    assert transition.about(*DOMAINS) == {("Migrate", "db1")}


def test_an_unmanaged_domain_that_should_stop_harms_no_other(simulator, steady):
    transition = simulator.run(edited(steady, switches(is_managed="false", target_role="Stopped")))
    assert transition.summary == set()


def test_a_domain_that_is_switched_off_stops_alone(simulator, steady):
    assert simulator.run(edited(steady, switches(target_role="Stopped"))).summary == {("Stop", "web2")}


def test_more_importance_evicts_nobody_while_there_is_room(simulator, steady):
    def important(root):
        root.find(".//nvpair[@id='backstay-meta-priority-mail2']").set("value", "1000")

    assert simulator.run(edited(steady, important)).summary == set()


def probed(root):
    """Web2 as nobody has seen it yet: an agent that was just put in another's place, and a refresh."""
    for resource in root.iterfind(".//lrm_resource[@id='web2']"):
        resource.getparent().remove(resource)


@pytest.mark.parametrize(
    ("code", "follows"),
    [
        (2, set()),
        (5, set()),
        (6, {("Stop", "web2")}),
        (1, {("Recover", "web2")}),
        (7, {("Start", "web2")}),
    ],
)
def test_a_domain_that_no_host_can_see_is_left_alone_after_2(simulator, steady, code, follows):
    """What a domain agent answers whose hypervisor is refused (domain_hypervisor), and what other answers would do."""
    answers = [word for host in ("n1", "n2", "n3") for word in ("-i", f"web2_monitor_0@{host}={code}")]
    transition = simulator.run(edited(steady, probed), *answers)
    assert transition.about("web2", "n1", "n2", "n3") == follows
