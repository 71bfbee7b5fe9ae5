# SPDX-License-Identifier: GPL-2.0-or-later
"""What is chosen for which cluster, and that an admin's word wins."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import pytest
from lxml import etree

from backstay.cib.document import write
from backstay.cib.files import files_of
from backstay.cib.render import render
from backstay.cib.templates import Templates
from backstay.cloud.model import Capacity, Policy, Quorum, QuorumDevice
from backstay.cloud.parse import read
from backstay.cloud.policy import choose, priority
from backstay.cloud.units import Seconds


@pytest.fixture(scope="module")
def three(repository):
    """The small example."""
    return read(repository / "examples" / "three-hosts.yaml")


@pytest.fixture(scope="module")
def two_sites(repository):
    """The large example."""
    return read(repository / "examples" / "two-sites.yaml")


@pytest.fixture(scope="module")
def shipped(repository):
    """The templates of the source tree."""
    return Templates([repository / "crm-templates"])


def of_hosts(cloud, count, **changes):
    """`cloud` with its first hosts only."""
    domains = tuple(replace(domain, prefers=()) for domain in cloud.domains)
    return replace(cloud, hosts=cloud.hosts[:count], domains=domains, **changes)


@pytest.mark.parametrize(
    ("hosts", "device", "duel", "wait"),
    [(1, False, False, False), (2, False, True, True), (2, True, False, False), (3, False, False, False)],
)
def test_two_hosts_without_a_third_vote_duel_and_wait(three, hosts, device, duel, wait):
    quorum = Quorum(device=QuorumDevice("10.9.9.9") if device else None)
    chosen = choose(of_hosts(three, hosts, quorum=quorum))
    assert (chosen.priority_fencing_delay is not None, chosen.tie_delay is not None) == (duel, duel)
    assert chosen.wait_for_all == wait
    conf = files_of(of_hosts(three, hosts, quorum=quorum))[0].content
    assert ("two_node: 1" in conf, "wait_for_all: 1" in conf, "model: net" in conf) == (duel, wait, device)


@pytest.mark.parametrize(("hosts", "hint"), [(2, False), (3, False), (4, True)])
def test_an_even_number_of_hosts_without_a_device_is_said(two_sites, hosts, hint):
    cloud = of_hosts(two_sites, hosts, quorum=Quorum())
    assert ("two halves" in files_of(cloud)[0].content) == hint
    assert "two halves" not in files_of(of_hosts(two_sites, hosts))[0].content


def test_the_first_full_member_wins_a_tie_wherever_it_stands(three, shipped):
    hosts = (replace(three.hosts[0], remote=True, nodeid=0, rings=()), *three.hosts[1:])
    cib = render(replace(three, hosts=hosts), shipped)
    delayed = [pair.get("id") for pair in cib.iter("nvpair") if pair.get("name") == "pcmk_delay_base"]
    assert delayed == ["backstay-param-pcmk_delay_base-fence-n2"]


def test_remote_hosts_are_no_third_vote(three):
    hosts = (*three.hosts[:2], replace(three.hosts[2], remote=True, nodeid=0, rings=()))
    assert choose(replace(three, hosts=hosts)).priority_fencing_delay == 15


def test_a_tie_is_shorter_than_the_delay_by_priority(three):
    chosen = choose(of_hosts(three, 2))
    assert chosen.tie_delay < chosen.priority_fencing_delay


def test_a_delay_of_nothing_is_none(three, shipped):
    """As for Pacemaker, whose default is 0 for both: so it is not written."""
    two = of_hosts(three, 2)
    off = replace(
        two, policy=Policy(priority_fencing_delay=Seconds(Fraction(0)), tie_delay=Seconds(Fraction(0)))
    )
    for cloud, written in ((two, 2), (off, 0)):
        names = [pair.get("name") for pair in render(cloud, shipped).iter("nvpair")]
        assert names.count("priority-fencing-delay") + names.count("pcmk_delay_base") == written
    assert choose(off).overruled == ("priority_fencing_delay", "tie_delay")
    assert (choose(off).priority_fencing_delay, choose(off).tie_delay) == (None, None)


def test_placement_follows_capacities(three):
    sized = tuple(replace(host, capacity=Capacity(2**36, 8)) for host in three.hosts)
    assert choose(three).placement == "default"
    assert choose(replace(three, hosts=sized)).placement == "balanced"
    assert choose(replace(three, hosts=sized[:2] + three.hosts[2:])).placement == "default"


@pytest.mark.parametrize("key", list(Policy.__dataclass_fields__))
def test_every_choice_can_be_overruled(two_sites, shipped, key):
    values = {
        "no_quorum": "stop", "placement": "minimal", "shutdown_lock": True, "stickiness": 7, "migration_threshold": 8,
        "migration_limit": 9,
    }  # fmt: skip
    own = Policy(
        **{key: values.get(key, 77), **({"shutdown_lock": True} if key == "shutdown_lock_limit" else {})}
    )
    cib = render(replace(two_sites, policy=own), shipped)
    value = {True: "true"}.get(values.get(key), str(values.get(key, "77s")))
    assert any(pair.get("value") == value for pair in cib.iter("nvpair")), key
    explained = write(render(replace(two_sites, policy=own), shipped, explain=True)).decode()
    assert re.search(rf"The description's policy says [a-z_, ]*\b{key}\b", explained)


def test_every_policy_has_its_reason_in_the_rendered_cib(two_sites, shipped):
    cib = render(two_sites, shipped, explain=True)
    for pair in cib.iterfind("configuration/crm_config/*/nvpair"):
        if pair.get("name") != "shutdown-lock-limit":
            assert isinstance(pair.getprevious(), etree._Comment), pair.get("name")


@pytest.mark.parametrize(
    ("importance", "gib", "sized", "expected"),
    [
        (0, 4, False, 0),
        (7, 4, False, 7),
        (0, 4, True, 4),
        (7, 4, True, 7004),
        (7, 5000, True, 7999),
        (1, 0, True, 1000),
    ],
)
def test_size_only_breaks_ties_of_importance(importance, gib, sized, expected):
    assert priority(importance, gib * 2**30, sized=sized) == expected


@pytest.mark.parametrize("name", ["three-hosts", "two-sites"])
def test_files_beside_the_cib_are_as_recorded(repository, golden, name):
    cloud = read(repository / "examples" / f"{name}.yaml")
    for file in files_of(cloud):
        golden(f"{name}/{file.name}", file.content)


def test_the_large_example_renders_as_recorded(two_sites, shipped, golden):
    golden("two-sites-explained.xml", write(render(two_sites, shipped, explain=True)).decode())


def test_a_path_for_systemd_is_taken_literally(three):
    from pathlib import PurePosixPath

    domain = replace(three.domains[0], snapshot=PurePosixPath('/srv/a "b" 50%/c\\d'))
    mounts = files_of(replace(three, domains=(domain,)))[1].content
    assert mounts.splitlines()[-2:] == [
        'RequiresMountsFor="/srv/a \\"b\\" 50%%/c\\\\d"',
        'RequiresMountsFor="/srv/vm/domains"',
    ]


@pytest.mark.parametrize(("lock", "said"), [(False, "go on elsewhere"), (True, "wait until it is back")])
def test_what_an_orderly_shutdown_does_has_its_reason(three, shipped, lock, said):
    """Also where Backstay's choice is Pacemaker's default, for which nothing is written."""
    cib = render(replace(three, policy=Policy(shutdown_lock=lock)), shipped, explain=True)
    (why,) = [one.text for one in cib.iter(etree.Comment) if "shut down in order" in one.text]
    assert said in " ".join(why.split())
    assert lock == any(pair.get("name") == "shutdown-lock" for pair in cib.iter("nvpair"))
