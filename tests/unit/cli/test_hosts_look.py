# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay host` makes of what it sees: whose files are old, who lacks a key, what is another machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from backstay.cib import corosync_text
from backstay.cib.corosync import corosync_conf
from backstay.cli import fence_drill_world
from backstay.cli.hosts_description import Description
from backstay.cli.hosts_look import View
from backstay.cloud.parse import parse
from backstay.errors import CannotAsk
from backstay.host.far import Machine

TEXT = """\
cluster: {name: demo}
hosts:
  n1: {address: 10.0.0.1, bmc: {address: 10.0.1.1, username: f, password_file: /etc/pw}}
  n2: {address: 10.0.0.2, bmc: {address: 10.0.1.2, username: f, password_file: /etc/pw}}
  n3: {address: 10.0.0.3, bmc: {address: 10.0.1.3, username: f, password_file: /etc/pw}}
domains:
  web1: {config: /srv/web1.xml, memory: 1 GiB, vcpus: 2, uuid: 5a3c1f0e-7d64-4b51-9a0e-0d1b00000001}
"""
PAIR = TEXT.replace(TEXT.splitlines(keepends=True)[4], "")
OLD = corosync_conf(parse(PAIR.encode(), "x"))
NEW = corosync_conf(parse(TEXT.encode(), "x"))
OURS = "a" * 64


def running(*numbers: int) -> dict[str, str]:
    """What corosync-cmapctl says of members."""
    return {
        f"nodelist.node.{place}.{key}": value
        for place, number in enumerate(numbers)
        for key, value in (
            ("ring0_addr", f"10.0.0.{number}"),
            ("name", f"n{number}"),
            ("nodeid", f"{number}"),
        )
    }


def machine(
    name: str, conf: str | None = OLD, *, members: tuple[int, ...] = (1, 2), key: str = OURS
) -> Machine:
    return Machine(name, conf=conf, cmap=running(*members), key=key, remote_key=key)


def view(*members: Machine, leaving: bool = False, remote: bool = False, text: str = TEXT) -> View:
    found = object.__new__(View)
    found.name, found.leaving, found.remote, found.here = "n3", leaving, remote, "n1"
    found.description = Description("x", [], [], parse(text.encode(), "x"))
    found.machines = {one.name: one for one in members}
    return found


def numbered(number: int) -> str:
    return corosync_text.renewed(OLD, NEW, number)


FRESH = Machine("n3")


def test_everybodys_file_is_old_when_a_host_is_new() -> None:
    seen = view(machine("n1"), machine("n2"))
    assert seen._corosync(FRESH) == (("n3", "n1", "n2"), False)
    assert seen.base()[1] == 1


@pytest.mark.parametrize(
    "written", [("n3",), ("n3", "n1"), ("n3", "n2"), ("n1",), ("n2",), ("n3", "n1", "n2")]
)
def test_where_it_was_killed_does_not_matter(written: tuple[str, ...]) -> None:
    """Whoever has the new file keeps it, byte for byte, and the number does not rise once more."""
    new = numbered(1)
    members = [machine(name, new if name in written else OLD) for name in ("n1", "n2")]
    target = replace(FRESH, conf=new if "n3" in written else None)
    seen = view(*members)
    stale, _ = seen._corosync(target)
    assert set(stale) == {"n1", "n2", "n3"} - set(written)
    assert seen.base()[1] == 1
    assert corosync_text.renewed(seen.base()[0], NEW, 1) == new


def test_it_is_loaded_when_every_member_runs_with_it() -> None:
    new = numbered(5)
    both = [machine(name, new, members=(1, 2, 3)) for name in ("n1", "n2")]
    assert view(*both)._corosync(replace(FRESH, conf=new)) == ((), True)
    one = [both[0], machine("n2", new)]
    assert view(*one)._corosync(replace(FRESH, conf=new)) == ((), False)


