# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory of files as one description."""

from __future__ import annotations

import pytest

from backstay.cloud.again import readings
from backstay.cloud.parse import parse_files, read
from backstay.cloud.problems import InvalidDescription, Report
from backstay.cloud.tree import read_tree
from backstay.errors import BadInput

CLUSTER = b"cluster: {name: demo}\n"
HOSTS = b"hosts: {n1: {address: 10.0.0.1, bmc: {address: 10.0.1.1, username: f, password_file: /p}}}\n"
WEB = b"domains:\n  web1: {config: /srv/web1.xml, memory: 1 GiB, vcpus: 1}\n"
DB = b"domains:\n  db1: {config: /srv/db1.xml, memory: 1 GiB, vcpus: 1}\n"


def problems(*files):
    """What is said about files called a.yaml, b.yaml, ..."""
    with pytest.raises(InvalidDescription) as caught:
        parse_files([(f"{name}.yaml", data) for name, data in zip("abcdef", files, strict=False)], "cloud.d")
    return [str(problem) for problem in caught.value.problems]


def test_sections_of_several_files_are_joined_in_the_order_of_the_names(tmp_path):
    for name, data in (
        ("10.yaml", CLUSTER + HOSTS),
        ("30-web.yml", WEB),
        ("20-db.yaml", DB),
        ("note.txt", b"{"),
    ):
        (tmp_path / name).write_bytes(data)
    assert [domain.name for domain in read(tmp_path).domains] == ["db1", "web1"]


def test_a_problem_names_its_file():
    assert problems(CLUSTER + HOSTS, WEB.replace(b"1 GiB", b"1"), DB.replace(b"vcpus", b"vcpu")) == [
        "b.yaml:2:41: found `1` for `memory`, expected a size such as `512 MiB` or `4 GiB`",
        "c.yaml:2:8: found the domain `db1` without `vcpus`, expected the key `vcpus`",
        "c.yaml:2:46: found the key `vcpu` in the domain `db1`, expected one of config, uuid, memory, vcpus, disks, "
        "hypervisor, storage, drbd, importance, prefers, after, live_migration and 16 more (did you mean `vcpus`?)",
    ]


def test_a_name_in_two_files_is_reported_with_both_places():
    assert problems(CLUSTER + HOSTS, WEB, WEB, b"cluster: {name: other}\n") == [
        "c.yaml:2:3: found the key `web1` again, expected each key once (first in b.yaml line 2)",
        "d.yaml:1:11: found the key `name` again, expected each key once (first in a.yaml line 1)",
    ]


def test_what_is_wrong_with_each_of_those_that_have_one_name_is_said():
    """Of two files, of one, of the third, of what is in the second; and nothing of what is right about them."""
    second = HOSTS.replace(b"10.0.0.1", b"10.0.0.300")
    third = WEB.replace(b"/srv/web1.xml", b"web1.xml").replace(b"vcpus: 1", b"vcpus: 1, vcpus: x")
    assert problems(CLUSTER + HOSTS, second, WEB, WEB, third) == [
        "b.yaml:1:9: found the key `n1` again, expected each key once (first in a.yaml line 2)",
        "b.yaml:1:23: found `10.0.0.300` for `address`, expected an IP address or a DNS name",
        "d.yaml:2:3: found the key `web1` again, expected each key once (first in c.yaml line 2)",
        "e.yaml:2:3: found the key `web1` again, expected each key once (first in c.yaml line 2)",
        "e.yaml:2:18: found `web1.xml` for `config`, expected an absolute path such as "
        "`/srv/vm/domains/web1.xml`",
        "e.yaml:2:53: found the key `vcpus` again, expected each key once (first in line 2)",
        "e.yaml:2:60: found `x` for `vcpus`, expected a whole number from 1 to 4096",
    ]


def test_a_second_name_and_its_keys_are_judged_as_the_first():
    twice = (
        b"hosts:\n"
        + b"  n 1: {address: 10.0.0.1, bmcs: {}, bmc: {address: 10.0.1.1, username: f, password_file: /p}}\n"
        * 2
    )
    said = problems(CLUSTER + twice, WEB)
    assert [line[:9] for line in said if "the host `n 1`, expected a name" in line] == [
        "a.yaml:3:",
        "a.yaml:4:",
    ]
    assert [line[:9] for line in said if "the key `bmcs`" in line] == ["a.yaml:3:", "a.yaml:4:"]


def test_what_stood_first_is_in_its_place_afterwards():
    root = read_tree(b"a: 1\na: {b: 2, b: 3}\na: 4\n", Report(""))
    seen = []
    for _ in readings(root):
        seen.append(root.items["a"][1])
    assert [type(each).__name__ for each in seen] == ["Mapping", "Mapping", "Scalar"]
    assert (seen[0].items["b"][1].value, root.items["a"][1].value) == ("2", "1")


def test_what_repeats_without_end_is_not_read_without_end():
    many = b"domains:\n" + b"  web1: {vcpus: x}\n" * 300
    said = problems(CLUSTER + HOSTS, many)
    assert len([line for line in said if "for `vcpus`" in line]) == 9


def test_what_is_shared_by_hosts_of_two_files_is_reported():
    more = HOSTS.replace(b"n1", b"n2").replace(b"10.0.1.1", b"10.0.1.2")
    assert problems(CLUSTER + HOSTS, more, WEB) == [
        "b.yaml:1:23: found `10.0.0.1` for the host `n2`, expected an address of its own (the host `n1` has this one)"
    ]


def test_files_that_cannot_be_read_are_all_that_is_said():
    said = problems(CLUSTER + HOSTS, b"domains: {{\n", DB, b"x: \xff")
    assert [line.rpartition(": found")[0] for line in said] == ["b.yaml:1:11", "d.yaml:1:4"]


def test_a_list_among_the_files_is_reported():
    assert problems(CLUSTER + HOSTS, b"- x\n", WEB) == [
        "b.yaml:1:1: found a list for a cloud description, expected a mapping with keys"
    ]


def test_a_directory_without_a_description_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match=r"has no \*\.yaml file"):
        read(tmp_path)


def test_what_a_file_that_cannot_be_read_would_have_said_is_not_missed():
    said = problems(CLUSTER + b"quorum: {\n", HOSTS, DB)
    assert len(said) == 1
    assert said[0].startswith("a.yaml:")
