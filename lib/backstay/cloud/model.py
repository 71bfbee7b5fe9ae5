# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cloud description says, parsed and proven consistent: frozen, typed, in the order of the file.

Decides the defaults of everything that an admin may leave out. Holds no secret: only where a secret is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath

from backstay.cloud.stores import Drbd, Storage
from backstay.cloud.units import Bytes, Seconds

HYPERVISOR = "qemu:///system"
START_TIMEOUT = Seconds(Fraction(90))
# A guest that shuts down in order, databases included; after it the agent destroys, after that the host is fenced.
STOP_TIMEOUT = Seconds(Fraction(120))
MIGRATE_TIMEOUT = Seconds(Fraction(300))
IPMI, REDFISH = "ipmi", "redfish"
BMC_PORTS = {IPMI: 623, REDFISH: 443}
BMC_PORT = BMC_PORTS[IPMI]
MONITOR_INTERVAL = Seconds(Fraction(10))
MONITOR_TIMEOUT = Seconds(Fraction(30))
ALERT_AGENT = PurePosixPath("/usr/libexec/backstay/alert")
ALERT_TIMEOUT = Seconds(Fraction(30))
TOKEN = Seconds(Fraction(3))
PROBE_TIMEOUT = Seconds(Fraction(5))
UNIT_TIMEOUT = Seconds(Fraction(100))
# Cipher suite 17 (SHA-256) is the strongest that IPMI 2.0 has; suite 3 (SHA-1) is what older BMCs need.
BMC_CIPHER = 17
# The least privilege that may switch power: a leaked password must not reconfigure the BMC.
BMC_PRIVILEGE = "operator"


@dataclass(frozen=True, slots=True)
class Bmc:
    """How to reach the controller that can cut one host's power. Exactly one of the two secrets is given.

    `cipher` and `privilege` mean something with IPMI alone; `system` (the path of a ComputerSystem, "" where there is
    one), `tls_ca` and `tls_fingerprints` (SHA-256, hexadecimal with colons) with Redfish alone.
    """

    address: str
    username: str
    password_file: PurePosixPath | None
    password_script: PurePosixPath | None
    port: int = BMC_PORT
    cipher: int = BMC_CIPHER
    privilege: str = BMC_PRIVILEGE
    protocol: str = IPMI
    system: str = ""
    tls_ca: PurePosixPath | None = None
    tls_fingerprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Capacity:
    """What domains may take from a host, its own reserve already taken off. `cpu` counts vCPUs."""

    memory: Bytes
    cpu: int


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the cluster; `name` is its Corosync node name.

    `rings` are its addresses in Corosync's networks; `levels` are the fence devices that cut its power, one level after
    the other (`bmc` is its BMC). `nodeid` is 0 for a remote node.
    """

    name: str
    address: str
    bmc: Bmc | None
    rings: tuple[str, ...] = ()
    nodeid: int = 0
    remote: bool = False
    site: str = ""
    rack: str = ""
    capacity: Capacity | None = None
    levels: tuple[tuple[str, ...], ...] = (("bmc",),)


@dataclass(frozen=True, slots=True)
class Device:
    """A fence device besides the BMCs; `plugs` are the hosts that it can fence, each with its outlet."""

    name: str
    agent: str
    plugs: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, str], ...] = ()
    password_script: PurePosixPath | None = None

    @property
    def plug_map(self) -> str:
        """The outlets as Pacemaker's pcmk_host_map."""
        return ";".join(f"{host}:{plug}" for host, plug in self.plugs)


@dataclass(frozen=True, slots=True)
class Migration:
    """How a running domain moves. `transport` "" leaves the choice to the domain agent.

    `unsafe` hands libvirt's --unsafe to the migration: for storage that libvirt cannot see to be shared.
    """

    transport: str = ""
    unsafe: bool = False
    user: str = ""
    network_suffix: str = ""


@dataclass(frozen=True, slots=True)
class Libvirtd:
    """How a libvirtd in trouble is treated; None leaves it to the agent's own default."""

    heal_budget: Seconds | None = None
    unhealable: str = "leave"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a guest is held to, as the domain agent writes it; empty, 0 and None are no limit."""

    disk: str = ""
    network: str = ""
    cpu: str = ""
    cpu_shares: int = 0
    memory: Bytes | None = None


@dataclass(frozen=True, slots=True)
class Moving:
    """How one domain moves; what is empty, 0 or None is the emulator's choice. `speed` is written in MiB/s."""

    downtime: Seconds | None = None
    speed: str = ""
    auto_converge: bool = True
    postcopy: bool = False
    compression: str = "none"
    port: int = 0


