# SPDX-License-Identifier: GPL-2.0-or-later
"""What a plan foresees is what the cluster does: three changes of each kind, and Pacemaker's own log as a witness."""

from __future__ import annotations

import json

import pytest
from lxml import etree

from backstay.lab import power

pytestmark = pytest.mark.long
WANTED = "/root/wanted.xml"
STUBBORN = "/usr/lib/ocf/resource.d/rehearsal/stubborn"
# A resource agent whose stop fails for as long as there is a reason.
AGENT = """#!/bin/sh
state=/run/stubborn-$OCF_RESOURCE_INSTANCE
case $1 in
meta-data) cat <<END
<?xml version="1.0"?><resource-agent name="stubborn"><version>1.1</version><longdesc>x</longdesc>
<shortdesc>x</shortdesc><parameters/><actions><action name="start" timeout="20s"/><action name="stop" timeout="20s"/>
<action name="monitor" timeout="20s" interval="10s"/><action name="meta-data" timeout="5s"/></actions></resource-agent>
END
;;
start) touch $state ;;
stop) if [ -e $state ] && [ -e /run/stubborn ]; then exit 1; fi; rm -f $state ;;
monitor) [ -e $state ] || exit 7 ;;
esac
"""
DUMMY = """<primitive id="{name}" class="ocf" provider="pacemaker" type="Dummy">
<meta_attributes id="{name}-meta"><nvpair id="{name}-p" name="priority" value="{priority}"/></meta_attributes>
<instance_attributes id="{name}-i"><nvpair id="{name}-s" name="state" value="/run/{name}.state"/></instance_attributes>
<utilization id="{name}-u"><nvpair id="{name}-us" name="slots" value="{slots}"/></utilization>
<operations><op id="{name}-m" name="monitor" interval="10s" timeout="20s"/></operations></primitive>"""
ROLE = """<clone id="role"><meta_attributes id="role-meta"><nvpair id="role-p" name="promotable" value="true"/>
</meta_attributes><primitive id="roles" class="ocf" provider="pacemaker" type="Stateful"><operations>
<op id="roles-1" name="monitor" interval="10s" timeout="20s" role="Promoted"/>
<op id="roles-2" name="monitor" interval="11s" timeout="20s" role="Unpromoted"/></operations></primitive></clone>"""
OPERATIONS = {
    "start": (("start", "target"),),
    "stop": (("stop", "source"),),
    "restart": (("stop", "source"), ("start", "source")),
    "move": (("stop", "source"), ("start", "target")),
    "migrate": (("migrate_to", "source"), ("migrate_from", "target")),
    "promote": (("promote", "target"),),
    "demote": (("demote", "source"),),
}


