# SPDX-License-Identifier: GPL-2.0-or-later
"""Each thing that can be missing from a configuration of fencing has a finding, and a good one has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.fencing.completeness import findings
from backstay.fencing.completeness_devices import worst_cases
from backstay.fencing.configuration import Device, Fencing, Level
from backstay.fencing.finding import ERROR, WARNING

REDFISH = "fence_backstay_redfish"
GIVEN = {"username": "fencer", "password_file": "/etc/p"}
SCRIPT = {"password_script": "/usr/local/bin/print-password"}


def device(host: str, agent: str = "fence_backstay_ipmi", name: str = "", **more: str) -> Device:
    number = host[1:]
    options = {"ip": f"10.0.0.{number}", "pcmk_host_list": host, **GIVEN, **more}
    return Device(name or f"fence-{host}", agent, options, (host,), frozenset({host}), 120.0, 40.0)


WATCHED = {"have-watchdog": "true", "stonith-watchdog-timeout": "10s"}
GOOD = Fencing(("n1", "n2", "n3"), (device("n1"), device("n2"), device("n3")), (), WATCHED)
PAIR = replace(GOOD, hosts=("n1", "n2"), devices=GOOD.devices[:2])
PDUS = tuple(device(host, "fence_apc", f"pdu-{host}") for host in GOOD.hosts)


def pair(first: dict[str, str], prioritised: bool = True, **properties: str) -> Fencing:
    """Two hosts; the device of the first has these options."""
    given = {name.replace("_", "-"): value for name, value in properties.items()}
    return replace(
        PAIR,
        devices=(device("n1", **first), device("n2")),
        prioritised=prioritised,
        properties=WATCHED | given,
    )


def levels(*devices: str, host: str = "n1") -> tuple[Level, ...]:
    """The levels of a host, one for each text."""
    return tuple(Level(host, index, tuple(each.split(","))) for index, each in enumerate(devices, 1))


def said(fencing: Fencing) -> list[tuple[str, str]]:
    return [(finding.severity, finding.text) for finding in findings(fencing)]


def test_a_good_one_has_no_finding():
    assert said(GOOD) == []


def test_a_property_that_depends_on_a_rule_is_a_warning_where_it_is_judged():
    fencing = replace(GOOD, ruled={"stonith-timeout": "night", "batch-limit": "night"})
    text = "stonith-timeout depends on a rule (in night); what is said here holds while the rule does not"
    assert said(fencing) == [(WARNING, text)]


def test_several_systems_behind_one_address_are_no_finding_with_redfish():
    devices = [
        replace(each, agent=REDFISH, options={**each.options, "ip": "10.0.0.1"}) for each in GOOD.devices
    ]
    assert said(replace(GOOD, devices=tuple(devices))) == []


def with_device(**changes) -> Fencing:
    return replace(GOOD, devices=(*GOOD.devices[:2], replace(device("n3"), **changes)))


def options(**more: str) -> dict[str, str]:
    return {**device("n3").options, **more}


@pytest.mark.parametrize(
    ("fencing", "severity", "text"),
    [
        (replace(GOOD, properties={"stonith-enabled": "false"}), ERROR, "stonith-enabled is false"),
        (replace(GOOD, properties={"startup-fencing": "false"}), WARNING, "startup-fencing is false"),
        (replace(GOOD, devices=GOOD.devices[:2]), ERROR, "no device can fence n3"),
        (with_device(enabled=False), ERROR, "no device can fence n3"),
        (replace(GOOD, properties={}, devices=()), ERROR, "there is no fence device"),
        (replace(GOOD, properties={}, devices=(), hosts=()), ERROR, "there is no fence device"),
        (with_device(enabled=False), WARNING, "fence-n3 is disabled"),
        (with_device(targets=("n3", "n9")), WARNING, "fence-n3 is to fence n9, and no host is called so"),
        (with_device(targets=("n3", "n2")), WARNING, "fence-n3 fences n3, n2 at one address"),
        (with_device(never_on=frozenset()), WARNING, "fence-n3 may run on n3"),
        (with_device(never_on=frozenset(GOOD.hosts)), ERROR, "fence-n3 may run nowhere"),
        (with_device(monitored=0.0), WARNING, "fence-n3 has no recurring monitor"),
        (with_device(monitor_timeout=15.0), WARNING, "the monitor of fence-n3 may need 20 s, and has 15 s"),
        (with_device(options=options(pcmk_off_timeout="20s")), ERROR, "fence-n3 may need 33 s for off, and pcmk_off_timeout"),
        (with_device(options=options(power_timeout="60")), ERROR, "fence-n3 may need 73 s for off, and stonith-timeout ends"),
        (with_device(options=options(delay="30")), ERROR, "fence-n3 may need 63 s for off"),
        (with_device(options=options(pcmk_off_timeout="35s", **SCRIPT)), ERROR, "fence-n3 may need 38 s for off, and pcmk_off"),
        (with_device(options=options(**SCRIPT), monitor_timeout=22.0), WARNING, "the monitor of fence-n3 may need 25 s, and has 22"),
        (with_device(agent=REDFISH, options=options(passwd_script="/s", pcmk_off_timeout="35s")), ERROR, "fence-n3 may need 38 s"),
        (with_device(options=options(ip="10.0.0.1")), ERROR, "fence-n3 has the same BMC as fence-n1 (10.0.0.1)"),
        (with_device(agent=REDFISH, options=options(power_timeout="60")), ERROR, "fence-n3 may need 73 s for off, and"),
        (with_device(agent=REDFISH, options=options(ip="")), ERROR, "fence-n3: ip is not given"),
        (with_device(agent=REDFISH, options=options(ssl_insecure="1")), WARNING, "fence-n3 accepts any certificate"),
        (with_device(options=options(username="")), ERROR, "fence-n3: username is not given"),
        (with_device(options=options(cipher="0")), ERROR, "fence-n3: cipher must be"),
        (with_device(options=options(lanplus="0")), ERROR, "fence-n3: lanplus=0 (IPMI 1.5) is not offered"),
        (with_device(options=options(privlvl="user")), ERROR, "fence-n3: the role user may not switch power"),
        (with_device(agent=REDFISH, options=options(ssl="0")), ERROR, "fence-n3: ssl=0 (plain HTTP) is not offered"),
        (replace(GOOD, levels=(Level("n1", 1, ("fence-n9",)),)), ERROR, "level 1 of n1 names fence-n9"),
        (replace(with_device(enabled=False), levels=(Level("n3", 1, ("fence-n3",)),)), ERROR, "level 1 of n3 needs fence-n3"),
        (replace(GOOD, hosts=("n1", "n2"), devices=GOOD.devices[:2]), WARNING, "n1 and n2 would fence each other"),
        (replace(GOOD, properties={"stonith-watchdog-timeout": "10s"}), ERROR, "stonith-watchdog-timeout is set"),
        (replace(GOOD, properties={}), WARNING, "every way to fence n1, n2, n3 draws its power from the host"),
        (replace(GOOD, properties={"have-watchdog": "true"}), WARNING, "every way to fence n1, n2, n3 draws its power"),
        (replace(GOOD, devices=tuple(replace(each, agent=REDFISH, options={**each.options, "ip": "10.0.0.1", "systems_uri": "/s/1/"})
                                     for each in GOOD.devices)), ERROR, "fence-n2 has the same system as fence-n1 (/s/1)"),
        (with_device(targets=("n3", "n2"), agent=REDFISH, options=options(systems_uri="/s/1")), WARNING,
         "fence-n3 fences n3, n2 at one address"),
        # levels
        (replace(GOOD, properties={}, devices=(*GOOD.devices, *PDUS), levels=levels("fence-n1")), WARNING,
         "every way to fence n1 draws its power"),
        (replace(GOOD, properties={}, devices=(*GOOD.devices, *PDUS), levels=levels("fence-n1,pdu-n1")), WARNING,
         "every way to fence n1 draws its power"),
        (replace(GOOD, devices=(*GOOD.devices, *PDUS), levels=levels("fence-n1")), WARNING,
         "pdu-n1 can fence n1 and is in none of its levels"),
        (replace(GOOD, levels=levels("fence-n1", "fence-n2")), ERROR, "level 2 of n1 needs fence-n2, which does not fence n1"),
        (replace(GOOD, levels=(Level("@n.*", 1, ("fence-n1",)), Level("rack=a", 2, ("fence-n1",), frozenset({"n1"})))), WARNING,
         "n1 fits several sets of levels (@n.*, rack=a)"),
        # a remote host fences nobody, and has to be fenced
        (replace(GOOD, remotes=("r1",)), ERROR, "no device can fence r1"),
        (replace(GOOD, properties={}, remotes=("r1",), devices=(*GOOD.devices, *PDUS, device("r1"))), WARNING,
         "every way to fence r1 draws its power"),
        # what Pacemaker takes for another time
        (with_device(options=options(pcmk_off_timeout="2min")), ERROR,
         "pcmk_off_timeout of fence-n3 is '2min', which Pacemaker 2.1.5 takes for 2 s, not 120 s"),
        (with_device(options=options(pcmk_off_timeout="2min")), ERROR,
         "fence-n3 may need 33 s for off, and pcmk_off_timeout ends it after 2 s"),
        (with_device(agent="fence_apc", options=options(pcmk_reboot_timeout="1m")), ERROR, "pcmk_reboot_timeout of fence-n3 is"),
        (with_device(options=options(pcmk_monitor_timeout="900ms")), WARNING, "pcmk_monitor_timeout of fence-n3 is"),
        # two hosts
        (pair({}, prioritised=False, priority_fencing_delay="15s"), WARNING, "n1 and n2 would fence each other at once"),
        (pair({"pcmk_delay_base": "1s"}), WARNING, "the delays of n1 and n2 differ by 1 s"),
        (pair({"pcmk_delay_base": "n1:1s;n2:0s"}), WARNING, "the delays of n1 and n2 differ by 1 s"),
        (pair({"delay": "2"}), WARNING, "the delays of n1 and n2 differ by 2 s"),
        (pair({"pcmk_delay_base": "10s"}, priority_fencing_delay="15s"), WARNING,
         "priority-fencing-delay (15 s) is less than twice the longest other delay (10 s)"),
        (pair({"pcmk_delay_max": "10s"}, priority_fencing_delay="15s"), WARNING, "priority-fencing-delay (15 s) is less"),
        (replace(GOOD, properties={"stonith-watchdog-timeout": "-1"}), ERROR, "stonith-watchdog-timeout is set"),
    ],
)  # fmt: skip
def test_what_is_missing_is_found(fencing, severity, text):
    assert any(found == severity and words.startswith(text) for found, words in said(fencing)), said(fencing)


@pytest.mark.parametrize(
    "fencing",
    [
        with_device(options=options(power_timeout="60", pcmk_off_timeout="100s", pcmk_on_timeout="100s", pcmk_reboot_timeout="120")),
        replace(with_device(options=options(power_timeout="60")), properties={"stonith-timeout": "2min", **WATCHED}),
        with_device(targets=("n3", "n2"), options=options(port_as_ip="1")),
        replace(GOOD, properties={"priority-fencing-delay": "15s", **WATCHED}, hosts=("n1", "n2"), devices=GOOD.devices[:2]),
        replace(GOOD, hosts=("n1", "n2"), devices=(device("n1", pcmk_delay_base="5s"), device("n2"))),
        replace(GOOD, properties={}, devices=(*GOOD.devices, *PDUS)),
        replace(GOOD, properties={}, devices=(*GOOD.devices, *PDUS),
                levels=tuple(level for h in GOOD.hosts for level in levels(f"fence-{h}", f"pdu-{h}", host=h))),
        replace(GOOD, properties={}, devices=(*GOOD.devices, *PDUS),
                levels=(Level("@n[0-9]", 1, ("fence-n1", "fence-n2", "fence-n3")), Level("@n[0-9]", 2, ("pdu-n1", "pdu-n2", "pdu-n3")))),
        pair({"pcmk_delay_base": "5s"}),
        pair({"pcmk_delay_base": "n1:5s;n2:0s"}),
        pair({"pcmk_delay_max": "10s"}, priority_fencing_delay="20s"),
        pair({}, priority_fencing_delay="15s"),
        with_device(targets=None),
        replace(GOOD, devices=()),  # sbd without disks
        replace(GOOD, remotes=("r4",), devices=(*GOOD.devices, replace(device("r4"), never_on=frozenset()))),
        with_device(targets=("n3", "n2"), agent=REDFISH),  # pcmk_host_map names the system of each
    ],
)  # fmt: skip
def test_what_is_taken_care_of_is_not_found(fencing):
    assert said(fencing) == []


def test_errors_come_first():
    found = said(replace(GOOD, properties={"startup-fencing": "false", "stonith-enabled": "false"}))
    assert [severity for severity, _ in found] == [ERROR, WARNING, WARNING]


def test_the_worst_case_follows_the_parameters():
    found = worst_cases(device("n1", login_timeout="20", power_timeout="30", delay="5", power_wait="4"))
    assert found == {"off": 58, "on": 53, "reboot": 78, "monitor": 40}
    # A script is asked once for each action.
    given = {"login_timeout": "20", "power_timeout": "30", "delay": "5", "power_wait": "4", **SCRIPT}
    assert worst_cases(device("n1", **given)) == {"off": 63, "on": 58, "reboot": 83, "monitor": 45}
