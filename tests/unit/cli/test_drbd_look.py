# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay drbd` sees, from what the hosts and the cluster answer; and what its steps tell them."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
from lxml import etree

from backstay.cib.drbd_conf import drbd_conf
from backstay.cib.render import render
from backstay.cib.templates import Templates, directories
from backstay.cli import drbd_look, drbd_world
from backstay.errors import BadInput, CannotAsk, Findings
from backstay.host import drbd_far
from backstay.host.clock import Deadline
from backstay.mirror import grow, repair
from backstay.mirror.repair import Verb, repairing
from tests.unit.host.test_drbd_state import EIGHT

CLOUD = """\
cluster: {name: demo}
hosts:
  n1: {address: 192.0.2.1, bmc: {address: 192.0.2.101, username: u, password_file: /p}}
  n2: {address: 192.0.2.2, bmc: {address: 192.0.2.102, username: u, password_file: /p}}
  n3: {address: 192.0.2.3, bmc: {address: 192.0.2.103, username: u, password_file: /p}}
domains:
  web1:
    config: /srv/vm/domains/web1.xml
    memory: 1 GiB
    vcpus: 1
    drbd: {hosts: [n1, n2], port: 7790, volumes: {0: {disk: /dev/vg/web1, minor: 10}}}
  web2: {config: /srv/vm/domains/web2.xml, memory: 1 GiB, vcpus: 1, drbd: {hosts: [n1, n2]}}
"""
BY_TITLE = {
    "good": "up to date on both, promoted",
    "alone": "promoted, disconnected (StandAlone)",
}
SHOW = "address ipv4 {}:7790;\n address ipv4 {}:7790;\n"


def packed(text):
    return base64.b64encode(text.encode()).decode()


def answer(title="", *, file=None, peers=(), size=67108864, uuid=""):
    lines = [f"file {packed(file)}"] if file is not None else []
    lines += ["version 8.4.11"]
    if title:
        lines += [f"events {packed(EIGHT[BY_TITLE[title]])}", f"show {packed(SHOW.format(*peers))}"]
    lines += [f"size.0 {size}", "holds.0 ", f"uuid.0 {uuid}", "volume.0 8388608 4194304", "end yes"]
    return "\n".join(lines) + "\n"


class Site:
    """Three hosts: what each answers by its address, and everything that they were told."""

    def __init__(self):
        self.answers, self.told, self.guest = {}, [], ""

    def check(self, host, argv, *, timeout, stdin=""):
        where = host.address or "192.0.2.1"
        if stdin == drbd_far.LOOK:
            if where not in self.answers:
                raise CannotAsk(f"{host.name} cannot be reached")
            return self.answers[where]
        if stdin == drbd_far.GUEST:
            return self.guest
        self.told.append((where, " ".join(argv)))
        return ""


@pytest.fixture
def site(monkeypatch, tmp_path):
    made = Site()
    made.path = tmp_path / "cloud.yaml"
    made.path.write_text(CLOUD)
    nodes = tuple(SimpleNamespace(name=name, online=True, unclean=False) for name in ("n1", "n2", "n3"))
    made.cluster = SimpleNamespace(nodes=nodes, active={"web1": frozenset({"n1"})})
    cloud = drbd_look.options.read_cloud(str(made.path))
    made.cib = render(cloud, Templates(directories(())))
    made.file = drbd_conf(cloud, cloud.mirrors[0])
    made.attributes = {}
    monkeypatch.setattr(drbd_look, "here", lambda: "n1")
    monkeypatch.setattr(drbd_look, "live", lambda: made.cib)
    monkeypatch.setattr(drbd_look, "check_cluster", lambda *_: None)
    monkeypatch.setattr(drbd_look.crm_mon, "cluster", lambda _timeout: made.cluster)
    monkeypatch.setattr(drbd_look, "Attributes", lambda: SimpleNamespace(values=lambda *_: made.attributes))
    monkeypatch.setattr(drbd_far.Host, "check", lambda host, argv, **how: made.check(host, argv, **how))
    monkeypatch.setattr(
        drbd_far, "_do", lambda host, *argv: made.told.append((host.address or "192.0.2.1", " ".join(argv)))
    )
    return made


def look(site, resource="web1"):
    return drbd_world.Repair(str(site.path), resource, 5.0, allow_stop=False)


