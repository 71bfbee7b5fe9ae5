# SPDX-License-Identifier: GPL-2.0-or-later
"""Every shipped template alone, as Pacemaker's tools, crmsh and pcs see it: loaded, verified, and scheduled.

The cluster is a CIB file that has what the templates build on (fence devices, libvirtd, the lock manager, storage) and
something hand-made that must stay as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from backstay.cib import schema
from backstay.cib.alone import add, render_alone
from backstay.cib.document import write, write_snippet
from backstay.cib.templates import Templates
from tests.unit.cib.test_shipped_templates import SHIPPED, VARIANTS

HOSTS = ("n1", "n2", "n3")
LIVE = """<cib admin_epoch="0" epoch="5" num_updates="7" validate-with="pacemaker-3.7" crm_feature_set="3.16.1"
have-quorum="1" dc-uuid="1"><configuration><crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="cib-bootstrap-options-cluster-name" name="cluster-name" value="lab"/></cluster_property_set></crm_config>
<nodes>{nodes}</nodes><resources><primitive id="mine" class="ocf" provider="pacemaker" type="Dummy"/></resources>
<constraints><rsc_location id="mine-on-n1" rsc="mine" node="n1" score="5"/></constraints></configuration>
<status>{states}</status></cib>"""
ADMIN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Whatever a template under test replaces by itself.
BASE = (
    ("properties", {}),
    *(("fencing", {"host": host, "address": f"bmc-{host}", "username": "u", "password_file": "/p"}) for host in HOSTS),
    ("libvirtd", {}),
    ("dlm", {"lvmlockd": "yes"}),
    ("nfs", {"name": "vmstore", "server": "nas", "export": "/x", "directory": "/srv/vm"}),
    ("datastore", {"name": "vmstore", "directory": "/srv/vm", "after": "vmstore-clone"}),
    *(("domain", {"name": name, "config": f"/srv/vm/{name}.xml"}) for name in ("web1", "web2", "shop1", "shopdb1")),
    *(("device", {"name": name, "agent": "fence_backstay_ipmi", "plugs": "n1:1"}) for name in ("pdu-a", "pdu-b")),
)  # fmt: skip


@pytest.fixture(scope="module")
def shipped(repository):
    """The templates of the source tree."""
    return Templates([repository / "crm-templates"])


@pytest.fixture(scope="module")
def live(shipped):
    """The CIB of a quiet cluster of three hosts."""
    nodes = "".join(f'<node id="{n}" uname="{host}"/>' for n, host in enumerate(HOSTS, 1))
    online = 'in_ccm="true" crmd="online" join="member" expected="member"'
    states = "".join(f'<node_state id="{n}" uname="{host}" {online}/>' for n, host in enumerate(HOSTS, 1))
    cib = etree.fromstring(LIVE.format(nodes=nodes, states=states))
    for name, given in BASE:
        cib = add(cib, render_alone(shipped, name, given))
    return cib


def run(*argv, cib=None):
    """A real tool, on a CIB file instead of a cluster."""
    environment = {"PATH": ADMIN_PATH, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    if cib is not None:
        environment["CIB_file"] = str(cib)
    return subprocess.run(
        [str(word) for word in argv], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


# Backstay's agents, and those whose packages are too large for a machine that only runs tests, stand where an admin's
# machine has them: crmsh asks each agent for its metadata and refuses parameters that are not in it.
IN_PLACE = """
mount -t overlay none -o "lowerdir=$TREE/resource.d:/usr/lib/ocf/resource.d" /usr/lib/ocf/resource.d
mount -t overlay none -o "lowerdir=$TREE/sbin:/usr/sbin" /usr/sbin
exec "$@"
"""


# Metadata of a unit comes from systemd, and this machine has neither the units nor every package of fence agents.
ANSWERS = """#!/bin/sh
case "$*" in
*"--show-metadata systemd:"* | *"--show-metadata stonith:fence_apc"*)
    echo '<resource-agent name="x"><parameters><parameter name="password_script"><content type="string"/></parameter>'
    echo '</parameters><actions><action name="start" timeout="100s"/><action name="stop" timeout="100s"/>'
    echo '<action name="monitor" timeout="40s" interval="60s"/></actions></resource-agent>' ;;
