# SPDX-License-Identifier: GPL-2.0-or-later
"""A corosync.conf with other members: what the admin wrote besides stays, and what would get lost is said."""

from __future__ import annotations

import pytest

from backstay.cib import corosync_text as text_of
from backstay.errors import BadInput

NODE = "  node {{\n    ring0_addr: 10.0.0.{0}\n    name: n{0}\n    nodeid: {0}\n  }}\n"


def rendered(*numbers: int, quorum: str = "") -> str:
    nodes = "".join(NODE.format(number) for number in numbers)
    return (
        "totem {\n  version: 2\n  cluster_name: demo\n}\n"
        f"nodelist {{\n{nodes}}}\nquorum {{\n  provider: corosync_votequorum\n{quorum}}}\n"
    )


HAND_MADE = """\
# by hand
totem {
    version: 2
    cluster_name: demo
    token: 5000     # slow switches
    interface {
        linknumber: 0
        knet_transport: udp
    }
}
quorum {
    # mine
    two_node: 1
    provider: corosync_votequorum
}
nodelist {
    node {
        nodeid: 1
        name: n1
        ring0_addr: 10.0.0.1
    }
    node {
        name: n2
        nodeid: 2
        ring0_addr: 10.0.0.2
    }
}
logging {
    to_syslog: yes
}
"""


def test_members_and_quorum_are_new_and_the_rest_is_the_admins() -> None:
    new = text_of.renewed(HAND_MADE, rendered(1, 2, 3), 7)
    assert text_of.version(new) == 7
    assert list(text_of.members(new)) == ["n1", "n2", "n3"]
    assert "two_node" not in new
    for line in ("token: 5000     # slow switches", "knet_transport: udp", "to_syslog: yes", "# by hand"):
        assert line in new
    assert text_of.same_members(new, rendered(1, 2, 3))
    assert [block.name for block in text_of.blocks(new)] == ["totem", "quorum", "nodelist", "logging"]


def test_once_more_is_the_same_text() -> None:
    once = text_of.renewed(HAND_MADE, rendered(1, 2, 3), 7)
    assert text_of.renewed(once, rendered(1, 2, 3), 7) == once
    assert text_of.version(text_of.renewed(once, rendered(1, 2), 8)) == 8


def test_what_only_looks_different_is_the_same() -> None:
    assert text_of.same_members(HAND_MADE, rendered(1, 2, quorum="  two_node: 1\n"))
    assert not text_of.same_members(HAND_MADE, rendered(1, 2))
    assert not text_of.same_members(HAND_MADE, rendered(1, 2, 3, quorum="  two_node: 1\n"))


def test_what_follows_from_the_number_of_members_is_no_loss() -> None:
    assert text_of.lost(HAND_MADE, rendered(1, 2, 3), "n3") == ()
    assert (
        text_of.lost(rendered(1, 2, 3), rendered(1, 2, quorum="  two_node: 1\n  wait_for_all: 1\n"), "n3")
        == ()
    )


@pytest.mark.parametrize(
    ("text", "target", "said"),
    [
        (HAND_MADE.replace("nodeid: 2", "nodeid: 7"), "n3", "nodeid of n2 is 7, the description says 2"),
        (HAND_MADE.replace("10.0.0.1", "10.9.0.1"), "n3", "ring0_addr of n1 is 10.9.0.1"),
        (HAND_MADE.replace("nodeid: 2", "nodeid: 2\n quorum_votes: 3"), "n3", "quorum_votes of n2 is 3"),
        (
            HAND_MADE.replace("two_node: 1", "last_man_standing: 1"),
            "n3",
            "last_man_standing of the quorum is 1",
        ),
        (HAND_MADE, "n9", "the description makes n3 a member"),
        (HAND_MADE.replace("n2", "nx"), "n3", "nx is a member, and the description does not make it one"),
    ],
)
def test_what_would_get_lost_is_said(text: str, target: str, said: str) -> None:
    assert any(said in one for one in text_of.lost(text, rendered(1, 2, 3), target))


def test_the_address_of_the_host_itself_may_change() -> None:
    moved = rendered(1, 2, 3).replace("10.0.0.3", "10.0.0.33")
    assert text_of.lost(rendered(1, 2, 3), moved, "n3") == ()


def test_a_file_without_a_list_of_members_gets_one() -> None:
    new = text_of.renewed("totem {\n  version: 2\n}\n", rendered(1), 1)
    assert list(text_of.members(new)) == ["n1"]


@pytest.mark.parametrize("text", ["totem {\n", "totem {\n}\n}\n"])
def test_braces_that_do_not_match(text: str) -> None:
    with pytest.raises(BadInput):
        text_of.blocks(text)


def test_a_file_without_totem_is_none() -> None:
    with pytest.raises(BadInput, match="totem"):
        text_of.renewed("logging {\n}\n", rendered(1), 1)


def test_a_version_that_is_no_number_is_none() -> None:
    assert text_of.version("totem {\n  config_version: x\n}\n") == 0
    assert text_of.cluster_name(HAND_MADE) == "demo"


def test_nodes_that_an_admin_wrote_need_not_have_the_same_keys() -> None:
    text = "nodelist {\n node {\n ring0_addr: 10.0.0.1\n name: n1\n }\n node {\n nodeid: 2\n ring0_addr: 10.0.0.2\n }\n}\n"
    assert text_of.members(text) == {
        "n1": {"ring0_addr": "10.0.0.1", "name": "n1"},
        "10.0.0.2": {"nodeid": "2", "ring0_addr": "10.0.0.2"},
    }
