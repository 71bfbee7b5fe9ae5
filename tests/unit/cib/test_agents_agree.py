# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates and agents speak of the same parameters, and give an action at least the time that its agent asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from lxml import etree

from backstay.agents.datastore import AGENT as DATASTORE
from backstay.agents.domain import AGENT as DOMAIN
from backstay.agents.frontend import AGENT as FRONTEND
from backstay.agents.libvirtd import AGENT as LIBVIRTD
from backstay.cib.render import render
from backstay.cib.templates import Templates
from backstay.cloud import names
from backstay.cloud.model import REDFISH, Bmc
from backstay.cloud.parse import read
from backstay.fencing.ipmi import AGENT as FENCE
from backstay.fencing.metadata import render as fence_metadata
from backstay.fencing.redfish import AGENT as FENCE_REDFISH
from backstay.ocf.metadata import render as metadata

# Read by Pacemaker's fencer itself (pacemaker-fenced(7)), never given to the agent.
FENCERS = ("pcmk_host_list", "pcmk_host_check", "pcmk_delay_base")


@pytest.fixture(scope="module")
def rendered(repository):
    """The example, rendered; its second host has a BMC with Redfish."""
    templates = Templates([repository / "crm-templates"])
    cloud = read(repository / "examples" / "three-hosts.yaml")
    file = PurePosixPath("/etc/file")
    bmc = Bmc(
        "bmc",
        "u",
        file,
        None,
        443,
        protocol=REDFISH,
        system="/s/1",
        tls_ca=file,
        tls_fingerprints=("AB", "CD"),
    )
    first, second, third = cloud.hosts
    return render(replace(cloud, hosts=(first, replace(second, bmc=bmc), third)), templates)


@pytest.fixture(scope="module")
def role(repository):
    """The example with a generic frontend and its storage, rendered."""
    templates = Templates([repository / "crm-templates"])
    return render(read(repository / "examples" / "one-role.yaml"), templates)


@pytest.fixture(params=["domain", "libvirtd", "datastore", "frontend", "fence", "redfish"])
def pair(request, rendered, role):
    """A rendered primitive and the metadata of its agent."""
    if request.param == "datastore":
        return role.find(".//primitive[@id='state-check']"), etree.fromstring(metadata(DATASTORE).encode())
    if request.param == "frontend":
        return role.find(".//primitive[@id='frontend-role']"), etree.fromstring(metadata(FRONTEND).encode())
    if request.param == "domain":
        return rendered.find(".//primitive[@id='db1']"), etree.fromstring(metadata(DOMAIN).encode())
    if request.param == "libvirtd":
        return rendered.find(".//primitive[@id='libvirtd']"), etree.fromstring(metadata(LIBVIRTD).encode())
    host, agent = ("n2", FENCE_REDFISH) if request.param == "redfish" else ("n1", FENCE)
    return rendered.find(f".//primitive[@id='fence-{host}']"), etree.fromstring(
        fence_metadata(agent).encode()
    )


def test_the_type_is_the_agents_name(pair):
    primitive, agent = pair
    assert primitive.get("type") == agent.get("name")


def test_every_parameter_is_one_of_the_agents(pair):
    primitive, agent = pair
    known = {parameter.get("name") for parameter in agent.iter("parameter")}
    given = {nvpair.get("name") for nvpair in primitive.iterfind("instance_attributes/nvpair")}
    assert given - set(FENCERS) <= known


def test_a_bmc_with_redfish_is_given_all_that_is_known_of_it(rendered):
    pairs = rendered.iterfind(".//primitive[@id='fence-n2']/instance_attributes/nvpair")
    given = {pair.get("name"): pair.get("value") for pair in pairs}
    assert {name: given[name] for name in ("ipport", "systems_uri", "ssl_ca", "ssl_fingerprint", "password_file")} == {
        "ipport": "443", "systems_uri": "/s/1", "ssl_ca": "/etc/file", "ssl_fingerprint": "AB,CD",
        "password_file": "/etc/file",
    }  # fmt: skip
    assert not {"cipher", "privlvl", "ssl_insecure"} & set(given)


@pytest.mark.parametrize("hypervisor", names.HYPERVISORS)
def test_every_hypervisor_that_a_description_may_name_is_one_of_the_agents(hypervisor):
    environment = {"OCF_RESKEY_config": "/srv/web1.xml", "OCF_RESKEY_hypervisor": hypervisor}
    assert DOMAIN.parameters.read(environment, lenient=False).hypervisor == hypervisor