*) exec "$TREE/crm_resource" "$@" ;;
esac
"""


@pytest.fixture(scope="module")
def agents(repository, tmp_path_factory):
    """A tree with resource.d and sbin, of the agents that no package brings here."""
    cache = Path(os.environ.get("BACKSTAY_CACHE", "/var/cache/backstay")) / "schemas"
    tree = tmp_path_factory.mktemp("agents")
    for place, sources in (
        ("resource.d/backstay", (repository / "agents").iterdir()),
        ("sbin", (repository / "fencing").glob("fence_*")),
    ):
        (tree / place).mkdir(parents=True)
        for source in sources:
            (tree / place / source.name).symlink_to(source)
    asks = tree / "sbin" / "crm_resource"
    asks.write_text(ANSWERS)
    asks.chmod(0o755)
    shutil.copy2("/usr/sbin/crm_resource", tree / "crm_resource")
    ours = tree / "sbin" / "backstay"
    ours.write_text(f'#!/bin/sh\nPYTHONPATH={repository}/lib exec {sys.executable} -m backstay "$@"\n')
    ours.chmod(0o755)
    for name in ("ceph/rbd",):
        source = cache / Path(name).name
        assert source.is_file(), f"{source} is missing here (scripts/setup packages fetches it)"
        target = tree / "resource.d" / name
        target.parent.mkdir()
        target.write_bytes(source.read_bytes())
        target.chmod(0o755)
    return tree


def run_crm(agents, *argv, cib=None):
    """crmsh, with the agents in place."""
    words = ("unshare", "--mount", "--propagation", "private", "sh", "-euc", IN_PLACE, "sh", *argv)
    return run("env", f"TREE={agents}", *words, cib=cib)


ELSEWHERE = "systemd:|stonith:fence_(?!backstay)"


def is_elsewhere(primitive):
    """Whether the agent of a primitive may not be on a machine that runs the tests."""
    return re.match(ELSEWHERE, f"{primitive.get('class')}:{primitive.get('type')}") is not None


def shape(cib):
    """The configuration without what tools are free to do: order of attributes, white space, comments."""
    configuration = etree.fromstring(etree.tostring(cib)).find("configuration")
    etree.strip_tags(configuration, etree.Comment)
    for element in configuration.iter():
        element.text = element.tail = None
    for empty in [part for part in configuration if not len(part)]:
        configuration.remove(empty)
    return sorted(etree.tostring(child, method="c14n") for part in configuration for child in part)


@pytest.mark.parametrize("label", VARIANTS)
def test_each_template_fits_the_schema_and_crm_verify(need, shipped, live, tmp_path, label):
    both = add(live, render_alone(shipped, *VARIANTS[label]))
    path = tmp_path / "cib.xml"
    path.write_bytes(write(both))
    assert schema.check(etree.parse(str(path)).getroot()) == ()
    done = run(need("crm_verify"), "-V", "-x", path)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def started(need, path):
    """What the real scheduler would start in a CIB file, by resource and host."""
    done = run(need("crm_simulate"), "-R", "--output-as=xml", "-x", path)
    assert done.returncode == 0, done.stderr
    actions = etree.fromstring(done.stdout.encode()).iterfind(".//rsc_action")
    return {(one.get("resource").partition(":")[0], one.get("dest") or one.get("node")) for one in actions
            if one.get("action") in ("start", "promote")}  # fmt: skip


@pytest.mark.parametrize("label", VARIANTS)
def test_the_scheduler_places_what_each_template_brings(need, shipped, live, tmp_path, label):
    name, given = VARIANTS[label]
    made = render_alone(shipped, name, given)
    path = tmp_path / "cib.xml"
    path.write_bytes(write(add(live, made)))
    places = started(need, path)
    for clone in made.iter("clone"):
        (limit,) = clone.xpath("meta_attributes/nvpair[@name='clone-max']/@value") or ["3"]
        limit = 2 if given.get("hosts") else int(limit)
        for primitive in clone.iter("primitive"):
            assert len({where for what, where in places if what == primitive.get("id")}) == limit, places
    for primitive in made.iterfind("configuration/resources//primitive"):
        # Without DRBD's own score nothing is promoted, so what stands on it waits: that is for test_drbd_schedule.
        waits = (name, primitive.get("type")) in (("domain-drbd", "domain"), ("drbd", "Filesystem"))
        assert waits or primitive.get("id") in {what for what, _ in places}, places


# As XML, crmsh takes away what stands beside some of them: the other properties, levels of other hosts, standby.
LOADS = [
    (tool, label)
    for tool in ("cibadmin", "cibadmin-create", "crmsh", "pcs")
    for label, (name, _) in VARIANTS.items()
    if label != name and (tool != "crmsh" or not SHIPPED.header(name).crmsh_replaces)
]


@pytest.mark.parametrize(("tool", "label"), LOADS)
def test_each_tool_loads_a_snippet_unaltered(need, agents, shipped, live, tmp_path, label, tool):
    path, snippet = tmp_path / "live.xml", tmp_path / "snippet.xml"
    name, given = VARIANTS[label]
    base = etree.fromstring(etree.tostring(live))
    made = render_alone(shipped, name, given)
    # Only what is not there yet can be created; and cibadmin removes nothing from what it modifies.
    ids = {child.get("id") for child in made.iterfind("configuration/*/*")}
    for child in base.findall("configuration/*/*"):
        refers = {child.get(key) for key in ("rsc", "with-rsc", "first", "then")} & ids
        if (refers or child.get("id") in ids) and child.tag != "cluster_property_set":
            child.getparent().remove(child)
    path.write_bytes(write(base))
    snippet.write_bytes(write_snippet(made))
    if tool == "crmsh":
        words = (need("crm"), "configure", "load", "xml", "update", snippet)
        done = run_crm(agents, *words, cib=path)
        assert "ERROR" not in done.stdout + done.stderr
    elif tool == "pcs":
        before, after = tmp_path / "before.xml", tmp_path / "after.xml"
        before.write_bytes(path.read_bytes())
        after.write_bytes(write(add(base, made)))
        argv = (need("pcs"), "cluster", "cib-push", after, f"diff-against={before}")
        done = run(*argv, cib=path)
    else:
        how = "--create" if tool == "cibadmin-create" else "--modify"
        done = run(need("cibadmin"), how, "--allow-create", "--xml-file", snippet, cib=path)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    loaded = etree.parse(str(path)).getroot()
    assert shape(loaded) == shape(add(base, made))
    assert loaded.get("validate-with") == "pacemaker-3.7"
    assert loaded.get("crm_feature_set") == "3.16.1"


def parameters(metadata):
    """Names and needs of the parameters, and the timeouts and roles of the actions, that an agent declares."""
    named = {one.get("name"): one.get("required") == "1" for one in metadata.iter("parameter")}
    actions: dict[str, float] = {}
    for one in metadata.iter("action"):
        # Of several monitors the shallowest counts: the deeper ones are for whoever asks for them.
        wanted = seconds(one.get("timeout", "0"))
        actions[one.get("name")] = min(wanted, actions.get(one.get("name"), wanted))
    return named, actions


def seconds(text):
    """A time as Pacemaker writes it, in seconds."""
    for unit, factor in (("ms", 0.001), ("min", 60), ("s", 1)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)


def metadata(agents, primitive):
    """What the real agent of a primitive says about itself."""
    kind, provider, name = (primitive.get(key) for key in ("class", "provider", "type"))
    if kind == "stonith":
        argv = (agents / "sbin" / name, "-o", "metadata")
    else:
        here = agents / "resource.d" / provider / name
        argv = (here if here.exists() else f"/usr/lib/ocf/resource.d/{provider}/{name}", "meta-data")
    done = run("env", "OCF_ROOT=/usr/lib/ocf", *argv)
    assert done.returncode == 0, done.stderr
    return etree.fromstring(done.stdout.encode())


@pytest.mark.parametrize("label", VARIANTS)
def test_agents_know_every_parameter_and_get_the_time_they_ask_for(agents, shipped, label):
    made = render_alone(shipped, *VARIANTS[label])
    for primitive in made.iter("primitive"):
        if is_elsewhere(primitive):
            continue
        named, actions = parameters(metadata(agents, primitive))
        given = {pair.get("name") for pair in primitive.iterfind("instance_attributes/nvpair")}
        assert {name for name in given if not name.startswith("pcmk_")} <= set(named), primitive.get("type")
        # A fence agent of the usual library calls a parameter required that it takes by another name as well.
        assert primitive.get("class") == "stonith" or {name for name, must in named.items() if must} <= given
        for op in primitive.iterfind("operations/op"):
            assert op.get("name") in actions or primitive.get("class") == "stonith"
            assert seconds(op.get("timeout")) >= actions.get(op.get("name"), 0), (
                primitive.get("type"),
                op.get("name"),
            )