@dataclass(frozen=True, slots=True)
class Monitor:
    """How often a domain is looked at; `deep` and `guest` are the intervals of check levels 10 and 20."""

    interval: Seconds = MONITOR_INTERVAL
    timeout: Seconds = MONITOR_TIMEOUT
    deep: Seconds | None = None
    guest: Seconds | None = None
    scripts: tuple[PurePosixPath, ...] = ()
    scripts_depth: str = "0"
    script_timeout: Seconds | None = None


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
    disks: tuple[PurePosixPath, ...] = ()
    after: tuple[str, ...] = ()
    storage: tuple[str, ...] = ()
    drbd: Drbd | None = None
    migration: Moving = Moving()
    monitor: Monitor = Monitor()
    limits: Limits = Limits()
    degraded_limit: Seconds | None = None
    hypervisor: str = ""
    guard: str = ""
    shutdown_mode: tuple[str, ...] = ()
    force_stop: bool = False
    traps: str = ""
    start_from_copy: bool = False
    start_resources: bool = False
    snapshot: PurePosixPath | None = None
    backingfile: PurePosixPath | None = None
    stateless: bool = False
    needs: tuple[str, ...] = ()
    """Ids of resources that have to run on its host first: the clones of its storage."""
    checks: tuple[str, ...] = ()
    """Ids of the clones that check its storage."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What holds for the whole cluster; `name` is the cluster_name of corosync.conf."""

    name: str
    hypervisor: str = HYPERVISOR
    migration: Migration = Migration()
    libvirtd: Libvirtd = Libvirtd()


@dataclass(frozen=True, slots=True)
class Corosync:
    """What corosync.conf says besides hosts and quorum. `token` is Corosync's own default."""

    token: Seconds = TOKEN
    link_mode: str = "passive"
    encryption: bool = True


@dataclass(frozen=True, slots=True)
class QuorumDevice:
    """A qdevice; `host` is where corosync-qnetd runs."""

    host: str
    algorithm: str = "ffsplit"
    tls: str = "on"


@dataclass(frozen=True, slots=True)
class Quorum:
    """Who may go on. `wait_for_all` None leaves it to `policy`."""

    wait_for_all: bool | None = None
    device: QuorumDevice | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the admin overrules; None leaves the choice to `policy`, where the reasons are."""

    no_quorum: str | None = None
    fencing_timeout: Seconds | None = None
    priority_fencing_delay: Seconds | None = None
    tie_delay: Seconds | None = None
    stickiness: int | None = None
    migration_threshold: int | None = None
    failure_timeout: Seconds | None = None
    migration_limit: int | None = None
    placement: str | None = None
    shutdown_lock: bool | None = None
    shutdown_lock_limit: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Apart:
    """Domains that are kept apart, the most important one first: `by` is host, rack or site."""

    name: str
    domains: tuple[str, ...]
    by: str = "host"
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Together:
    """Domains that run on the same host, the most important one first."""

    name: str
    domains: tuple[str, ...]
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Alert:
    """A program that Pacemaker runs; without `events` for nodes, fencing and resources."""

    name: str
    program: PurePosixPath = ALERT_AGENT
    recipients: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    timeout: Seconds = ALERT_TIMEOUT
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Frontend:
    """Software that places virtual machines by itself; `name` is that of its group of resources."""

    name: str
    units: tuple[str, ...]
    kind: str = ""
    address: str = ""
    prefix: int = 0
    nic: str = ""
    prefers: tuple[str, ...] = ()
    start_timeout: Seconds = UNIT_TIMEOUT
    stop_timeout: Seconds = UNIT_TIMEOUT
    stop_fails: str = "block"
    storage: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    profile: str = "generic"
    probes: tuple[str, ...] = ()
    optional_probes: tuple[str, ...] = ()
    probe_within: Seconds = PROBE_TIMEOUT
    patience: Seconds = Seconds(Fraction(20))
    lease: PurePosixPath | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that its resources have."""
        return (self.name, *(f"{self.name}-{part}" for part in ("address", "role", *self.units)))


@dataclass(frozen=True, slots=True)
class Mirror:
    """A DRBD resource and whose it is; `domain` is empty for storage, `alive` says that both sides are promoted."""

    owner: str
    drbd: Drbd
    domain: str = ""
    alive: bool = False


@dataclass(frozen=True, slots=True)
class Cloud:
    """A whole description. The order of hosts and domains is the order of the file, and ends up in the CIB."""

    cluster: Cluster
    hosts: tuple[Host, ...]
    domains: tuple[Domain, ...]
    corosync: Corosync = Corosync()
    quorum: Quorum = Quorum()
    policy: Policy = Policy()
    devices: tuple[Device, ...] = ()
    storage: tuple[Storage, ...] = ()
    apart: tuple[Apart, ...] = ()
    together: tuple[Together, ...] = ()
    alerts: tuple[Alert, ...] = ()
    frontend: Frontend | None = None
    properties: tuple[tuple[str, str], ...] = ()
    """Pacemaker's own, as it writes them."""

    @property
    def members(self) -> tuple[Host, ...]:
        """The full members: those with Corosync and a vote."""
        return tuple(host for host in self.hosts if not host.remote)

    @property
    def mirrors(self) -> tuple[Mirror, ...]:
        """The DRBD resources: those of domains, then those of storage."""
        of_domains = (
            Mirror(one.name, one.drbd, one.name, one.live_migration) for one in self.domains if one.drbd
        )
        return (*of_domains, *(Mirror(one.name, one.drbd) for one in self.storage if one.drbd))

    @property
    def pair(self) -> bool:
        """Whether this is a cluster of two, without a third vote: votequorum's two_node."""
        return len(self.members) == 2 and self.quorum.device is None