def whole(site):
    site.answers = {
        "192.0.2.1": answer("good", file=site.file, peers=("192.0.2.1", "192.0.2.2")),
        "192.0.2.2": answer("good", file=site.file, peers=("192.0.2.2", "192.0.2.1")),
        "192.0.2.3": answer(),
    }


def test_all_is_well(site):
    whole(site)
    now = look(site).now()
    assert [(side.name, side.peers) for side in now.sides] == [
        ("n1", frozenset({"192.0.2.2"})),
        ("n2", frozenset({"192.0.2.1"})),
    ]
    assert (repairing(now), repair.objections(now)) == ((), ())


def test_a_lost_host_was_replaced_in_the_description(site):
    site.answers = {
        "192.0.2.1": answer("alone", file="old", peers=("192.0.2.9", "192.0.2.1")),
        "192.0.2.2": answer(),
    }
    clone = site.cib.find(".//clone[@id='drbd-web1-clone']")
    clone.find("meta_attributes/nvpair[@name='notify']").set("value", "false")  # anything that differs
    world = look(site)
    now = world.now()
    assert [(step.verb, step.where) for step in repairing(now)] == [
        (Verb.PART, "n1"), (Verb.WRITE, "n1"), (Verb.WRITE, "n2"), (Verb.MAKE, "n2"), (Verb.CONNECT, "n1"),
        (Verb.APPLY, ""), (Verb.START, "n2"), (Verb.SYNC, ""),
    ]  # fmt: skip
    assert repair.objections(now) == ()
    for verb, where in ((Verb.PART, "n1"), (Verb.MAKE, "n2"), (Verb.CONNECT, "n1")):
        world.do(repair.Step(verb, where))
    assert site.told == [
        ("192.0.2.1", "drbdsetup disconnect ipv4:192.0.2.1:7790 ipv4:192.0.2.9:7790"),
        ("192.0.2.2", "drbdadm create-md web1/0"),
        ("192.0.2.1", "drbdadm adjust web1"),
    ]


TWO = CLOUD.replace("minor: 10}}}", "minor: 10}, 1: {disk: /dev/vg/web1-data, minor: 11}}}", 1)
SECOND = "size.1 67108864\nholds.1 \nuuid.1 \nvolume.1 8388608 4194304\nend yes\n"


def test_of_two_volumes_only_what_is_missing_is_made_and_attached(site):
    """One disk of two is new, or the making of both was interrupted: drbdadm refuses the volume that has what it needs."""
    site.path.write_text(TWO)
    site.answers = {
        "192.0.2.1": answer("good", peers=("192.0.2.1", "192.0.2.2")).replace("end yes\n", SECOND),
        "192.0.2.2": answer(uuid="0000000000000004:0:0:0").replace("end yes\n", SECOND),
    }
    world = look(site)
    now = world.now()
    assert now.sides[1].bare == (1,)
    world.do(repair.Step(Verb.MAKE, "n2"))
    runs = EIGHT[BY_TITLE["good"]]
    device = next(line for line in runs.splitlines() if line.startswith("exists device"))
    lost = device.replace("volume:0 minor:10", "volume:1 minor:11").replace("disk:UpToDate", "disk:Diskless")
    events = packed(runs.replace(device, f"{device}\n{lost}"))
    running = answer("good", peers=("192.0.2.2", "192.0.2.1"))
    site.answers["192.0.2.2"] = running.replace(packed(runs), events).replace("end yes\n", SECOND)
    assert world.now().sides[1].diskless == (1,)
    world.do(repair.Step(Verb.ATTACH, "n2"))
    assert site.told == [("192.0.2.2", "drbdadm create-md web1/1"), ("192.0.2.2", "drbdadm attach web1/1")]


def test_an_end_that_is_not_the_described_one_is_left_alone(site):
    site.answers = {
        "192.0.2.1": answer("alone", file="old", peers=("192.0.2.9", "192.0.2.8")),
        "192.0.2.2": answer(),
    }
    world = look(site)
    world.now()
    with pytest.raises(
        CannotAsk, match=r"n1 connects web1 by 192\.0\.2\.9, 192\.0\.2\.8, and not by 192\.0\.2\.1"
    ):
        world.do(repair.Step(Verb.PART, "n1"))
    assert site.told == []


