# SPDX-License-Identifier: GPL-2.0-or-later
"""From what is wanted, what the running domain has and what its definition says to the calls: the table."""

from __future__ import annotations

import pytest

from backstay.agents.domain_limits import Plan, Shape, Step, Wanted, plan, record

MAC = "52:54:00:00:00:01"
XML = f"""<domain><name>web1</name><memory unit='GiB'>4</memory><currentMemory unit='MiB'>2048</currentMemory>
<cputune><shares>300</shares></cputune>
<metadata>{{metadata}}</metadata>
<devices>
 <disk device='disk'><target dev='vda'/><iotune><total_bytes_sec>900</total_bytes_sec>
   <total_bytes_sec_max>1800</total_bytes_sec_max><total_bytes_sec_max_length>5</total_bytes_sec_max_length></iotune></disk>
 <disk device='disk'><target dev='vdb'/></disk>
 <interface type='bridge'><mac address='{MAC.upper()}'/><target dev='vnet0'/>
   <bandwidth><inbound average='700' peak='900'/></bandwidth></interface>
</devices></domain>"""
ZEROS = dict.fromkeys(("total_bytes_sec", "total_bytes_sec_max", "read_bytes_sec", "read_bytes_sec_max", "write_bytes_sec", "write_bytes_sec_max"), 0)  # fmt: skip


def live(applied: str = "") -> Shape:
    return Shape(XML.format(metadata=f"<b:limits xmlns:b='urn:backstay:limits' applied='{applied}'/>"))


DEFINITION = Shape(XML.format(metadata=""))


def steps(wanted: Wanted, applied: str = "", shares: int = 0) -> list[tuple[str, str, dict[str, int], bool]]:
    made = plan(wanted, live(applied), DEFINITION, shares)
    assert made.troubles == []
    return [(one.what, one.which, one.values, one.lifts) for one in made.steps]


def test_nothing_wanted_and_nothing_applied_is_nothing_to_do() -> None:
    assert Wanted().empty
    assert steps(Wanted()) == []


def test_what_the_xml_says() -> None:
    assert DEFINITION.memory == 2048 << 10
    assert DEFINITION.shares == 300
    assert (DEFINITION.quota, DEFINITION.period) == (-1, 100_000)
    assert DEFINITION.interfaces[0].mac == MAC
    assert live("cpu=0 shares=1024 disk:vda:bytes_sec=0").applied == {
        "cpu": 0,
        "shares": 1024,
        "disk:vda:bytes_sec": 0,
    }
    with pytest.raises(ValueError, match="mismatched"):
        Shape("<domain></x>")


def test_a_limit_for_every_disk_yields_to_one_that_names_it() -> None:
    found = steps(Wanted(limit_disk="5B/s vdb=7B/s"))
    assert found == [
        ("disk", "vda", {**ZEROS, "total_bytes_sec": 5}, False),
        ("disk", "vdb", {**ZEROS, "total_bytes_sec": 7}, False),
    ]


def test_a_disk_goes_back_to_the_whole_of_its_definition() -> None:
    found = steps(Wanted(limit_disk="vdb=3iops"), "disk:vda:bytes_sec=0 disk:vdb:bytes_sec=0")
    back = {"total_bytes_sec": 900, "total_bytes_sec_max": 1800, "total_bytes_sec_max_length": 5}
    assert found[0] == ("disk", "vda", {**ZEROS, **back}, True)
    assert found[1] == ("disk", "vdb", ZEROS, True)
    assert found[2][2]["total_iops_sec"] == 3


@pytest.mark.parametrize(
    ("wanted", "applied", "expected"),
    [
        (Wanted(limit_cpu="150%"), "", ({"global_period": 100_000, "global_quota": 150_000}, False)),
        (Wanted(), "cpu=0", ({"global_period": 100_000, "global_quota": -1}, True)),
        (Wanted(cpu_shares=9), "", ({"cpu_shares": 9}, False)),
        (Wanted(), "shares=1024", ({"cpu_shares": 300}, True)),
        (Wanted(limit_memory="1GiB"), "", ({"kib": 1 << 20}, False)),
        (Wanted(), "memory=0", ({"kib": 2 << 20}, True)),
    ],
)
def test_cpu_and_memory(wanted: Wanted, applied: str, expected: tuple[dict[str, int], bool]) -> None:
    assert [(values, lifts) for _what, _which, values, lifts in steps(wanted, applied)] == [expected]


def test_shares_that_the_definition_does_not_name_go_back_to_what_they_were() -> None:
    bare = Shape("<domain/>")
    made = plan(Wanted(cpu_shares=9), live(), bare, shares_now=1024)
    assert record({}, made.steps) == "shares=1024"
    again = plan(Wanted(cpu_shares=10), live("shares=1024"), bare, shares_now=9)
    assert record({"shares": 1024}, again.steps) == "shares=1024"
    assert plan(Wanted(), live("shares=1024"), bare).steps[0].values == {"cpu_shares": 1024}


@pytest.mark.parametrize("name", [MAC, "0", "vnet0", ""])
def test_an_interface_by_each_of_its_names(name: str) -> None:
    found = steps(Wanted(limit_network=f"{name}{'=' if name else ''}in:8Mbit/s"))
    assert found == [
        ("interface", MAC, {"inbound.average": 1000, "inbound.peak": 0, "inbound.burst": 0}, False)
    ]


def test_an_interface_goes_back_to_its_definition() -> None:
    found = steps(Wanted(), f"net:{MAC}:inbound=0 net:{MAC}:outbound=0")
    assert [values for _what, _which, values, _lifts in found] == [
        {"inbound.average": 700, "inbound.peak": 900, "inbound.burst": 0},
        {"outbound.average": 0, "outbound.peak": 0, "outbound.burst": 0},
    ]


ALL = f"disk:vda:bytes_sec=0 cpu=0 memory=0 net:{MAC}:inbound=0"


def test_without_a_definition_nothing_is_lifted_and_all_of_it_is_said() -> None:
    made: Plan = plan(Wanted(), live(ALL), None)
    assert made.steps == []
    for name in ("limit_disk", "limit_cpu", "limit_memory", "limit_network"):
        assert any(trouble.startswith(f"{name} cannot be lifted") for trouble in made.troubles)


def test_a_wrong_parameter_leaves_what_it_limits_as_it_is() -> None:
    wrong = {
        "limit_disk": "parameter limit_disk must be ...",
        "force_stop": "parameter force_stop must be ...",
    }
    made = plan(Wanted(wrong=wrong), live(ALL), DEFINITION)
    assert [step.what for step in made.steps] == ["cpu", "memory", "interface"]
    assert made.troubles == [wrong["limit_disk"]]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(limit_disk="sda=1B/s"), "limit_disk names sda, and the disks are vda, vdb"),
        (Wanted(limit_network="7=1MB/s"), f"limit_network names 7, and the interfaces are {MAC}"),
    ],
)
def test_what_the_guest_does_not_have_is_named(wanted: Wanted, said: str) -> None:
    made = plan(wanted, live(), DEFINITION)
    assert made.steps == []
    assert made.troubles == [said]


def test_the_record_follows_what_was_done() -> None:
    done = [
        Step("cpu", "", {}, {"cpu": 0}, lifts=True),
        Step("disk", "vda", {}, {"disk:vda:iops_sec": 0}, lifts=False),
    ]
    assert record({"cpu": 0, "shares": 1024}, done) == "disk:vda:iops_sec=0 shares=1024"
    assert record({"cpu": 0}, done[:1]) == ""
