# SPDX-License-Identifier: GPL-2.0-or-later
"""A host's entry in the text of a description: what was there stays byte for byte."""

from __future__ import annotations

import pytest

from backstay.cloud import entry
from backstay.cloud.parse import parse
from backstay.errors import BadInput

TEXT = """\
# my cloud
cluster: {name: demo}   # its name
hosts:
  n1:
    address: 10.0.0.1
    bmc: {address: 10.0.1.1, username: fencer, password_file: /etc/pw}

  # the other one
  n2: {address: 10.0.0.2, bmc: {address: 10.0.1.2, username: f, password_file: /etc/pw}}
  n3:
    address: 10.0.0.3  # in the corner
    bmc:
      address: 10.0.1.3
      username: fencer
      password_file: "/etc/pw"   # the last word

# what runs
domains:
  web1:
    config: /srv/web1.xml
    memory: 1 GiB
    vcpus: 2
"""
GIVEN = {
    "address": "10.0.0.4", "bmc.address": "10.0.1.4", "bmc.username": "fencer", "bmc.password_file": "/etc/pw",
}  # fmt: skip
IDS = {"n1": 1, "n2": 2, "n3": 3}


def ids(text: str) -> dict[str, int]:
    return {host.name: host.nodeid for host in parse(text.encode(), "x").hosts}


def test_a_host_is_put_behind_the_last_one() -> None:
    new = entry.with_host(TEXT, "n4", entry.block(GIVEN))
    before, _, after = TEXT.partition('password_file: "/etc/pw"   # the last word\n')
    assert new.startswith(before)
    assert new.endswith(after)
    cloud = parse(new.encode(), "x")
    assert [host.name for host in cloud.hosts] == ["n1", "n2", "n3", "n4"]
    assert cloud.hosts[:3] == parse(TEXT.encode(), "x").hosts
    assert cloud.hosts[3].bmc is not None
    assert cloud.hosts[3].bmc.address == "10.0.1.4"


def test_there_and_back_is_the_same_text() -> None:
    assert entry.without_host(entry.with_host(TEXT, "n4", entry.block(GIVEN)), "n4", {}) == TEXT


def test_a_new_host_has_a_number_where_all_have_one() -> None:
    numbered = entry.without_host(TEXT, "n1", IDS)
    assert ids(numbered) == {"n2": 2, "n3": 3}
    assert ids(entry.with_host(numbered, "n4", entry.block(GIVEN)))["n4"] == 4


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_those_that_stay_keep_their_numbers(name: str) -> None:
    new = entry.without_host(TEXT, name, IDS)
    assert ids(new) == {other: number for other, number in IDS.items() if other != name}
    assert "# the other one" in new
    assert "# what runs" in new
    assert parse(new.encode(), "x").domains == parse(TEXT.encode(), "x").domains


def test_a_host_that_is_not_there_changes_nothing() -> None:
    assert entry.without_host(TEXT, "n9", IDS) == TEXT
    assert entry.mentions(TEXT, "n3")
    assert not entry.mentions(TEXT, "web1")


def test_a_text_without_a_last_newline() -> None:
    text = TEXT.partition("\n# what runs")[0].rstrip("\n")
    new = entry.with_host(text, "n4", "address: 10.0.0.4")
    assert new.endswith("  n4:\n    address: 10.0.0.4\n")


@pytest.mark.parametrize("text", ["cluster: {name: x}\n", "hosts: {n1: {address: a}}\n", "hosts:\n  []\n"])
def test_what_is_not_written_in_lines_is_left_to_the_admin(text: str) -> None:
    with pytest.raises(BadInput):
        entry.with_host(text, "n4", "address: x")


def test_braces_are_left_to_the_admin() -> None:
    with pytest.raises(BadInput, match="braces"):
        entry.without_host("hosts: {n1: {address: a}, n2: {address: b}}\n", "n2", {})


def test_an_entry_of_a_file() -> None:
    bare = "# from Puppet\naddress: 10.0.0.4\nbmc:\n  address: 10.0.1.4\n"
    assert entry.entry_of(bare, "n4") == bare
    named = "n4:\n  address: 10.0.0.4\n  bmc:\n    address: 10.0.1.4\n"
    assert entry.entry_of(named, "n4") == "address: 10.0.0.4\nbmc:\n  address: 10.0.1.4\n"
    for bad in ("", "- a\n", "n4: {address: x}\n", "a: [\n"):
        with pytest.raises(BadInput):
            entry.entry_of(bad, "n4")


def test_words_become_an_entry() -> None:
    assert entry.block({"address": "a", "capacity.cpu": "8", "capacity.memory": "64 GiB"}) == (
        "address: a\ncapacity:\n  cpu: 8\n  memory: 64 GiB\n"
    )
    with pytest.raises(BadInput):
        entry.block({"bmc": "x", "bmc.address": "y"})


def test_a_hostile_value_stays_a_value() -> None:
    with pytest.raises(BadInput, match="no YAML"):
        entry.block({"address": "x\n  evil: {a: b}"})
    text = entry.with_host(TEXT, "n4", entry.block({"address": "'x\n\n  evil: {a: b}\n\n#'"}))
    with pytest.raises(BadInput):
        parse(text.encode(), "x")
    assert entry.without_host(text, "n4", {}) == TEXT
