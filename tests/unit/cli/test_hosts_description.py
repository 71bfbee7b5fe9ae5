# SPDX-License-Identifier: GPL-2.0-or-later
"""The description for `backstay host`: which file is changed, when nothing is, and that nothing half-right is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.cli.hosts import _given
from backstay.cli.hosts_description import excluding, including
from backstay.errors import BadInput

TEXT = """\
cluster: {name: demo}  # mine
hosts:
  n1: {address: 10.0.0.1, bmc: {address: 10.0.1.1, username: f, password_file: /etc/pw}}
  n2:
    address: 10.0.0.2
    bmc: {address: 10.0.1.2, username: f, password_file: /etc/pw}
domains:
  web1: {config: /srv/web1.xml, memory: 1 GiB, vcpus: 2, uuid: 5a3c1f0e-7d64-4b51-9a0e-0d1b00000001}
"""
WORDS = ("address=10.0.0.3", "bmc.address=10.0.1.3", "bmc.username=f", "bmc.password_file=/etc/pw")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.yaml"
    path.write_text(TEXT)
    return path


def test_a_described_host_changes_nothing(file: Path) -> None:
    found = including(str(file), "n2", "")
    assert found.written
    found.write()
    assert file.read_text() == TEXT


def test_a_new_host_is_parsed_before_it_is_written(file: Path) -> None:
    found = including(str(file), "n3", _given("n3", None, WORDS))
    assert not found.written
    assert file.read_text() == TEXT
    host = found.host("n3")
    assert host is not None
    assert (host.nodeid, host.address) == (3, "10.0.0.3")
    found.write()
    assert including(str(file), "n3", "").written
    assert including(str(file), "n3", _given("n3", None, WORDS)).written


def test_another_entry_than_the_one_that_is_there(file: Path) -> None:
    with pytest.raises(BadInput, match="another entry for n2"):
        including(str(file), "n2", _given("n2", None, WORDS))
    same = ("address=10.0.0.2", "bmc.address=10.0.1.2", "bmc.username=f", "bmc.password_file=/etc/pw")
    assert including(str(file), "n2", _given("n2", None, same)).written
    assert file.read_text() == TEXT


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("n3", (), "has no host n3"),
        ("n3", ("address=10.0.0.1", *WORDS[1:]), "10.0.0.1"),
        ("n3", ("adress=10.0.0.3", *WORDS[1:]), "adress"),
        ("n3", WORDS[:1], "bmc"),
        ("n3", ("address",), "KEY=VALUE"),
        ("../x", WORDS, "../x"),
        ("", WORDS, "no host's name"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(
    file: Path, name: str, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(BadInput) as raised:
        including(str(file), name, _given(name, None, words))
    assert said in str(raised.value)
    assert file.read_text() == TEXT


def test_lines_that_the_file_does_not_have_are_said_to_be_those_of_the_entry(file: Path) -> None:
    with pytest.raises(BadInput) as raised:
        including(str(file), "n3", _given("n3", None, WORDS[:1]))
    assert "--set or --entry" in raised.value.hint
    file.write_text(TEXT.replace("memory: 1 GiB", "memory: lots"))
    with pytest.raises(BadInput, match="lots") as raised:
        including(str(file), "n3", _given("n3", None, WORDS))
    assert "mend the file" in raised.value.hint


def test_an_entry_from_a_file(file: Path, tmp_path: Path) -> None:
    given = tmp_path / "n3.yaml"
    given.write_text(
        "n3:\n  address: 10.0.0.3\n  bmc: {address: 10.0.1.3, username: f, password_file: /etc/pw}\n"
    )
    assert including(str(file), "n3", _given("n3", str(given), ())).host("n3") is not None
    with pytest.raises(BadInput, match="exclude"):
        _given("n3", str(given), WORDS)


def test_a_directory_of_files(file: Path, tmp_path: Path) -> None:
    hosts, _, domains = TEXT.partition("domains:")
    file.unlink()
    (tmp_path / "a.yaml").write_text(hosts)
    (tmp_path / "b.yaml").write_text("domains:" + domains)
    found = including(str(tmp_path), "n3", _given("n3", None, WORDS))
    found.write()
    assert "n3:" in (tmp_path / "a.yaml").read_text()
    assert (tmp_path / "b.yaml").read_text() == "domains:" + domains
    gone = excluding(str(tmp_path), "n3", {"n1": 1, "n2": 2, "n3": 3})
    assert [host.name for host in gone.cloud.hosts] == ["n1", "n2"]


def test_a_host_that_something_still_needs_is_not_taken_out(file: Path) -> None:
    file.write_text(TEXT.replace("vcpus: 2,", "vcpus: 2, prefers: n2,"))
    with pytest.raises(BadInput, match="n2"):
        excluding(str(file), "n2", {"n1": 1, "n2": 2})


def test_numbers_are_written_only_where_a_place_changes(file: Path) -> None:
    including(str(file), "n3", _given("n3", None, WORDS)).write()
    numbers = {"n1": 1, "n2": 2, "n3": 3}
    excluding(str(file), "n3", numbers).write()
    assert file.read_text() == TEXT
    including(str(file), "n3", _given("n3", None, WORDS)).write()
    gone = excluding(str(file), "n2", numbers)
    assert {host.name: host.nodeid for host in gone.cloud.hosts} == {"n1": 1, "n3": 3}


def test_what_is_wrong_with_another_entry_is_said_to_be_in_it(file: Path) -> None:
    with pytest.raises(BadInput, match="bmc") as raised:
        including(str(file), "n2", _given("n2", None, WORDS[:1]))
    assert "--set or --entry" in raised.value.hint
    assert file.read_text() == TEXT


def test_the_only_host_of_a_file_has_its_own_entry(tmp_path: Path) -> None:
    hosts, _, domains = TEXT.partition("domains:")
    begin, second, rest = hosts.partition("  n2:")
    (tmp_path / "a.yaml").write_text(begin + "domains:" + domains)
    (tmp_path / "b.yaml").write_text("hosts:\n" + second + rest)
    same = ("address=10.0.0.2", "bmc.address=10.0.1.2", "bmc.username=f", "bmc.password_file=/etc/pw")
    assert including(str(tmp_path), "n2", _given("n2", None, same)).written
    with pytest.raises(BadInput, match=r"b\.yaml has another entry for n2"):
        including(str(tmp_path), "n2", _given("n2", None, WORDS))


def test_a_number_that_is_given_and_another_one_is_another_entry(file: Path) -> None:
    file.write_text(TEXT.replace("    address: 10.0.0.2", "    nodeid: 2\n    address: 10.0.0.2").replace(
        "n1: {", "n1: {nodeid: 1, "))  # fmt: skip
    same = ("address=10.0.0.2", "bmc.address=10.0.1.2", "bmc.username=f", "bmc.password_file=/etc/pw")
    assert including(str(file), "n2", _given("n2", None, same)).written
    assert including(str(file), "n2", _given("n2", None, (*same, "nodeid=2"))).written
    with pytest.raises(BadInput, match="another entry for n2"):
        including(str(file), "n2", _given("n2", None, (*same, "nodeid=7")))


def test_what_is_no_yaml_is_named_with_its_place(file: Path, tmp_path: Path) -> None:
    file.write_text("cluster: {name: demo\nhosts: [\n")
    with pytest.raises(BadInput) as raised:
        including(str(file), "n3", _given("n3", None, WORDS))
    assert str(raised.value).startswith(f"{file}: it is no YAML in line 2, column ")
    assert "\n" not in str(raised.value)
    given = tmp_path / "n3.yaml"
    given.write_text("address: [\n")
    with pytest.raises(BadInput) as raised:
        _given("n3", str(given), ())
    assert str(raised.value).startswith(f"{given}: it is no YAML in line 2, column 1: ")


def test_a_section_that_nobody_can_change_is_named_with_its_file(file: Path) -> None:
    inline = "{n1: {address: 10.0.0.1, bmc: {address: 10.0.1.1, username: f, password_file: /etc/pw}}}"
    file.write_text(f"cluster: {{name: demo}}\nhosts: {inline}\n")
    with pytest.raises(BadInput, match="section `hosts` is not written as indented lines") as raised:
        including(str(file), "n3", _given("n3", None, WORDS))
    assert str(raised.value).startswith(f"{file}: ")
