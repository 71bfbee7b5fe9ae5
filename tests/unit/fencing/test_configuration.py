# SPDX-License-Identifier: GPL-2.0-or-later
"""What a CIB says about fencing, in each way in which Pacemaker lets it be said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from backstay.fencing.configuration import Fencing, read, seconds, targets_of


def pairs(kind: str, name: str, **values: str) -> str:
    inside = "".join(f'<nvpair id="{name}-{n}" name="{n}" value="{v}"/>' for n, v in values.items())
    return f'<{kind} id="{kind}-{name}">{inside}</{kind}>'


def device(name: str, agent: str = "fence_backstay_ipmi", more: str = "", **options: str) -> str:
    inside = pairs("instance_attributes", name, **options) + more
    return f'<primitive id="{name}" class="stonith" type="{agent}">{inside}</primitive>'


def cib(
    resources: str = "", constraints: str = "", config: str = "", topology: str = "", hosts: str = "n1 n2"
) -> Fencing:
    nodes = "".join(f'<node id="{n}" uname="{n}"/>' for n in hosts.split())
    text = f"""<cib><configuration><crm_config>{config}</crm_config><nodes>{nodes}
    <node id="r" uname="remote1" type="remote"/></nodes><resources>{resources}</resources>
    <constraints>{constraints}</constraints><fencing-topology>{topology}</fencing-topology></configuration></cib>"""
    return read(etree.fromstring(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [("20", 20), ("20s", 20), ("2min", 120), ("2m", 120), ("500ms", 0.5), ("1h", 3600), (" 5 s ", 5), ("soon", None),
     ("", None), ("1 fortnight", None)],
)  # fmt: skip
def test_a_time(text, value):
    assert seconds(text) == value


@given(st.text())
def test_any_text_is_a_time_or_none(text):
    found = seconds(text)
    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("options", "targets"),
    [
        ({"pcmk_host_list": "n1"}, ("n1",)),
        ({"pcmk_host_list": "n1, n2;n3"}, ("n1", "n2", "n3")),
        ({"pcmk_host_map": "n1:1;n2:2,3"}, ("n1", "n2")),
        ({"pcmk_host_list": "n1", "pcmk_host_map": "n1:1;n2:2"}, ("n1",)),
        ({"pcmk_host_list": "n1", "pcmk_host_check": "static-list"}, ("n1",)),
        ({"pcmk_host_list": "n1", "pcmk_host_check": "dynamic-list"}, None),
        ({}, None),
    ],
)
def test_whom_a_device_fences(options, targets):
    assert targets_of(options) == targets


def remote(name: str) -> str:
    return f'<primitive id="{name}" class="ocf" provider="pacemaker" type="remote"/>'


def test_members_fence_and_remote_hosts_are_fenced():
    found = cib(remote("remote1") + f'<group id="g">{remote("remote2")}</group>')
    assert found.hosts == ("n1", "n2")
    assert found.everybody == ("n1", "n2", "remote1", "remote2")


def test_a_guest_that_is_a_node_is_no_host():
    assert cib('<primitive id="g" class="ocf" provider="backstay" type="domain"/>').everybody == ("n1", "n2")


@pytest.mark.parametrize(
    ("text", "taken", "misread"),
    [
        ("120", 120, False), ("120s", 120, False), ("2min", 2, True), ("1h", 1, True), ("500ms", 500, True),
        ("1.5", 1, True), ("soon", 0, False), ("", 0, False),
    ],
)  # fmt: skip
def test_pacemaker_reads_the_digits_of_a_limit(text, taken, misread):
    (found,) = cib(device("a", pcmk_off_timeout=text)).devices
    assert found.limit("off") == taken
    assert found.limit("on") is None
    assert [name for name, *_ in found.misread_limits()] == ["pcmk_off_timeout"] * misread


def test_a_rendered_cib_knows_its_remote_hosts():
    found = cib(device("a", pcmk_host_list="n1") + device("b", pcmk_host_list="r1") + remote("r1"), hosts="")
    assert (found.hosts, found.remotes) == (("n1",), ("r1",))


def test_a_rendered_cib_has_the_hosts_of_its_devices():
    found = cib(device("a", pcmk_host_list="n2") + device("b", pcmk_host_list="n1"), hosts="")
    assert found.hosts == ("n1", "n2")


def test_devices_in_groups_and_clones_and_nothing_else():
    dummy = '<primitive id="d" class="ocf" provider="pacemaker" type="Dummy"/>'
    found = cib(f'<group id="g">{device("a")}</group><clone id="c">{device("b")}</clone>{dummy}')
    assert [each.name for each in found.devices] == ["a", "b"]


def test_what_a_template_says_is_overridden_by_the_device():
    template = (
        '<template id="t" class="stonith" type="fence_x">'
        + pairs("instance_attributes", "t", ip="1", x="2")
        + "</template>"
    )
    own = '<primitive id="a" template="t">' + pairs("instance_attributes", "a", ip="9") + "</primitive>"
    (found,) = cib(template + own).devices
    assert (found.agent, dict(found.options)) == ("fence_x", {"ip": "9", "x": "2"})


def test_pacemakers_own_options_are_not_the_agents():
    options = {"ip": "1", "pcmk_host_list": "n1", "pcmk_off_timeout": "90s", "pcmk_delay_base": "5s", "pcmk_host_map": "a:b",
               "pcmk_reboot_action": "off", "stonith-timeout": "9"}  # fmt: skip
    (found,) = cib(device("a", **options)).devices
    assert found.parameters() == {"ip": "1"}
    assert found.seconds("pcmk_off_timeout") == 90
    assert (found.alias("a"), found.alias("n1")) == ("b", "n1")


def test_a_pattern_that_is_none_concerns_nobody():
    place = '<rsc_location id="l" rsc-pattern="[" node="n1" score="-INFINITY"/>'
    (found,) = cib(device("a"), place).devices
    assert found.never_on == frozenset()


@pytest.mark.parametrize(
    "constraint",
    [
        '<rsc_location id="l" rsc="a" node="n1" score="-INFINITY"/>',
        '<rsc_location id="l" rsc-pattern="^a" node="n1" score="-INFINITY"/>',
        '<rsc_location id="l" rsc="a"><rule id="r" score="-INFINITY"><expression id="e" attribute="#uname" operation="eq"'
        ' value="n1"/></rule></rsc_location>',
        '<rsc_location id="l" rsc="a"><rule id="r" score="-INFINITY"><expression id="e" attribute="#uname" operation="ne"'
        ' value="n2"/></rule></rsc_location>',
        '<rsc_location id="l" rsc="a" node="n1" score="-100"/>',
        '<rsc_location id="l" rsc="a" node="n1" score="-1000000"/>',
        '<rsc_location id="l" rsc="a" node="N1" score="-INFINITY"/>',
        '<rsc_location id="l" rsc-pattern="!^b" node="n1" score="-INFINITY"/>',
        '<rsc_location id="l" node="n1" score="-INFINITY"><resource_set id="s"><resource_ref id="a"/></resource_set>'
        "</rsc_location>",
        '<rsc_location id="l" rsc="a" node="n1" score="-INFINITY"/><rsc_location id="m" rsc="a" node="n1" score="INFINITY"/>',
    ],
)
def test_where_a_device_must_not_run(constraint):
    (found,) = cib(device("a"), constraint).devices
    assert found.never_on == {"n1"}


@pytest.mark.parametrize(
    "constraint",
    [
        '<rsc_location id="l" rsc="a" node="n1" score="-100"/><rsc_location id="m" rsc="a" node="n1" score="100"/>',
        '<rsc_location id="l" rsc="b" node="n1" score="-INFINITY"/>',
        '<rsc_location id="l" rsc="a"><rule id="r" score="-INFINITY"><expression id="e" attribute="rack" operation="eq"'
        ' value="n1"/></rule></rsc_location>',
    ],
)
def test_where_it_may_run_all_the_same(constraint):
    (found,) = cib(device("a"), constraint).devices
    assert found.never_on == frozenset()


@pytest.mark.parametrize(
    ("constraint", "never"),
    [
        ("", {"n1", "n2"}),
        ('<rsc_location id="l" rsc="a" node="n2" score="100"/>', {"n1"}),
        ('<rsc_location id="l" rsc="g" node="n2" score="0"/>', {"n1"}),
        ('<rsc_location id="l" rsc="a" node="n2" score="-1"/>', {"n1", "n2"}),
        (
            '<rsc_location id="l" rsc="a"><rule id="r" score="0"><expression id="e" attribute="rack" operation="defined"/>'
            "</rule></rsc_location>",
            set(),
        ),
    ],
)
def test_in_an_opt_in_cluster_it_runs_where_a_constraint_lets_it(constraint, never):
    config = pairs("cluster_property_set", "c", **{"symmetric-cluster": "false"})
    (found,) = cib(f'<group id="g">{device("a")}</group>', constraint, config).devices
    assert found.never_on == never


def test_monitor_and_being_disabled():
    ops = '<operations><op id="o" name="monitor" interval="2min" timeout="40s"/></operations>'
    metas = pairs("meta_attributes", "b", **{"target-role": "Stopped"})
    first, second = cib(device("a", more=ops) + device("b", more=metas)).devices
    assert (first.monitored, first.monitor_timeout, first.enabled) == (120, 40, True)
    assert (second.monitored, second.enabled) == (0, False)


def test_levels_and_properties():
    levels = '<fencing-level id="l1" target="n1" index="2" devices="a, b"/><fencing-level id="l2" target-pattern="n.*" index="1" devices="c"/>'
    found = cib(
        topology=levels,
        config=pairs("cluster_property_set", "p", **{"stonith-enabled": "false", "stonith-timeout": "2min"}),
    )
    assert [(level.target, level.index, level.devices) for level in found.levels] == [
        ("n1", 2, ("a", "b")),
        ("@n.*", 1, ("c",)),
    ]
    assert not found.flag("stonith-enabled", default=True)
    assert found.seconds("stonith-timeout", 60.0) == 120
    assert found.seconds("unset", 60.0) == 60


def test_levels_by_name_come_before_those_of_another_kind():
    """As pacemaker-fenced looks for them (find_topology_for_host)."""
    levels = (
        '<fencing-level id="l1" target-pattern="n.*" index="1" devices="c"/>'
        '<fencing-level id="l2" target="n1" index="2" devices="b"/>'
        '<fencing-level id="l3" target="n1" index="1" devices="a"/>'
    )
    found = cib(topology=levels)
    assert [level.devices for level in found.levels_of("n1")] == [("a",), ("b",)]
    assert [level.devices for level in found.levels_of("n2")] == [("c",)]
    assert found.levels_of("other") == ()


@pytest.mark.parametrize("where", ["nodes", "status"])
def test_levels_of_the_hosts_with_an_attribute(where):
    inside = pairs("instance_attributes", "n1", rack="a")
    sections = {
        "nodes": (f'<node id="1" uname="n1">{inside}</node><node id="2" uname="n2"/>', ""),
        "status": (
            '<node id="1" uname="n1"/><node id="2" uname="n2"/>',
            f'<node_state uname="n1"><transient_attributes id="1">{inside}</transient_attributes></node_state>',
        ),
    }
    nodes, status = sections[where]
    text = f"""<cib><configuration><nodes>{nodes}</nodes><fencing-topology>
    <fencing-level id="l" target-attribute="rack" target-value="a" index="1" devices="pdu"/>
    </fencing-topology></configuration><status>{status}</status></cib>"""
    found = read(etree.fromstring(text))
    assert [level.devices for level in found.levels_of("n1")] == [("pdu",)]
    assert found.levels_of("n2") == ()


def test_a_set_that_comes_last_of_all_does_not_win():
    sets = pairs("cluster_property_set", "p", **{"stonith-enabled": "true"}) + pairs(
        "cluster_property_set", "q", **{"stonith-enabled": "false"}
    ).replace('id="cluster_property_set-q"', 'id="q" score="-INFINITY"')
    assert cib(config=sets).flag("stonith-enabled", default=False)


RULE = '<rule id="r" score="1"><date_expression id="d" operation="lt" end="2020-01-01"/></rule>'


def with_rule(kind: str, **values: str) -> str:
    return pairs(kind, "night", **values).replace("><nvpair", f">{RULE}<nvpair", 1)


def test_what_depends_on_a_rule_is_told_and_left_out():
    metas = with_rule("meta_attributes", **{"target-role": "Stopped", "priority": "9"})
    (found,) = cib(
        device("f", ip="base", more=with_rule("instance_attributes", ip="night", plug="1") + metas)
    ).devices
    assert (dict(found.options), found.enabled) == ({"ip": "base"}, True)
    assert found.ruled == {
        "ip": "instance_attributes-night",
        "plug": "instance_attributes-night",
        "target-role": "meta_attributes-night",
    }
    assert cib(device("f", ip="base")).devices[0].ruled == {}


def test_a_property_that_depends_on_a_rule_is_told_and_left_out():
    found = cib(config=with_rule("cluster_property_set", **{"stonith-enabled": "false"}))
    assert (dict(found.properties), found.flag("stonith-enabled", True)) == ({}, True)
    assert found.ruled == {"stonith-enabled": "cluster_property_set-night"}


def with_defaults(resources: str, defaults: str) -> Fencing:
    text = f"<resources>{resources}</resources><rsc_defaults>{defaults}</rsc_defaults>"
    return read(etree.fromstring(f"<cib><configuration>{text}</configuration></cib>"))


def test_defaults_of_all_resources_disable_a_device_that_says_nothing_else():
    """As pacemaker-fenced does; `crm_resource --meta --get-parameter target-role` of 2.1.5 says Stopped, too."""
    own = device("b", more=pairs("meta_attributes", "b", **{"target-role": "Started"}))
    stopped = pairs("meta_attributes", "d", **{"target-role": "Stopped"})
    assert [d.enabled for d in with_defaults(device("a") + own, stopped).devices] == [False, True]


def test_a_rule_far_away_does_not_matter_where_something_nearer_says_it():
    own = device("b", more=pairs("meta_attributes", "b", **{"target-role": "Started"}))
    found = with_defaults(
        device("a") + own, with_rule("meta_attributes", **{"target-role": "Stopped"})
    ).devices
    assert [sorted(d.ruled) for d in found] == [["target-role"], []]


def test_a_group_gives_its_devices_what_they_do_not_say_themselves():
    """Seen with crm_resource of 2.1.5."""
    shared = pairs("instance_attributes", "g", username="group", ip="shared")
    found = cib(f'<group id="g">{shared}{device("a", ip="own")}</group>').devices[0]
    assert found.options == {"username": "group", "ip": "own"}