def test_every_required_parameter_is_given(pair):
    primitive, agent = pair
    given = {nvpair.get("name") for nvpair in primitive.iterfind("instance_attributes/nvpair")}
    required = {
        parameter.get("name") for parameter in agent.iter("parameter") if parameter.get("required") == "1"
    }
    # The fencer gives the action.
    assert required - {"action"} <= given


def test_every_action_has_the_time_that_its_agent_asks_for(pair):
    primitive, agent = pair
    asked = {
        action.get("name"): action.get("timeout")
        for action in agent.iter("action")
        if not action.get("depth")
    }
    for operation in primitive.iter("op"):
        wanted = asked.get(operation.get("name"))
        assert operation.get("name") in asked or operation.get("name") == "start"
        assert wanted is None or int(operation.get("timeout")[:-1]) >= int(wanted[:-1])


def test_libvirtd_is_mended_or_its_host_fenced_before_a_manager_calls_its_machines_gone(rendered):
    """OpenNebula's probe lists machines again 5 s after each answer, and three failures in a row are too many.

    A dead libvirtd refuses at once: the third list comes 10 s after the first, which leaves time for a look and as much for
    a start. A hung one holds the list; after 180 s of that the next one is believed at once (probe_db.rb, `sync`), so it
    has to be aborted by then, or its host fenced.
    """
    probe, sync = 5, 180
    (look,) = rendered.xpath(".//primitive[@id='libvirtd']//op[@name='monitor'][not(instance_attributes)]")
    interval, timeout = (int(look.get(name).removesuffix("s")) for name in ("interval", "timeout"))
    assert 2 * interval <= 2 * probe
    agents = LIBVIRTD.parameters.read({}, lenient=False)
    assert 2 * (interval + timeout) + 2 * agents.answer_within + agents.heal_budget < sync


@pytest.fixture(scope="module")
def large(repository):
    """The large example, rendered."""
    templates = Templates([repository / "crm-templates"])
    return render(read(repository / "examples" / "two-sites.yaml"), templates)


@pytest.mark.parametrize(("name", "agent"), [("state-check", DATASTORE), ("frontend-role", FRONTEND)])
def test_storage_and_role_take_every_value_that_a_description_gives(role, name, agent):
    pairs = role.iterfind(f".//primitive[@id='{name}']/instance_attributes/nvpair")
    given = {f"OCF_RESKEY_{pair.get('name')}": pair.get("value") for pair in pairs}
    assert agent.parameters.read(given, lenient=False).contradiction() == ""


def test_domains_depend_on_the_checks_of_their_storage_for_their_start_alone(large):
    """A check that is started again must restart no guest; one that cannot be started takes them away."""
    for name, bound in (("vmstore", True), ("cache-disk", True), ("scratch", False)):
        check = f"{name}-check-clone"
        orders = large.findall(f".//rsc_order[@first='{check}']")
        assert bool(orders) == bound
        assert all((one.get("symmetrical"), one.get("then-action")) == ("false", "start") for one in orders)
        together = large.findall(f".//rsc_colocation[@with-rsc='{check}']")
        assert {one.get("rsc") for one in together} == {one.get("then") for one in orders}
    fenced = large.findall(".//primitive[@id='archive-check']/operations/op[@name='monitor']")
    assert {op.get("on-fail") for op in fenced} == {"fence"}


@pytest.mark.parametrize("name", ["db1", "db2", "web1", "web2", "cache1", "mail1", "build1"])
def test_the_agent_takes_every_value_that_a_description_gives(large, name):
    given = {
        pair.get("name"): pair.get("value")
        for pair in large.iterfind(f".//primitive[@id='{name}']/instance_attributes/nvpair")
    }
    parameters = DOMAIN.parameters.read(
        {f"OCF_RESKEY_{key}": value for key, value in given.items()}, lenient=False
    )
    assert parameters.contradiction() == ""


def test_every_parameter_of_the_agent_can_be_said(large):
    """But for those that a description says in other words, or not at all (the reason stands here)."""
    said = {
        pair.get("name") for pair in large.iterfind(".//primitive[@type='domain']/instance_attributes/nvpair")
    }
    every = {
        parameter.get("name") for parameter in etree.fromstring(metadata(DOMAIN).encode()).iter("parameter")
    }
    elsewhere = {
        "remoteuri", "migrateuri",  # `cluster.migration` says where the other host is
        "migrate_options",  # each of its options has a key of its own
        "migration_compression", "migration_postcopy", "migration_auto_converge", "start_from_copy", "start_resources",
        "monitor_script_timeout",  # the example has the agent's default, which is not written
    }  # fmt: skip
    assert every - said <= elsewhere
