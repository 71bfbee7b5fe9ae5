# SPDX-License-Identifier: GPL-2.0-or-later
"""What Pacemaker's own scheduler does when a datastore cannot be used: the promises of the template datastore.

A check that fails is started again alone; one that cannot be started sends the domains away alive; nothing is fenced
unless the description says so; and bringing a check to a running cloud touches no domain.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from lxml import etree

from backstay.cib.document import write
from backstay.cib.render import render
from backstay.cloud.stores import Storage
from tests.integration.cib.conftest import with_hosts
from tests.integration.cib.test_scheduler import DOMAINS, ON_N1, edited

CHECK = "vmstore-check"


def stored(example, reaction):
    """The example with its domains on an NFS share."""
    place = PurePosixPath("/srv/vm")
    store = Storage("vmstore", "nfs", place, server="filer", export=PurePosixPath("/vm"), reaction=reaction)
    checks = (store.watched_by,) if store.watched_by else ()
    domains = tuple(replace(domain, needs=(store.resource,), checks=checks) for domain in example.domains)
    return replace(example, storage=(store,), domains=domains)


@pytest.fixture
def settled(simulator, example, shipped):
    """`settled(reaction)` is a CIB file in which everything runs, and nothing is left to do."""

    def make(reaction):
        path = simulator.directory / f"{reaction}.xml"
        path.write_bytes(write(with_hosts(render(stored(example, reaction), shipped))))
        made = simulator.run(path, name=f"{reaction}-steady.xml").cib
        assert simulator.run(made, name="quiet.xml").summary == set()
        return made

    return make


def start_failed(simulator, steady):
    """A CIB file after the check on n1 failed and could not be started again, as the controller records it."""
    broken = simulator.run(
        steady, "-i", f"{CHECK}_monitor_20000@n1=1", "-F", f"{CHECK}_start_0@n1=1", name="broken.xml"
    )

    def fatal(root):
        (count,) = root.findall(f".//nvpair[@name='fail-count-{CHECK}#start_0']")
        count.set("value", "INFINITY")

    return edited(broken.cib, fatal)


@pytest.mark.parametrize("interval", ["20000", "300000"])
def test_a_failed_check_is_started_again_alone(simulator, settled, interval):
    transition = simulator.run(settled("leave"), "-i", f"{CHECK}_monitor_{interval}@n1=1")
    assert transition.summary == {("Recover", CHECK)}


def test_a_degraded_check_does_nothing(simulator, settled):
    assert simulator.run(settled("leave"), "-i", f"{CHECK}_monitor_20000@n1=190").summary == set()


def test_a_check_that_cannot_be_started_sends_its_domains_away_alive(simulator, settled):
    transition = simulator.run(start_failed(simulator, settled("leave")))
    assert transition.about(*DOMAINS, "n1", "n2", "n3", "vmstore") == {("Migrate", name) for name in ON_N1}
    assert simulator.run(transition.cib, name="after.xml").about(*DOMAINS) == set()


def test_where_it_is_only_reported_nobody_goes(simulator, settled):
    transition = simulator.run(start_failed(simulator, settled("degrade")))
    assert transition.about(*DOMAINS, "n1", "n2", "n3") == set()


def test_a_host_is_fenced_where_the_description_says_so(simulator, settled):
    transition = simulator.run(settled("fence"), "-i", f"{CHECK}_monitor_20000@n1=1")
    assert ("Fence", "n1") in transition.summary


def test_a_check_that_does_not_stop_fences_nothing(simulator, settled):
    options = ["-i", f"{CHECK}_monitor_20000@n1=1", "-F", f"{CHECK}_stop_0@n1=1"]
    first = simulator.run(settled("leave"), *options, name="first.xml")
    second = simulator.run(first.cib)
    assert first.summary | second.summary <= {("Recover", CHECK), ("Start", CHECK), ("Stop", CHECK)}


def test_a_running_cloud_gets_its_check_and_no_domain_notices(simulator, settled, example, shipped):
    tree = etree.parse(str(settled("none")))
    wanted = render(stored(example, "leave"), shipped)
    old = tree.getroot().find("configuration")
    for part in ("resources", "constraints"):
        old.replace(old.find(part), wanted.find(f"configuration/{part}"))
    watched = simulator.directory / "watched.xml"
    tree.write(str(watched))
    transition = simulator.run(watched)
    assert ("Start", CHECK) in transition.summary
    assert transition.about(*DOMAINS, "vmstore", "n1", "n2", "n3") == set()
