# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence drill` on a cluster with guests: really fenced without a lost second, or nothing touched at all."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from lxml import etree

from backstay.host.clock import Deadline, NotYet, until
from backstay.lab import cluster, order
from backstay.lab.audit import Expected
from backstay.lab.bmc import journal
from backstay.lab.bmc.node import faults
from tests.lab.test_fence_check import devices

CHECK_TIME = 300.0
DRILL_TIME = 400.0
NODES = ("n1", "n2", "n3")


def prove(cloud):
    """Every host proves that it could fence, and tells it; what one hears of another meanwhile may be older."""
    nodes = [cloud.node(name) for name in cloud.stage.hosts()]
    with ThreadPoolExecutor(len(nodes)) as pool:
        said = list(
            pool.map(lambda node: node.run("backstay fence check --publish", timeout=CHECK_TIME), nodes)
        )
    told = nodes[0].check("attrd_updater --name backstay-fencing --query --all")
    assert told.count('value="ready"') == len(nodes), [told, *(done.stdout + done.stderr for done in said)]


@pytest.fixture
def proven(cloud):
    """A cloud in which every host has proven its fence devices; afterwards nothing is left of a drill."""
    prove(cloud)
    yield cloud
    cloud.on_any("systemctl stop drill.service; backstay fence drill --abort --yes", timeout=60)
    cloud.settle()


def people(cloud):
    """The host that is drilled (the busiest one), and one from where."""
    target = cloud.stage.busiest()
    return target, next(host for host in cloud.stage.hosts() if host != target)


def drill(cloud, here, *words):
    """Run it; the exit code, what it said as data, and its other words."""
    command = ["backstay", "fence", "drill", *words, "--output", "json"]
    done = cloud.node(here).run(command, timeout=DRILL_TIME)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def epoch(cloud):
    """How often the configuration was changed."""
    return cloud.on_any("cibadmin --query --xpath /cib --no-children").split(' epoch="')[1].partition('"')[0]


def switched(cloud):
    """Every chassis command that a BMC was sent."""
    events = [
        e for n in cloud.stage.hosts() for e in journal.read(cloud.lab.layout.node(n).bmc / "events.jsonl")
    ]
    return [event["command"] for event in events if event["event"] == "chassis-control"]


def standby(cloud):
    """The hosts in standby, and those that a drill has marked."""
    state = cluster.ask(cloud.lab.layout)
    marked = [host for host, values in state.attributes.items() if "backstay-drill" in values]
    return [member.name for member in state.members if member.standby], marked


def marked(cloud, target):
    """Wait until a drill has set the host aside."""

    def look():
        if standby(cloud) != ([target], [target]):
            raise NotYet(str(standby(cloud)))
        return True

    until(look, Deadline(60), 0.2, f"the drill of {target} to begin")


def away(target, guests):
    """What a drain has to do."""
    return Expected().migrating(guests, target).restarting("libvirtd", [target]).watching_elsewhere()


