# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and addresses that every part of the lab agrees on."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.errors import BadInput
from backstay.lab.layout import Layout, node_names


def test_the_facts_of_a_node() -> None:
    node = Layout(Path("/lab"), Path("/cache")).node("n2")
    assert (node.namespace, node.interface) == ("bk-n2", "bkn2")
    assert (node.address, node.bmc_address) == ("10.77.0.12", "10.77.0.202")
    assert node.witness == Path("/lab/witness/n2")


def test_the_environment_moves_lab_and_cache() -> None:
    assert Layout.from_environment({}) == Layout()
    moved = Layout.from_environment({"BACKSTAY_LAB": "/a", "BACKSTAY_CACHE": "/b"})
    assert (moved.directory, moved.cache) == (Path("/a"), Path("/b"))


@pytest.mark.parametrize("name", ["", "n", "n0", "n10", "x1", "../n1", "n1/", "N1"])
def test_no_other_name_is_a_node(name: str) -> None:
    with pytest.raises(BadInput, match="not the name of a lab node"):
        Layout().node(name)


@pytest.mark.parametrize("count", [0, -1, 10])
def test_no_other_count_is_a_lab(count: int) -> None:
    with pytest.raises(BadInput, match=f"not {count}"):
        node_names(count)


def test_names_are_those_on_the_disk(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path)
    assert layout.names() == ()
    for name in ("n2", "n1"):
        (tmp_path / "nodes" / name).mkdir(parents=True)
    assert layout.names() == ("n1", "n2") == node_names(2)
