# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates and agents speak of the same parameters, and give an action at least the time that its agent asks for."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.agents.domain import AGENT as DOMAIN
from backstay.agents.libvirtd import AGENT as LIBVIRTD
from backstay.cib.render import render
from backstay.cib.templates import Templates
from backstay.cloud import names
from backstay.cloud.parse import read
from backstay.fencing.ipmi import AGENT as FENCE
from backstay.fencing.metadata import render as fence_metadata
from backstay.ocf.metadata import render as metadata

# Read by Pacemaker's fencer itself (pacemaker-fenced(7)), never given to the agent.
FENCERS = ("pcmk_host_list", "pcmk_host_check", "pcmk_delay_base")


@pytest.fixture(scope="module")
def rendered(repository):
    """The example, rendered."""
    templates = Templates([repository / "crm-templates"])
    return render(read(repository / "examples" / "three-hosts.yaml"), templates)


@pytest.fixture(params=["domain", "libvirtd", "fence"])
def pair(request, rendered):
    """A rendered primitive and the metadata of its agent."""
    if request.param == "domain":
        return rendered.find(".//primitive[@id='db1']"), etree.fromstring(metadata(DOMAIN).encode())
    if request.param == "libvirtd":
        return rendered.find(".//primitive[@id='libvirtd']"), etree.fromstring(metadata(LIBVIRTD).encode())
    return rendered.find(".//primitive[@id='fence-n1']"), etree.fromstring(fence_metadata(FENCE).encode())


def test_the_type_is_the_agents_name(pair):
    primitive, agent = pair
    assert primitive.get("type") == agent.get("name")


def test_every_parameter_is_one_of_the_agents(pair):
    primitive, agent = pair
    known = {parameter.get("name") for parameter in agent.iter("parameter")}
    given = {nvpair.get("name") for nvpair in primitive.iterfind("instance_attributes/nvpair")}
    assert given - set(FENCERS) <= known


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
    asked = {action.get("name"): action.get("timeout") for action in agent.iter("action")}
    for operation in primitive.iter("op"):
        wanted = asked.get(operation.get("name"))
        assert operation.get("name") in asked or operation.get("name") == "start"
        assert wanted is None or int(operation.get("timeout")[:-1]) >= int(wanted[:-1])