@pytest.mark.long
def test_a_refused_drill_touches_nothing(proven):
    target, here = people(proven)
    other = next(host for host in proven.stage.hosts() if host not in (target, here))
    before, sent = epoch(proven), switched(proven)
    with proven.watched() as watched:
        code, said, _ = drill(proven, here, target, "--plan")
        assert (code, said["refusals"], said["devices"]) == (0, [], [f"fence-{target}"])
        assert {move["guest"] for move in said["moves"]} == set(proven.stage.guests_on(target))

        code, said, _ = drill(proven, target, target, "--yes")
        assert (code, [one["text"] for one in said["refusals"]]) == (
            4, [f"{target} is this host, and nobody is left here to see it come back"])  # fmt: skip
        assert drill(proven, here, target)[0] == 4, "nobody was there to be asked"
        assert drill(proven, here, "n9", "--yes")[0] == 2

        # Every reason at once: an unproven device, a guest that cannot leave, a host without the memory.
        bound = proven.stage.guests_on(target)[0]
        for host in (here, other):
            proven.node(host).check(
                "attrd_updater --private --name backstay-fencing-cells --update '1;n1|x|READY'"
            )
        proven.node(other).check("attrd_updater --private --name backstay-memory-left --update 1")
        proven.node(here).check("attrd_updater --private --name backstay-memory-left --update 1")
        proven.on_any(
            f"crm_resource --resource {bound} --meta --set-parameter is-managed --parameter-value false"
        )
        proven.rest()
        changed = epoch(proven)
        code, said, _ = drill(proven, here, target, "--yes")
        proven.on_any(f"crm_resource --resource {bound} --meta --delete-parameter is-managed")
        proven.rest()
    texts = " / ".join(one["text"] for one in said["refusals"])
    assert (code, said["done"]) == (4, False)
    assert f"whether {target} could be fenced is not known" in texts
    assert f"{bound} would not leave {target} and die with it" in texts
    assert "has 1 MiB of memory left" in texts
    assert int(changed) > int(before)
    assert int(epoch(proven)) == int(changed) + 1, "the drill itself changed nothing"
    assert (switched(proven), standby(proven)) == (sent, ([], []))
    assert (watched[0].findings, watched[0].deeds) == ([], [])


@pytest.mark.long
def test_a_drill_costs_no_guest_a_second_and_is_remembered(proven):
    target, here = people(proven)
    guests = proven.stage.guests_on(target)
    with proven.watched(away(target, guests).fencing([target])) as watched:
        code, said, words = drill(proven, here, target, "--yes")
    print(words, json.dumps(said, indent=1))
    assert (code, said["good"], said["problems"], said["interrupted"]) == (0, True, [], [])
    assert said["moved"] == sorted(guests)
    assert 0 < said["off"] < said["back"]
    assert watched[0].findings == []
    assert set(watched[0].boots.values()) == {1}
    assert watched[0].verdict.lost(watched[0].silences) == 0
    assert standby(proven) == ([], [])
    prove(proven)
    for host in proven.stage.hosts():
        found = json.loads(proven.node(host).check("backstay fence check --output json", timeout=CHECK_TIME))
        (record,) = [one for one in found["drills"] if one["target"] == target]  # others were drilled before
        assert (record["target"], record["device"], record["off"]) == (target, f"fence-{target}", said["off"])


@pytest.mark.long
def test_a_drain_that_takes_too_long_is_undone(proven):
    target, here = people(proven)
    guests, sent = proven.stage.guests_on(target), switched(proven)
    with proven.watched(away(target, guests)) as watched:
        code, _, words = drill(proven, here, target, "--yes", "--wait", "1")
        proven.rest()
    assert (code, f"{target} is not empty after 1 s" in words) == (1, True)
    assert (switched(proven), standby(proven)) == (sent, ([], []))
    assert watched[0].findings == []
    assert set(watched[0].boots.values()) == {1}


@pytest.mark.long
@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_drill_that_is_killed_is_undone(proven, signal):
    target, here = people(proven)
    guests, sent = proven.stage.guests_on(target), switched(proven)
    node = proven.node(here)
    with proven.watched(away(target, guests)) as watched:
        node.check(
            f"systemd-run --collect --unit=drill --property=KillSignal=SIG{signal} backstay fence drill {target} --yes"
        )
        marked(proven, target)
        node.check(f"systemctl kill --kill-whom=all --signal={signal} drill.service")
        if signal == "KILL":
            until(
                lambda: node.run("systemctl is-active drill.service").stdout.strip() != "active" or None,
                Deadline(20),
            )
            assert standby(proven) == ([target], [target])
            found = node.run("backstay fence check --output json", timeout=CHECK_TIME)
            said = [finding["text"] for finding in json.loads(found.stdout)["findings"]]
            assert any(f"a drill of {target} is not over" in text for text in said)
            elsewhere = next(h for h in proven.stage.hosts() if h not in (target, here))
            refused = proven.node(elsewhere).run("backstay fence drill --abort", timeout=60)
            assert (refused.returncode, here in refused.stderr) == (4, True)
            undone = node.check("backstay fence drill --abort", timeout=60)
            assert "it did not fence the host" in undone
        else:
            until(lambda: standby(proven) == ([], []) or None, Deadline(120), what="the drill to undo itself")
        assert standby(proven) == ([], [])
        assert node.check("backstay fence drill --abort", timeout=60) == "No drill was interrupted.\n"
        proven.rest()
    assert watched[0].findings == []
    assert (switched(proven), [deed for deed in watched[0].deeds if deed[0] == "fence"]) == (sent, [])


