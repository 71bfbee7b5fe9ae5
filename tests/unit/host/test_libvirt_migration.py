# SPDX-License-Identifier: GPL-2.0-or-later
"""How libvirt's words about a migration and about a domain's needs are read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from backstay.host import libvirt_migration, libvirt_preflight
from backstay.host.libvirt_migration import INCOMING, NO_JOB, OUTGOING, Standing
from backstay.host.libvirt_preflight import ABSENT, DEVICE, DISK, FITS, INACTIVE, MISFIT, PRESENT, UNKNOWN

CODES = {
    name: number
    for number, name in enumerate(
        (
            "VIR_ERR_NO_SUPPORT", "VIR_ERR_ACCESS_DENIED", "VIR_ERR_RPC", "VIR_ERR_XML_ERROR", "VIR_ERR_XML_DETAIL",
            "VIR_ERR_CONFIG_UNSUPPORTED", "VIR_ERR_CPU_INCOMPATIBLE", "VIR_ERR_NO_NETWORK", "VIR_ERR_NO_INTERFACE",
            "VIR_ERR_NO_STORAGE_POOL", "VIR_ERR_NO_STORAGE_VOL", "VIR_ERR_INTERNAL_ERROR", "VIR_ERR_INVALID_ARG",
        ),
        100,
    )
}  # fmt: skip


class LibvirtError(Exception):
    def get_error_code(self) -> int:
        return CODES[str(self)]


def virt(**answers: Any) -> Any:
    """A connection; what is given as text is the error that the call of that name ends with."""

    def answer(name: str) -> Any:
        def call(*_words: Any) -> Any:
            said = answers[name]
            if isinstance(said, str):
                raise LibvirtError(said)
            return said

        return call

    constants = {
        "VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE": 1,
        "VIR_NODE_MEMORY_STATS_ALL_CELLS": -1,
        "VIR_DOMAIN_JOB_NONE": 0,
    }
    module = SimpleNamespace(libvirtError=LibvirtError, **constants, **CODES)
    return SimpleNamespace(
        module=module, connection=SimpleNamespace(**{name: answer(name) for name in answers})
    )


@pytest.mark.parametrize(
    ("said", "job"),
    [
        ({"type": 0}, NO_JOB),
        ({}, NO_JOB),
        ({"type": 2, "operation": 5}, OUTGOING),
        ({"type": 2, "operation": 4}, INCOMING),
        ({"type": 1, "operation": 2}, "a save"),
        ({"type": 2, "operation": 77}, "a job"),
        ({"type": 2}, "a job"),
    ],
)
def test_a_job_is_named(said: dict[str, int], job: str) -> None:
    assert libvirt_migration._job(virt(), said).get("job", NO_JOB) == job


def test_a_migration_is_counted_in_seconds_and_bytes() -> None:
    said = {
        "type": 2, "operation": 5, "time_elapsed": 1500, "data_total": 100, "data_processed": 60, "data_remaining": 40,
        "memory_bps": 7, "memory_dirty_rate": 3, "memory_page_size": 4096, "memory_iteration": 2,
        "auto_converge_throttle": 20,
    }  # fmt: skip
    standing = Standing(None, **libvirt_migration._job(virt(), said))  # type: ignore[arg-type]
    assert (standing.elapsed, standing.dirty, standing.passes, standing.throttle) == (1.5, 3 * 4096, 2, 20)
    assert (standing.total, standing.processed, standing.remaining, standing.rate) == (100, 60, 40, 7)


DOMAIN = ET.fromstring(
    """<domain><devices>
    <interface type='network'><source network='lan' portid='x' bridge='virbr0'/></interface>
    <interface type='network'><source network='lan'/></interface>
    <interface type='bridge'><source bridge='br0'/></interface>
    <interface type='bridge'><source bridge='ovs0'/><virtualport type='openvswitch'/></interface>
    <interface type='direct'><source dev='eth1' mode='bridge'/></interface>
    <interface type='user'/>
    <disk type='file' device='disk'><source file='/srv/a.raw'/></disk>
    <disk type='block' device='disk'><source dev='/dev/drbd0'/></disk>
    <disk type='volume' device='disk'><source pool='images' volume='b'/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='c'/></disk>
    <disk type='file' device='cdrom'><source file='/srv/cd.iso'/></disk>
    <disk type='file' device='disk'/>
    </devices></domain>"""
)


def test_what_a_domain_needs() -> None:
    assert libvirt_preflight._network_needs(virt(interfaceLookupByName=1), DOMAIN) == {
        "networks": ("lan",),
        "devices": (("br0", True), ("ovs0", False), ("eth1", True)),
    }
    assert libvirt_preflight._disk_needs(DOMAIN) == {
        "volumes": (("images", "b"),),
        "paths": ("/srv/a.raw", "/dev/drbd0"),
    }


@pytest.mark.parametrize("said", ["VIR_ERR_NO_INTERFACE", "VIR_ERR_NO_SUPPORT"])
def test_a_libvirt_that_does_not_list_a_bridge_in_use_proves_no_absence(said: str) -> None:
    needs = libvirt_preflight._network_needs(virt(interfaceLookupByName=said), DOMAIN)
    assert not any(certain for _name, certain in needs["devices"])


NEEDS = libvirt_preflight.Needs(emulator="/kvm", machine="pc", cpu="<cpu/>")


@pytest.mark.parametrize(
    ("ask", "call", "said", "word"),
    [
        (libvirt_preflight._emulator, "getDomainCapabilities", "", FITS),
        (libvirt_preflight._emulator, "getDomainCapabilities", "VIR_ERR_INVALID_ARG", MISFIT),
        (libvirt_preflight._emulator, "getDomainCapabilities", "VIR_ERR_NO_SUPPORT", UNKNOWN),
        (libvirt_preflight._emulator, "getDomainCapabilities", "VIR_ERR_ACCESS_DENIED", UNKNOWN),
        (libvirt_preflight._emulator, "getDomainCapabilities", "VIR_ERR_INTERNAL_ERROR", UNKNOWN),
        (libvirt_preflight._definition, "domainXMLToNative", "", FITS),
        (libvirt_preflight._definition, "domainXMLToNative", "VIR_ERR_CONFIG_UNSUPPORTED", MISFIT),
        (libvirt_preflight._definition, "domainXMLToNative", "VIR_ERR_INTERNAL_ERROR", UNKNOWN),
        (libvirt_preflight._cpu, "compareHypervisorCPU", "", FITS),
        (libvirt_preflight._cpu, "compareHypervisorCPU", "VIR_ERR_CPU_INCOMPATIBLE", MISFIT),
        (libvirt_preflight._cpu, "compareHypervisorCPU", "VIR_ERR_NO_SUPPORT", UNKNOWN),
    ],
)
def test_only_some_errors_mean_that_it_does_not_fit(ask: Any, call: str, said: str, word: str) -> None:
    assert ask(virt(**{call: said or 2}), NEEDS)[2] == word


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (SimpleNamespace(isActive=lambda: 1), PRESENT),
        (SimpleNamespace(isActive=lambda: 0), INACTIVE),
        ("VIR_ERR_NO_NETWORK", ABSENT),
        ("VIR_ERR_NO_SUPPORT", UNKNOWN),
    ],
)
def test_a_network(said: Any, word: str) -> None:
    assert libvirt_preflight._network(virt(networkLookupByName=said), "lan")[2] == word


@pytest.mark.parametrize(
    ("said", "certain", "word"),
    [
        (1, True, PRESENT),
        ("VIR_ERR_NO_INTERFACE", True, ABSENT),
        ("VIR_ERR_NO_INTERFACE", False, UNKNOWN),
        ("VIR_ERR_NO_SUPPORT", True, UNKNOWN),
    ],
)
def test_a_bridge(said: Any, certain: bool, word: str) -> None:
    found = libvirt_preflight._device(virt(interfaceLookupByName=said), "br0", certain)
    assert found[:3] == (DEVICE, "br0", word)


def test_the_free_memory_counts_what_is_only_cached() -> None:
    assert (
        libvirt_preflight._available(virt(getMemoryStats={"free": 2, "buffers": 3, "cached": 4})) == 9 * 1024
    )
    assert libvirt_preflight._available(virt(getMemoryStats="VIR_ERR_NO_SUPPORT")) == 0


class Pool:
    def XMLDesc(self, _flags: int) -> str:
        return "<pool><target><path>/srv</path></target></pool>"

    def name(self) -> str:
        return "images"


@pytest.mark.parametrize(("listed", "word"), [(1, PRESENT), ("VIR_ERR_NO_STORAGE_VOL", UNKNOWN)])
def test_a_disk_is_looked_for_only_where_a_pool_lists_it(listed: Any, word: str) -> None:
    needs = libvirt_preflight.Needs(paths=("/srv/a.raw", "/dev/drbd0"))
    connection = virt(listAllStoragePools=[Pool()], storageVolLookupByPath=listed)
    connection.module.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE = 2
    assert list(libvirt_preflight._storage(connection, needs)) == [(DISK, "/srv/a.raw", word, "pool images")]
