# SPDX-License-Identifier: GPL-2.0-or-later
"""What an admin writes into limit_disk, limit_network, limit_cpu and limit_memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.agents import domain_rates
from backstay.agents.domain_parameters import DomainParameters
from backstay.ocf.parameters import BadParameter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("50MiB/s", {"": {"total_bytes_sec": 50 << 20}}),
        ("vda=50MiB/s,300iops", {"vda": {"total_bytes_sec": 50 << 20, "total_iops_sec": 300}}),
        ("vda=1.5kB/s vdb=7iops", {"vda": {"total_bytes_sec": 1500}, "vdb": {"total_iops_sec": 7}}),
        ("read:10MB/s,write:5MB/s", {"": {"read_bytes_sec": 10**7, "write_bytes_sec": 5 * 10**6}}),
        ("total:1B/s,read:3iops", {"": {"total_bytes_sec": 1, "read_iops_sec": 3}}),
    ],
)
def test_disks(text: str, expected: dict[str, dict[str, int]]) -> None:
    assert domain_rates.disk(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vda", "'vda' is no rate"),
        ("vda=50MiB", "'50MiB' is no rate"),
        ("vda=50Mb/s", "the unit of '50Mb/s' is none of B, kB, MB"),
        ("vda=/s", "the unit of '/s'"),
        ("vda=MB/s", "'MB/s' has no number"),
        ("vda=0MB/s", "must be above zero"),
        ("vda=-1MB/s", "must be above zero"),
        ("vda=1e400MB/s", "has no number"),
        ("vda=infMB/s", "is none of"),
        ("vda=1.5iops", "needs a whole number"),
        ("vda=0iops", "needs a whole number"),
        ("=1iops", "is incomplete"),
        ("vda=", "is incomplete"),
        ("vda=1iops,,2MB/s", "is incomplete"),
        ("vda=1MB/s,read:1MB/s", "says twice"),
        ("vda=1MB/s vda=2MB/s", "says twice"),
        ("vda=both:1MB/s", "is no rate"),
    ],
)
def test_wrong_disks_are_told_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(BadParameter) as caught:
        DomainParameters.read({"OCF_RESKEY_config": "/x", "OCF_RESKEY_limit_disk": text}, lenient=False)
    said = str(caught.value)
    assert said.startswith("parameter limit_disk must be like 50MiB/s")
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("100Mbit/s", {"": {"inbound": 12500, "outbound": 12500}}),
        ("52:54:00:AA:00:01=in:8kbit/s", {"52:54:00:aa:00:01": {"inbound": 1}}),
        ("1=in:10MB/s,out:2MiB/s", {"1": {"inbound": 10000, "outbound": 2097}}),
        ("1bit/s", {"": {"inbound": 1, "outbound": 1}}),
    ],
)
def test_interfaces(text: str, expected: dict[str, dict[str, int]]) -> None:
    assert domain_rates.network(text) == expected


@pytest.mark.parametrize("text", ["100Mbit", "up:1MB/s", "0=1MB/s,in:1MB/s", "1iops", "0=", "100Mbps", "x/s"])
def test_wrong_interfaces(text: str) -> None:
    assert domain_rates.complaint("network", text).startswith("must be like 100Mbit/s")


@pytest.mark.parametrize(("text", "quota"), [("150%", 150_000), ("1%", 1000), ("800%", 800_000)])
def test_cpu(text: str, quota: int) -> None:
    assert domain_rates.cpu(text) == quota


@pytest.mark.parametrize("text", ["150", "0%", "1.5%", "-5%", "%", "999999%", "150%%"])
def test_wrong_cpu(text: str) -> None:
    assert domain_rates.complaint("cpu", text) == domain_rates.CPU_EXAMPLE


@pytest.mark.parametrize(
    ("text", "kib"), [("2GiB", 2 << 20), ("2 GiB", 2 << 20), ("512MiB", 512 << 10), ("1GB", 976562)]
)
def test_memory(text: str, kib: int) -> None:
    assert domain_rates.memory(text) == kib


@pytest.mark.parametrize("text", ["2", "2G", "GiB", "0GiB", "-1GiB", "2 gib"])
def test_wrong_memory(text: str) -> None:
    assert domain_rates.complaint("memory", text).startswith("must be a size")


@given(st.sampled_from(["disk", "network", "cpu", "memory"]), st.text())
def test_whatever_is_written_is_parsed_or_complained_about(kind: str, text: str) -> None:
    assert isinstance(domain_rates.complaint(kind, text), str)
