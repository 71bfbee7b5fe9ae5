# SPDX-License-Identifier: GPL-2.0-or-later
"""What the nodes are given: every name, every address, the secrets for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.lab import configuration
from backstay.lab.configuration import File, Link
from backstay.lab.layout import Layout, node_names

LAYOUT = Layout(Path("/lab"), Path("/cache"))


def entries(count: int = 3) -> dict[str, File | Link]:
    made = configuration.common(LAYOUT, node_names(count), b"k" * 256, "secret")
    assert len({entry.path for entry in made}) == len(made)
    return {entry.path: entry for entry in made}


def test_secrets_are_readable_by_root_alone() -> None:
    for path in ("/etc/corosync/authkey", "/etc/backstay/bmc.password"):
        entry = entries()[path]
        assert isinstance(entry, File)
        assert entry.mode & 0o077 == 0


def test_the_password_has_no_newline() -> None:
    entry = entries()["/etc/backstay/bmc.password"]
    assert isinstance(entry, File)
    assert entry.content == "secret"


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_corosync_knows_every_node_once(count: int) -> None:
    text = configuration.corosync(LAYOUT, node_names(count))
    for number in range(1, count + 1):
        assert text.count(f"name: n{number}\n") == 1
        assert text.count(f"ring0_addr: 10.77.0.{10 + number}\n") == 1
        assert text.count(f"nodeid: {number}\n") == 1
    assert text.count("{") == text.count("}")
    assert ("two_node: 1" in text) is (count == 2)


def test_a_spare_node_is_known_by_name_and_no_member() -> None:
    made = configuration.common(LAYOUT, node_names(3), b"k" * 256, "secret", ["n3"])
    text = {entry.path: entry.content for entry in made if isinstance(entry, File)}
    assert "10.77.0.13 n3" in str(text["/etc/hosts"])
    assert "n3" not in str(text["/etc/corosync/corosync.conf"])
    assert "two_node: 1" in str(text["/etc/corosync/corosync.conf"])


def test_what_makes_a_member_is_what_all_nodes_are_given() -> None:
    assert set(configuration.OF_A_MEMBER) <= set(entries())


def test_hosts_names_nodes_and_bmcs() -> None:
    assert configuration.hosts(LAYOUT, ["n1"]).splitlines() == [
        "127.0.0.1 localhost",
        "10.77.0.1 labhost",
        "10.77.0.11 n1",
        "10.77.0.201 bmc-n1",
    ]


def test_what_runs_the_cluster_is_not_masked() -> None:
    masked = {
        e.path.rpartition("/")[2]
        for e in entries().values()
        if isinstance(e, Link) and e.target == "/dev/null"
    }
    assert not masked & set(configuration.ENABLED)
    assert "libvirt-guests.service" in masked


def test_nodes_have_different_identities() -> None:
    identities = {
        entry.content
        for name in node_names(9)
        for entry in configuration.own(name)
        if isinstance(entry, File)
    }
    assert len(identities) == 18
    assert all(len(text) == 33 for text in identities if len(text) > 4)


def test_writing_replaces_files_and_links(tmp_path: Path) -> None:
    made = [File("/etc/a", "text", 0o600), Link("/etc/b", "/dev/null"), File("/etc/c", b"\x00")]
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a").symlink_to("/somewhere/else")
    for _ in range(2):
        configuration.write(tmp_path, made)
    assert not (tmp_path / "etc/a").is_symlink()
    assert (tmp_path / "etc/a").read_text() == "text"
    assert (tmp_path / "etc/a").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc/b").readlink() == Path("/dev/null")
    assert (tmp_path / "etc/c").read_bytes() == b"\x00"