class Admin:
    """Who edits the whole configuration, plans it, and applies it."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.node = cloud.node(cloud.stage.hosts()[0])

    def plan(self, edit):
        """Change a copy of the configuration, and give the steps that are foreseen."""
        cib = etree.fromstring(self.node.check("cibadmin --query").encode())
        edit(cib.find("configuration"))
        self.node.write(WANTED, etree.tostring(cib).decode())
        return json.loads(self.node.run(f"backstay plan {WANTED} --output json", timeout=60).stdout)["steps"]

    def apply(self):
        """Apply it, and give what Pacemaker did by its own log; fails unless apply saw what was foreseen."""
        with self.cloud.watched() as watched:
            command = f"backstay apply {WANTED} --yes --allow-stop --remove --output json"
            done = self.node.run(command, timeout=400)
        assert done.returncode == 0, done.stdout + done.stderr
        return did(watched[0].deeds)

    def change(self, edit):
        """Change the configuration, and give what was foreseen; fails unless just that was done."""
        steps = self.plan(edit)
        assert wanted(steps) == self.apply()
        return {(step["verb"], step["subject"]) for step in steps}


def wanted(steps):
    """The operations that these steps are made of: (operation, resource, host)."""
    found = {
        (operation, step["subject"], step[place])
        for step in steps
        for operation, place in OPERATIONS.get(step["verb"], ())
    }
    fenced = {step["subject"] for step in steps if step["verb"] == "fence"}
    # a fencing ends what ran there: Pacemaker counts that as the stop, and asks no agent for it
    by_fencing = {deed for deed in found if deed[0] in ("stop", "demote") and deed[2] in fenced}
    return found - by_fencing | {("fence", host) for host in fenced}


def did(deeds):
    """What Pacemaker did, in the same words. A source is stopped after a migration; that belongs to it."""
    moved = {(resource, host) for operation, resource, host in deeds if operation == "migrate_to"}
    return {
        deed[:2] if deed[0] == "fence" else (deed[0], deed[1].partition(":")[0], deed[2])
        for deed in deeds
        if not (deed[0] == "stop" and deed[1:] in moved) and deed[0] not in ("monitor", "notify")
    }


def pair(configuration, identity, name, value, into):
    """Set a name and value in the set of that path, which is made when it is not there."""
    element = configuration.find(f".//*[@id='{into[0]}']")
    holder = element.find(into[1])
    if holder is None:
        holder = etree.SubElement(element, into[1], id=f"{identity}-set")
        element.insert(0, holder)
    for old in holder.findall(f"nvpair[@name='{name}']"):
        holder.remove(old)
    etree.SubElement(holder, "nvpair", id=identity, name=name, value=value)


def add(xml):
    """An edit that adds a resource."""
    return lambda configuration: configuration.find("resources").append(etree.fromstring(xml))


def dummy(name, priority=0, slots=0):
    return add(DUMMY.format(name=name, priority=priority, slots=slots))


def meta(name, key, value):
    return lambda configuration: pair(configuration, f"{name}-{key}", key, value, (name, "meta_attributes"))


def prop(name, value):
    return lambda configuration: pair(
        configuration, f"probe-{name}", name, value, ("cib-bootstrap-options", ".")
    )


def several(*edits):
    def edit(configuration):
        for one in edits:
            one(configuration)

    return edit


@pytest.fixture
def admin(cloud):
    """The admin; afterwards the configuration is as it was."""
    admin = Admin(cloud)
    before = admin.node.check("cibadmin --query --scope configuration")
    yield admin
    for host in cloud.stage.hosts():
        cloud.node(host).run("rm -f /run/stubborn")
    admin.node.check("cibadmin --replace --scope configuration --xml-pipe", stdin=before, timeout=60)
    cloud.rest()
    cloud.settle()


def test_what_starts_restarts_and_stops_is_foreseen(admin):
    names = ("one", "two", "three")
    for name in names:
        assert admin.change(dummy(name)) == {("start", name)}
    for number in range(3):  # nothing follows from these
        edit = (prop("cluster-recheck-interval", f"{number + 10}min"), meta("one", "failure-timeout", f"{number + 1}h"),
                prop("node-health-strategy", "custom"))[number]  # fmt: skip
        assert admin.change(edit) == set()
    for name in names:
        state = f"/run/{name}.other"
        assert admin.change(
            lambda configuration, name=name, state=state: pair(
                configuration, f"{name}-s", "state", state, (name, "instance_attributes")
            )
        ) == {("restart", name)}
    for name in names:
        assert admin.change(meta(name, "target-role", "Stopped")) == {("stop", name)}


def test_who_moves_alive_is_foreseen(admin, cloud):
    for guest in ("web1", "web2", "mail1"):
        source = cloud.stage.places()[guest]
        target = next(host for host in cloud.stage.hosts() if host != source)
        rule = etree.Element("rsc_location", id=f"probe-{guest}", rsc=guest, node=target, score="INFINITY")
        edit = lambda configuration, rule=rule: configuration.find("constraints").append(rule)  # noqa: E731
        assert admin.change(edit) == {("migrate", guest)}


def test_a_change_of_role_is_foreseen(admin, cloud):
    admin.node.check("cibadmin --create --scope resources --xml-pipe", stdin=ROLE)
    cloud.rest()
    for host in cloud.stage.hosts():
        assert admin.change(meta("role", "target-role", "Unpromoted")) == {("demote", "roles")}
        away = [other for other in cloud.stage.hosts() if other != host]

        def only(configuration, host=host, away=away):
            for old in configuration.findall(".//rsc_location[@rsc='role']"):
                old.getparent().remove(old)
            for other in away:
                rule = etree.SubElement(
                    configuration.find("constraints"), "rsc_location", id=f"probe-role-{other}", rsc="role"
                )
                condition = etree.SubElement(
                    rule, "rule", id=f"probe-rule-{other}", role="Promoted", score="-INFINITY"
                )
                etree.SubElement(
                    condition,
                    "expression",
                    id=f"probe-e-{other}",
                    attribute="#uname",
                    operation="eq",
                    value=other,
                )
            meta("role", "target-role", "Started")(configuration)

        assert admin.change(only) == {("promote", "roles")}


def test_who_is_evicted_is_foreseen(admin, cloud):
    def room(configuration):
        for host in cloud.stage.hosts():
            node = configuration.find(f"nodes/node[@uname='{host}']")
            holder = node.find("utilization")
            if holder is None:
                holder = etree.SubElement(node, "utilization", id=f"probe-{host}")
            for name, value in (("slots", "1"), ("memory", "100000"), ("vcpus", "100")):
                if holder.find(f"nvpair[@name='{name}']") is None:
                    etree.SubElement(holder, "nvpair", id=f"probe-{host}-{name}", name=name, value=value)

    configuration = etree.fromstring(admin.node.check("cibadmin --query --scope configuration").encode())
    room(configuration)
    prop("placement-strategy", "utilization")(configuration)
    admin.node.check(
        "cibadmin --replace --scope configuration --xml-pipe",
        stdin=etree.tostring(configuration).decode(),
        timeout=60,
    )
    cloud.rest()
    small = ("low1", "low2", "low3")
    admin.change(several(*(dummy(name, slots=1) for name in small)))
    for number, loser in enumerate(small, 1):
        steps = admin.change(dummy(f"high{number}", priority=10 * number, slots=1))
        stopped = {subject for verb, subject in steps if verb == "stop"}
        assert ("start", f"high{number}") in steps
        assert len(stopped) == 1
        assert stopped <= set(small), loser


def test_who_is_fenced_is_foreseen(admin, cloud):
    for host in cloud.stage.hosts():
        cloud.node(host).check("mkdir -p /usr/lib/ocf/resource.d/rehearsal")
        cloud.node(host).write(STUBBORN, AGENT, 0o755)
    # a host that comes back meanwhile takes resources that nobody foresaw there
    admin.node.check("crm_attribute --name stonith-action --update off")
    for host in [*cloud.stage.hosts()[1:], cloud.stage.hosts()[1]]:
        name = f"stubborn-{host}"
        xml = f"""<primitive id="{name}" class="ocf" provider="rehearsal" type="stubborn"><operations>
        <op id="{name}-stop" name="stop" interval="0s" timeout="20s" on-fail="block"/></operations></primitive>"""
        rule = f'<rsc_location id="probe-{name}" rsc="{name}" node="{host}" score="INFINITY"/>'
        admin.node.check("cibadmin --create --scope resources --xml-pipe", stdin=xml)
        admin.node.check("cibadmin --create --scope constraints --xml-pipe", stdin=rule)
        cloud.rest()
        cloud.node(host).check("touch /run/stubborn")
        admin.node.check(
            f"crm_resource --resource {name} --meta --set-parameter target-role --parameter-value Stopped"
        )
        cloud.rest()

        def fence(configuration, name=name):
            configuration.find(f".//op[@id='{name}-stop']").set("on-fail", "fence")

        steps = admin.plan(fence)
        assert [step["subject"] for step in steps if step["verb"] == "fence"] == [host]
        assert wanted(steps) == admin.apply()
        power.boot(cloud.lab.layout, host)
        admin.node.check(f"cibadmin --delete --xpath \"//rsc_location[@rsc='{name}']\"")
        admin.node.check(f"cibadmin --delete --xpath \"//primitive[@id='{name}']\"")
        cloud.settle()