def test_what_the_cluster_says_counts(site):
    whole(site)
    site.attributes = {"n1": "degraded:split-brain", "n2": "resyncing"}
    assert look(site).now().split == ("n1",)
    state = etree.SubElement(etree.SubElement(site.cib, "status"), "node_state", uname="n2")
    pairs = etree.SubElement(etree.SubElement(state, "transient_attributes"), "instance_attributes")
    etree.SubElement(pairs, "nvpair", name="fail-count-drbd-web1#start_0", value="INFINITY")
    assert look(site).now().failed == ("n2",)
    site.cluster.nodes[1].online = False
    now = look(site).now()
    assert (now.away, [side.name for side in now.sides], repairing(now)) == (("n2",), ["n1"], ())
    assert "n2 is no member" in repair.objections(now)[0]


def test_a_file_that_was_left_is_set_aside_where_nothing_runs(site):
    whole(site)
    site.answers["192.0.2.3"] = answer(file="old")
    world = look(site)
    assert repairing(world.now()) == (repair.Step(Verb.TIDY, "n3"),)
    world.do(repair.Step(Verb.TIDY, "n3"))
    assert site.told == [("192.0.2.3", "sh -s -- /etc/drbd.d/web1.res")]
    site.answers["192.0.2.3"] = answer("good", file="old", peers=("192.0.2.3", "192.0.2.8"))
    assert repairing(world.now()) == ()  # Pacemaker has not stopped it yet
    del site.answers["192.0.2.3"]
    assert repairing(world.now()) == ()


def test_a_described_host_that_cannot_be_asked_is_no_answer(site):
    whole(site)
    del site.answers["192.0.2.2"]
    with pytest.raises(CannotAsk, match="n2 cannot be reached"):
        look(site).now()


def test_what_is_not_described_or_not_ours_is_refused(site):
    with pytest.raises(BadInput, match="no DRBD resource db1") as error:
        look(site, "db1")
    assert error.value.hint == "it has web1, web2"
    with pytest.raises(BadInput, match="web2 is described without volumes"):
        look(site, "web2")


def test_a_resync_is_watched_to_its_end_or_to_the_end_of_patience(site, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(drbd_world, "Deadline", lambda seconds: Deadline(seconds, lambda: now[0]))
    waiting = iter(["volume 0 is 40.0 % done", "volume 0 is 80.0 % done", ""])
    monkeypatch.setattr(drbd_world, "pause", lambda seconds: now.__setitem__(0, now[0] + seconds))
    drbd_world.wait(lambda: next(waiting), 60.0, "the resync", "go")
    with pytest.raises(Findings, match=r"waited in vain for the resync: volume 0 is 1\.0 % done"):
        drbd_world.wait(lambda: "volume 0 is 1.0 % done", 60.0, "the resync", "it goes on")
    assert "waiting for: volume 0 is 1.0 % done" in capsys.readouterr().err


def test_growing_sees_the_guest_and_tells_each(site):
    whole(site)
    site.guest = "vda 67067904\n"
    world = drbd_world.Grow(str(site.path), "web1", 5.0, 0, 72 << 20)
    now = world.looked()
    assert now.guest == grow.Guest("n1", "vda", 67067904)
    assert now.short(now.sides[1]) == 8 << 20
    for verb, where in ((grow.Verb.EXTEND, "n2"), (grow.Verb.RESIZE, "n1"), (grow.Verb.GUEST, "n1")):
        world.do(grow.Step(verb, where))
    assert site.told[:2] == [
        ("192.0.2.2", "lvextend --size 75497472b /dev/vg/web1"),
        ("192.0.2.1", "drbdadm resize web1/0"),
    ]
    assert f"blockresize web1 vda {now.size}B" in site.told[2][1]
    assert world.looked().resized


def test_the_disk_of_a_frontend_is_mended_and_grown_as_one_of_a_domain_is(site):
    text = CLOUD.replace(
        "domains:\n",
        "storage:\n  one: {type: drbd, resource: home, disk: /dev/vg/one, minor: 11, port: 7791, hosts: [n1, n2], directory: /srv/one}\n"
        "domains:\n",
    )
    site.path.write_text(text)
    cloud = drbd_look.options.read_cloud(str(site.path))
    site.cib = render(cloud, Templates(directories(())))
    site.file = drbd_conf(cloud, next(each for each in cloud.mirrors if each.drbd.resource == "home"))
    assert "of the storage one" in site.file
    assert "allow-two-primaries" not in site.file
    whole(site)
    seen = look(site, "home")
    assert (seen.primitive, seen.now().file) == ("drbd-one", site.file)
    site.cluster.active["one"] = frozenset({"n1"})
    site.guest = "not a guest: nobody is to be asked"
    assert seen.growth(0, 2**30, resized=False).guest is None