@pytest.fixture
def fenced(lab, repository):
    """The bare lab with proven fence devices, and no guest."""
    for name, section in devices(repository / "examples" / "three-hosts.yaml").items():
        cluster.replace(lab.node("n1"), section, name)
    lab.wait_for(cluster.running([f"fence-{name}" for name in NODES]), 60, "the fence devices")
    with ThreadPoolExecutor(3) as pool:
        list(
            pool.map(lambda node: node.check("backstay fence check --publish", timeout=CHECK_TIME), lab.nodes)
        )
    yield lab
    for node in lab.nodes:
        node.run("rm -f /var/lib/backstay/fence-identities")
    order.restore(lab.layout, NODES, lab.wanted)


def others(lab, target):
    """The hosts besides one."""
    return [name for name in NODES if name != target]


@pytest.mark.long
def test_the_next_drill_tidies_up_and_the_record_survives_the_cluster(fenced):
    target = next(member.name for member in fenced.ask().members if member.is_dc)
    here, other = others(fenced, target)
    node = fenced.node(here)
    node.check(
        f"crm_attribute -t nodes -N {other} -n backstay-drilled --delete"
    )  # earlier drills of this lab
    # What a killed drill leaves behind.
    node.check(
        f"crm_attribute -t nodes -N {other} -n backstay-drill -v '2026-01-02T03:04:05Z from {here}, draining'"
    )
    node.check(f"attrd_updater --node {other} --name standby --update on")
    refused = node.run(f"backstay fence drill {target} --yes", timeout=60)
    assert refused.returncode == 4
    assert (
        f"The drill of {other} (begun 2026-01-02T03:04:05Z from {here}, draining) was interrupted"
        in refused.stderr
    )
    assert f"what else runs on {target} is not known" in refused.stderr
    assert [member.name for member in fenced.ask().members if member.standby] == []

    done = node.run(f"backstay fence drill {target} --yes --only-these --output json", timeout=DRILL_TIME)
    said = json.loads(done.stdout)
    print(done.stderr, done.stdout)
    assert (done.returncode, said["good"], said["problems"]) == (0, True, [])
    assert said["lost"] is not None
    assert not [member.name for member in fenced.ask().members if member.standby]

    # The whole cluster stops and starts.
    for unit, verb in (("pacemaker", "stop"), ("corosync", "stop"), ("pacemaker", "start")):
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda each: each.check(f"systemctl {verb} {unit}", timeout=120), fenced.nodes))  # noqa: B023
    fenced.wait_for(cluster.all_online(NODES), 90, "the cluster to be back")
    fenced.wait_for(cluster.running([f"fence-{name}" for name in NODES]), 60, "the fence devices")
    found = json.loads(
        fenced.node(other).run("backstay fence check --output json", timeout=CHECK_TIME).stdout
    )
    (record,) = [one for one in found["drills"] if one["target"] == target]  # others were drilled before
    assert (record["target"], record["device"], record["off"]) == (target, f"fence-{target}", said["off"])
    shown = " ".join(fenced.node(other).run("backstay fence check", timeout=CHECK_TIME).stdout.split())
    assert f"{other} never" in shown
    assert f"in {said['off']:.1f} s (fence-{target})" in shown


