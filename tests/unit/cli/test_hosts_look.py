# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay host` makes of what it sees: whose files are old, who has joined, what is another machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from backstay.cli import fence_drill_world, hosts_look
from backstay.cli.hosts_description import Description
from backstay.cli.hosts_look import View
from backstay.cloud.parse import parse
from backstay.errors import CannotAsk
from backstay.host import crm_mon
from backstay.host.far import Machine
from backstay.members.steps import Now
from tests.unit.members import test_corosync_files
from tests.unit.members.test_corosync_files import NEW, OLD, PAIR, TEXT, numbered

OURS = "a" * 64


def machine(
    name: str, conf: str | None = OLD, *, members: tuple[int, ...] = (1, 2), key: str = OURS
) -> Machine:
    return replace(test_corosync_files.machine(name, conf, members=members), key=key, remote_key=key)


def view(*members: Machine, leaving: bool = False, remote: bool = False, text: str = TEXT) -> View:
    found = object.__new__(View)
    found.name, found.leaving, found.remote, found.here = "n3", leaving, remote, "n1"
    found.description = Description("x", [], [], parse(text.encode(), "x"))
    found.machines = {one.name: one for one in members}
    return found


FRESH = Machine("n3")


def test_the_file_of_a_host_that_goes_is_nobodys_concern() -> None:
    seen = view(machine("n1", numbered(3)), machine("n2", numbered(3)), leaving=True, text=PAIR)
    assert seen._corosync(machine("n3", numbered(3)))[0] == ("n1", "n2")
    assert seen.files.base()[1] == 4


def test_corosync_does_not_concern_a_remote_host() -> None:
    assert view(machine("n1"), remote=True)._corosync(FRESH) == ((), True)


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


def test_a_mirrored_disk_is_nothing_that_systemd_mounts() -> None:
    """The files of DRBD come before the drop-in among those of a description."""
    drbd = ", drbd: {hosts: [n1, n2], port: 7000, volumes: {0: {disk: /dev/vg/web1, minor: 0}}}}"
    for text in (TEXT, TEXT.replace("0001}", f"0001{drbd}")):
        said = view(text=text)._mounts()
        assert said is not None
        assert 'RequiresMountsFor="/srv"' in said
        assert "resource" not in said.partition("[Unit]")[2]


LIVE = etree.fromstring("<cib><configuration><nodes/></configuration><status/></cib>")


def node(name: str, number: int, **facts: bool) -> crm_mon.Node:
    """A host as crm_mon shows it; online, and nothing else, unless it is said."""
    flags = {"online": True, "standby": False, "maintenance": False, "pending": False, "unclean": False}
    return crm_mon.Node(name, str(number), **{**flags, **facts})


def seen_now(monkeypatch: pytest.MonkeyPatch, third: crm_mon.Node | None, cib: etree._Element = LIVE,
             statuses: tuple[str, str] = ("joined", "joined")) -> Now:  # fmt: skip
    """What is seen of n3, of which n1 and n2 say this in Corosync."""
    members = (node("n1", 1), node("n2", 2), *((third,) if third else ()))
    machines = {name: machine(name, NEW, members=(1, 2, 3)) for name in ("n1", "n2", "n3")}
    for name, status in zip(("n1", "n2"), statuses, strict=True):
        machines[name].cmap["runtime.members.3.status"] = status  # type: ignore[index]
    monkeypatch.setattr(hosts_look, "live", lambda: cib)
    monkeypatch.setattr(hosts_look.crm_mon, "cluster", lambda _time: crm_mon.Cluster(members, {}, ()))
    monkeypatch.setattr(hosts_look.far, "look", lambda host: machines[host.name])
    monkeypatch.setattr(View, "_differences", lambda *_: ())
    found = view()
    found.address, found.replacing, found.proven = "10.0.0.3", False, set()
    return found.now()


def test_who_is_well_and_seen_by_all_has_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen_now(monkeypatch, node("n3", 3)).joined
    for third in (
        None,
        *(node("n3", 3, **{flag: flag != "online"}) for flag in ("online", "pending", "unclean")),
    ):
        assert not seen_now(monkeypatch, third).joined
    assert not seen_now(monkeypatch, node("n3", 3), statuses=("joined", "left")).joined


@pytest.mark.parametrize(("standby", "to_be", "aside"), [
    (False, "off", False), (True, "off", True), (False, "on", True), (True, "on", True)])  # fmt: skip
def test_who_is_in_standby_or_is_to_be_is_aside(
    monkeypatch: pytest.MonkeyPatch, standby: bool, to_be: str, aside: bool
) -> None:
    """pacemaker_remote's attribute is there before its connection, a transient standby is in crm_mon alone."""
    found = seen_now(monkeypatch, node("n3", 3, standby=standby), etree.fromstring(ASIDE.format(to_be)))
    assert found.standby is aside