def test_a_host_with_an_older_number_is_written_again() -> None:
    members = [machine("n1", numbered(5), members=(1, 2, 3)), machine("n2", numbered(4), members=(1, 2, 3))]
    assert view(*members)._corosync(replace(FRESH, conf=numbered(5)))[0] == ("n2",)


def test_the_file_of_a_host_that_goes_is_nobodys_concern() -> None:
    seen = view(machine("n1", numbered(3)), machine("n2", numbered(3)), leaving=True, text=PAIR)
    assert seen._corosync(machine("n3", numbered(3)))[0] == ("n1", "n2")
    assert seen.base()[1] == 4


def test_corosync_does_not_concern_a_remote_host() -> None:
    assert view(machine("n1"), remote=True)._corosync(FRESH) == ((), True)


def test_who_lacks_the_key() -> None:
    assert view(machine("n1"))._keyless(FRESH) == ("n3",)
    assert view(machine("n1"))._keyless(replace(FRESH, key=OURS)) == ()
    assert view(machine("n1", key=""))._keyless(FRESH) == (), "a cluster without encryption has none"
    assert view(machine("n1"), leaving=True)._keyless(replace(FRESH, key=OURS)) == ()
    remote = view(machine("n1"), machine("n2", key="b" * 64), remote=True)
    assert remote._keyless(replace(FRESH, remote_key=OURS)) == ("n2", "n3")
    assert view(machine("n1"), remote=True)._keyless(replace(FRESH, remote_key=OURS)) == ()
    assert view(machine("n1", key=""), remote=True)._keyless(FRESH) == ("n1", "n3")


def test_what_an_earlier_cluster_left() -> None:
    seen = view(machine("n1"))
    untouched = OLD.replace("10.0.0.1", "127.0.0.1").replace("10.0.0.2", "127.0.0.2")
    assert not seen._leftovers(FRESH)
    assert seen._leftovers(replace(FRESH, cib=("", 0)))
    assert seen._leftovers(replace(FRESH, conf=untouched, active={"pacemaker": "active"}))
    assert not seen._leftovers(replace(FRESH, conf=untouched))
    assert not seen._leftovers(replace(FRESH, cib=("", 0), held=True)), "it is our own by now"


def test_what_would_let_a_host_join_again() -> None:
    seen = view(machine("n1"), leaving=True)
    assert not seen._leftovers(FRESH)
    assert seen._leftovers(replace(FRESH, key=OURS))
    assert seen._leftovers(replace(FRESH, conf=OLD))
    assert not seen._leftovers(replace(FRESH, key="b" * 64))


def test_a_full_member_runs_both_and_one_that_goes_either() -> None:
    half = replace(FRESH, conf=OLD, active={"corosync": "active", "pacemaker": "inactive"})
    assert not view(machine("n1"))._active(half)
    assert view(machine("n1"), leaving=True)._active(half)
    assert view(machine("n1"))._active(
        replace(half, active={"corosync": "active", "pacemaker": "activating"})
    )


def test_a_host_without_a_cluster_is_told_so(monkeypatch):
    """crm_node's own words say nothing of what to do."""

    def fails(_self, _timeout):
        raise CannotAsk("crm_node: Could not connect to controller: Connection refused")

    monkeypatch.setattr(fence_drill_world.Attributes, "local", fails)
    with pytest.raises(CannotAsk, match="cluster on this host does not answer") as raised:
        fence_drill_world.here()
    assert "Pacemaker" in raised.value.hint


ASIDE = (
    "<cib><configuration><nodes><node id='n3' uname='n3' type='remote'><instance_attributes id='a'>"
    "<nvpair id='b' name='standby' value='{}'/></instance_attributes></node></nodes></configuration></cib>"
)


@pytest.mark.parametrize(("value", "aside"), [("on", True), ("off", False)])
def test_a_remote_host_is_aside_before_anybody_has_seen_it(value: str, aside: bool) -> None:
    assert view()._to_be_aside(etree.fromstring(ASIDE.format(value))) is aside