@pytest.mark.long
def test_a_drill_that_is_killed_while_its_host_is_fenced_loses_nothing_but_its_times(fenced):
    node = fenced.node("n1")
    sent = len(journal.read(fenced.layout.node("n3").bmc / "events.jsonl"))
    node.check("systemd-run --collect --unit=drill backstay fence drill n3 --yes --only-these")

    def switching():
        events = journal.read(fenced.layout.node("n3").bmc / "events.jsonl")[sent:]
        return any(event["event"] == "chassis-control" for event in events) or None

    until(switching, Deadline(60), 0.1, "the BMC to be told")
    node.check("systemctl kill --kill-whom=all --signal=KILL drill.service")
    fenced.wait_for(lambda state: "" if "n3" not in state.online() else "n3 is there", 60, "n3 to be lost")
    fenced.wait_for(cluster.all_online(NODES), 120, "n3 to be back")
    state = fenced.ask()
    assert [member.name for member in state.members if member.standby] == []
    assert ", fencing" in state.attributes["n3"]["backstay-drill"]
    undone = node.check("backstay fence drill --abort", timeout=120)
    assert "the host was fenced all the same" in undone
    assert "backstay-drill" not in fenced.ask().attributes.get("n3", {})
    found = json.loads(fenced.node("n2").run("backstay fence check --output json", timeout=CHECK_TIME).stdout)
    assert [record["off"] for record in found["drills"] if record["target"] == "n3"] == [None]


@pytest.mark.long
def test_a_fencing_that_fails_is_said_and_the_host_serves_on(fenced):
    """The role was accepted at the proof, and the BMC refuses the power-off all the same."""
    node = fenced.node("n1")
    faults(fenced.layout, "n3").set("fail-set", "d4")
    done = node.run("backstay fence drill n3 --yes --only-these --output json", timeout=DRILL_TIME)
    faults(fenced.layout, "n3").clear()
    said = json.loads(done.stdout)
    print(done.stderr, done.stdout)
    assert (done.returncode, said["done"], said["lost"]) == (1, False, None)
    (problem,) = said["problems"]
    assert "the cluster could not fence n3" in problem
    assert "has the device's words" in problem
    (member,) = [member for member in fenced.ask().members if member.name == "n3"]
    assert (member.online, member.standby) == (True, False)
    assert not {"backstay-drill", "backstay-drilled"} & set(fenced.ask().attributes.get("n3", {}))


@pytest.mark.long
def test_an_agent_that_cannot_be_rehearsed_is_proven_by_a_drill(fenced):
    node, others_agent = fenced.node("n1"), "/usr/sbin/fence_other"
    for each in fenced.nodes:
        each.check(f"printf '#!/bin/sh\\nexec /usr/sbin/fence_backstay_ipmi \"$@\"\\n' >{others_agent}")
        each.check(f"chmod 755 {others_agent}")
    resources = etree.fromstring(node.check("cibadmin --query --scope resources"))
    resources.find("primitive[@id='fence-n3']").set("type", "fence_other")
    cluster.replace(node, etree.tostring(resources, encoding="unicode"), "resources")
    fenced.wait_for(cluster.running(["fence-n3"]), 60, "the device of another agent")

    def found(name):
        done = fenced.node(name).run("backstay fence check --publish --output json", timeout=CHECK_TIME)
        cells = [cell for cell in json.loads(done.stdout)["cells"] if cell["from"] == name]
        return {cell["device"]: (cell["state"], cell["good"]) for cell in cells}["fence-n3"]

    assert [found(name) for name in ("n2", "n1")] == [("untested", False)] * 2
    refused = node.run("backstay fence drill n3 --yes --only-these", timeout=60)
    assert (refused.returncode, "insist with --untested" in refused.stderr) == (4, True)
    done = node.run("backstay fence drill n3 --yes --only-these --untested --output json", timeout=DRILL_TIME)
    print(done.stderr, done.stdout)
    assert (done.returncode, json.loads(done.stdout)["devices"]) == (0, ["fence-n3"])
    assert [found(name) for name in ("n1", "n2")] == [("ready", True)] * 2
    node.check(f"chmod 755 {others_agent}")  # as a package does that brings the same again
    assert [found(name) for name in ("n1", "n2")] == [("untested", False), ("ready", True)]
    for each in fenced.nodes:
        each.run(f"rm -f {others_agent}")
