# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cloud description says, parsed and proven consistent: frozen, typed, in the order of the file.

Decides the defaults of everything that an admin may leave out. Holds no secret: only where a secret is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath

from backstay.cloud.units import Bytes, Seconds

HYPERVISOR = "qemu:///system"
START_TIMEOUT = Seconds(Fraction(90))
# A guest that shuts down in order, databases included; after it the agent destroys, after that the host is fenced.
STOP_TIMEOUT = Seconds(Fraction(120))
MIGRATE_TIMEOUT = Seconds(Fraction(300))
BMC_PORT = 623
# Cipher suite 17 (SHA-256) is the strongest that IPMI 2.0 has; suite 3 (SHA-1) is what older BMCs need.
BMC_CIPHER = 17
# The least privilege that may switch power: a leaked password must not reconfigure the BMC.
BMC_PRIVILEGE = "operator"


@dataclass(frozen=True, slots=True)
class Bmc:
    """How to reach the controller that can cut one host's power. Exactly one of the two secrets is given."""

    address: str
    username: str
    password_file: PurePosixPath | None
    password_script: PurePosixPath | None
    port: int = BMC_PORT
    cipher: int = BMC_CIPHER
    privilege: str = BMC_PRIVILEGE


@dataclass(frozen=True, slots=True)
class Host:
    """One full member of the cluster; `name` is its Corosync node name."""

    name: str
    address: str
    bmc: Bmc


@dataclass(frozen=True, slots=True)
class Migration:
    """How a running domain moves. `transport` "" leaves the choice to the domain agent.

    `unsafe` hands libvirt's --unsafe to the migration: for storage that libvirt cannot see to be shared.
    """

    transport: str = ""
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Libvirtd:
    """How a libvirtd in trouble is treated; None leaves it to the agent's own default."""

    heal_budget: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Domain:
    """One virtual machine. `importance` 0..1000: who finds a place first when there is too little of it."""

    name: str
    config: PurePosixPath
    memory: Bytes
    vcpus: int
    uuid: str = ""
    importance: int = 0
    prefers: tuple[str, ...] = ()
    live_migration: bool = True
    start_timeout: Seconds = START_TIMEOUT
    stop_timeout: Seconds = STOP_TIMEOUT
    migrate_timeout: Seconds = MIGRATE_TIMEOUT


@dataclass(frozen=True, slots=True)
class Cluster:
    """What holds for the whole cluster; `name` is the cluster_name of corosync.conf."""

    name: str
    hypervisor: str = HYPERVISOR
    migration: Migration = Migration()
    libvirtd: Libvirtd = Libvirtd()


@dataclass(frozen=True, slots=True)
class Cloud:
    """A whole description. The order of hosts and domains is the order of the file, and ends up in the CIB."""

    cluster: Cluster
    hosts: tuple[Host, ...]
    domains: tuple[Domain, ...]
