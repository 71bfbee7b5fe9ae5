# SPDX-License-Identifier: GPL-2.0-or-later
"""The file for drbd.d: what is in it for each generation, and what a description may not say."""

from __future__ import annotations

import pytest

from backstay.cib.files import files_of
from backstay.cloud.parse import parse
from backstay.cloud.problems import InvalidDescription

CLOUD = """\
cluster: {{name: demo}}
hosts:
  n1: {{address: 192.0.2.1, rings: [192.0.2.1, "2001:db8::1"], bmc: {{address: 192.0.2.101, username: u, password_file: /p}}}}
  n2: {{address: 192.0.2.2, rings: [192.0.2.2, "2001:db8::2"], bmc: {{address: 192.0.2.102, username: u, password_file: /p}}}}
  n3: {{address: 192.0.2.3, rings: [192.0.2.3, "2001:db8::3"], bmc: {{address: 192.0.2.103, username: u, password_file: /p}}}}
domains:
  web1: {{config: /srv/vm/web1.xml, memory: 1 GiB, vcpus: 1, {web1}}}
  web2: {{config: /srv/vm/web2.xml, memory: 1 GiB, vcpus: 1{web2}}}
"""
PLAIN = "drbd: {hosts: [n1, n2], port: 7790, volumes: {0: {disk: /dev/vg/web1, minor: 10}}}"


def described(web1=PLAIN, web2=""):
    return parse(CLOUD.format(web1=web1, web2=web2 and f", {web2}").encode(), "cloud.yaml")


def written(web1=PLAIN):
    files = [file for file in files_of(described(web1)) if file.name.startswith("drbd.d/")]
    assert [file.name for file in files] == ["drbd.d/web1.res"]
    return files[0].content


def options(text, section):
    """The lines of a section that are no comments."""
    inner = text.partition(f"  {section} {{\n")[2].partition("\n  }")[0]
    return [line.strip() for line in inner.splitlines() if not line.strip().startswith("#")]


def test_8_4_with_two_promoted_sides(golden):
    text = written()
    golden("drbd.d/two-hosts.res", text)
    assert options(text, "disk") == ["fencing resource-and-stonith;"]
    assert "allow-two-primaries yes;" in options(text, "net")
    assert "node-id" not in text


def test_9_with_two_hosts_is_promoted_by_the_cluster_alone():
    """DRBD 9 promotes whatever is opened for writing, unless it is told not to: nobody would ask the cluster."""
    text = written(PLAIN.replace("[n1, n2]", "[n1, n2], generation: 9"))
    assert options(text, "options") == ["auto-promote no;"]
    assert options(written(), "options") == []


def test_a_domain_that_does_not_move_alive_has_one_promoted_side():
    assert "allow-two-primaries" not in written(f"{PLAIN}, live_migration: no")


def test_9_with_three_hosts(golden):
    given = PLAIN.replace("[n1, n2]", "[n1, n2, n3], generation: 9, ring: 1") + ", live_migration: no"
    text = written(given)
    golden("drbd.d/three-hosts.res", text)
    assert {"quorum majority;", "on-no-quorum suspend-io;"} <= set(options(text, "options"))
    assert "fencing resource-and-stonith;" in options(text, "net")
    assert "address ipv6 [2001:db8::3]:7790;" in text
    assert text.count("node-id") == 3


def test_a_resource_without_volumes_is_the_admins():
    assert not [file for file in files_of(described("drbd: {hosts: [n1, n2]}")) if "drbd" in file.name]


@pytest.mark.parametrize(
    "web1,web2,said",
    [
        (PLAIN.replace("[n1, n2]", "[n1, n2, n3]"), "", "expected two hosts"),
        (PLAIN.replace("[n1, n2]", "[n1, n2, n3], generation: 9"), "", "`live_migration: no`"),
        (PLAIN.replace(" port: 7790,", ""), "", "without `port`"),
        (PLAIN.replace("[n1, n2]", "[n1, n2], ring: 2"), "", "a ring that `n1` has"),
        (PLAIN.replace("{0:", "{x:"), "", "a number from 0 on"),
        (PLAIN, PLAIN.replace("minor: 10", "minor: 11").replace("vg/web1", "vg/web2"), "a `port` of its own"),
        (PLAIN, PLAIN.replace("7790", "7791").replace("vg/web1", "vg/web2"), "a `minor` of its own"),
        (PLAIN, PLAIN.replace("7790", "7791").replace("minor: 10", "minor: 11"), "a block device of its own"),
        (PLAIN, "drbd: {hosts: [n1, n2], resource: web1}", "a DRBD resource of its own"),
    ],
)
def test_what_cannot_be(web1, web2, said):
    with pytest.raises(InvalidDescription) as found:
        described(web1, web2)
    assert said in str(found.value), found.value


def test_a_path_is_quoted_as_drbdadm_takes_it():
    """udev's own names of disks have backslashes in them (a blank is \\x20)."""
    text = written(
        r"""drbd: {hosts: [n1, n2], port: 7790, volumes: {0: {disk: '/dev/a\x20"b', minor: 10}}}"""
    )
    assert r'    disk "/dev/a\\x20\"b";' in text.splitlines()
