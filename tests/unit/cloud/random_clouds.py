# SPDX-License-Identifier: GPL-2.0-or-later
"""Random clouds that are right: a hypothesis strategy for descriptions, as the data that YAML gives."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from backstay.cloud.names import RESERVED_DOMAIN

HOST_NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9._-]{0,12}\Z").filter(
    lambda name: not RESERVED_DOMAIN.fullmatch(name)
)
DOMAIN_NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9._-]{0,12}\Z").filter(
    lambda name: not RESERVED_DOMAIN.fullmatch(name)
)
# What XML, shells, systemd and corosync.conf could stumble over.
UGLY = st.text(st.sampled_from("aZ9 '\"<>&;|$`\\%{}()!*?#~éß漢😀-_.,:=@"), min_size=1, max_size=20)
PATHS = UGLY.map(lambda text: "/srv/" + text.replace("/", "_")).filter(lambda path: ".." not in path)
TIMES = st.sampled_from(["20s", "1 min", "90s", "1500 ms", "2 h"]).filter(lambda time: time != "1500 ms")
MINUTES = st.sampled_from(["1 min", "90s", "2 h"])


def mapping(required, **optional):
    """A mapping with all of `required` and some of `optional`."""
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def bmcs(draw, number):
    """The BMC of the host `number`."""
    secret = draw(st.sampled_from(["password_file", "password_script"]))
    common = {"address": st.just(f"10.9.{number}.1"), "username": st.just("fencer"), secret: PATHS}
    ipmi = mapping(
        common, protocol=st.just("ipmi"), port=st.integers(1, 65535), cipher=st.sampled_from([3, 17]),
        privilege=st.sampled_from(["operator", "administrator"]),
    )  # fmt: skip
    redfish = mapping(
        {**common, "protocol": st.just("redfish")},
        system=st.just("node-1"),
        tls_ca=PATHS,
        tls_fingerprint=st.just("ab" * 32),
    )
    return draw(st.one_of(ipmi, redfish))


@st.composite
def hosts(draw):
    """One to twenty hosts, some of them remote."""
    names = draw(st.lists(HOST_NAMES, min_size=1, max_size=20, unique_by=str.casefold))
    rings = draw(st.integers(1, 3))
    numbered, sized, placed = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    found = {}
    for number, name in enumerate(names):
        remote = number > 0 and (number >= 16 or draw(st.booleans()))
        host = {
            "address": f"10.0.{number}.1",
            "bmc": draw(bmcs(number)),
            "member": "remote" if remote else "full",
        }
        if not remote and rings > 1:
            host["rings"] = [f"10.{ring}.{number}.1" for ring in range(rings)]
        if not remote and numbered:
            host["nodeid"] = number * 3 + 1
        if sized:
            reserve = draw(mapping({}, memory=st.just("1 GiB"), cpu=st.just(1)))
            host["capacity"] = {"memory": "512 GiB", "cpu": 128, "reserve": reserve}
        if placed:
            host |= {"site": f"s{number % 2}", "rack": f"r{number}"}
        found[name] = host
    return found


LIMITS = mapping(
    {}, disk=st.sampled_from(["50MiB/s", "vda=50MiB/s,300iops vdb=read:10MB/s"]), network=st.just("100Mbit/s"),
    cpu=st.just("150%"), cpu_shares=st.integers(1, 10000), memory=st.just("1 GiB"),
)  # fmt: skip
MOVING = mapping(
    {}, downtime=st.just("500 ms"), speed=st.just("100 MiB/s"), auto_converge=st.booleans(), postcopy=st.booleans(),
    compression=st.sampled_from(["none", "xbzrle", "mt"]), port=st.integers(1, 65535),
)  # fmt: skip
MONITOR = mapping(
    {}, interval=st.just("15s"), timeout=TIMES, deep=st.just("3 min"), guest=st.just("5 min"),
    scripts=st.lists(PATHS.filter(lambda path: " " not in path), max_size=2),
)  # fmt: skip


@st.composite
def domains(draw, host_names, taken):
    """One to twelve domains."""
    names = draw(
        st.lists(DOMAIN_NAMES.filter(lambda name: name not in taken), min_size=1, max_size=12, unique=True)
    )
    found = {}
    for number, name in enumerate(names):
        found[name] = draw(
            mapping(
                {
                    "config": PATHS.map(lambda path, n=number: f"{path}{n}.xml"),
                    "memory": st.sampled_from(["2 GiB", "1500 MiB", "64 GiB"]),
                    "vcpus": st.integers(1, 64),
                },
                uuid=st.just(f"5a3c1f0e-7d64-4b51-9a0e-0d1b{number:08}"),
                disks=PATHS.map(lambda path, n=number: [f"{path}{n}.img"]),
                importance=st.integers(0, 1000),
                prefers=st.lists(st.sampled_from(host_names), unique=True, max_size=3),
                after=st.lists(st.sampled_from(names[:number]), unique=True, max_size=2) if number else st.just([]),
                live_migration=st.booleans(), start_timeout=TIMES, stop_timeout=TIMES, migrate_timeout=TIMES,
                limits=LIMITS, migration=MOVING, monitor=MONITOR, degraded_limit=TIMES,
                guard=st.sampled_from(["none", "peers", "lock"]), shutdown_mode=st.just(["acpi"]),
                traps=st.sampled_from(["clear", "refuse", "ignore"]), start_from_copy=st.booleans(),
                start_resources=st.booleans(),
            )
        )  # fmt: skip
    return found


@st.composite
def mirrored(draw, number, there):
    """The DRBD resource of the domain `number`, on hosts of `there`, and how many hosts have it."""
    generation = draw(st.sampled_from(["8", "9"]))
    most = 3 if generation == "9" and len(there) > 2 else 2
    chosen = draw(st.lists(st.sampled_from(list(there)), unique=True, min_size=2, max_size=most))
    rings = min(len(there[name].get("rings", ["its address"])) for name in chosen)
    drbd = {"hosts": chosen, "generation": generation, "ring": draw(st.integers(0, rings - 1))}
    if draw(st.booleans()):
        drbd["resource"] = f"r{number}"
    if draw(st.booleans()):
        drbd["port"] = 7000 + number
        drbd["volumes"] = {
            str(volume): {"disk": f"/dev/vg/d{number}-{volume}", "minor": number * 10 + volume}
            for volume in draw(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True))
        }
    return drbd


@st.composite
def mirrors(draw, guests, there):
    """Give some domains a disk that DRBD mirrors; they prefer its hosts, and stay where three have it."""
    for number, guest in enumerate(guests.values()):
        if len(there) > 1 and draw(st.booleans()):
            guest["drbd"] = draw(mirrored(number, there))
            among = guest["drbd"]["hosts"]
            guest["prefers"] = [name for name in guest.get("prefers", []) if name in among]
            if len(among) > 2:
                guest["live_migration"] = False


@st.composite
def levels(draw, there):
    """Let a power strip fence every host, before its BMC, after it, together with it, or in its place."""
    strip = {"agent": "fence_apc_snmp", "parameters": {"ip": "10.9.9.9"}}
    strip["hosts"] = {name: f"p{number}" for number, name in enumerate(there)}
    for host in there.values():
        chosen = draw(
            st.sampled_from(
                [None, ["bmc", "pdu-1"], ["pdu-1", "bmc"], "bmc+pdu-1", ["bmc+pdu-1", "pdu-1"], "pdu-1"]
            )
        )
        if chosen:
            host["fencing"] = chosen
        if chosen == "pdu-1" and draw(st.booleans()):
            del host["bmc"]
    return {"pdu-1": strip}


POLICY = mapping(
    {}, no_quorum=st.sampled_from(["freeze", "stop", "demote", "suicide"]), fencing_timeout=TIMES,
    priority_fencing_delay=TIMES, tie_delay=st.just("5s"), stickiness=st.integers(0, 999999),
    migration_threshold=st.integers(1, 9), failure_timeout=st.just("2 h"), migration_limit=st.integers(1, 9),
    placement=st.just("default"), shutdown_lock=st.booleans(),
)  # fmt: skip
PROPERTIES = mapping(
    {}, **{"cluster-recheck-interval": TIMES, "pe-error-series-max": st.integers(-1, 9), "enable-acl": st.booleans(),
    "node-health-red": st.just("-INFINITY"), "node-health-strategy": st.sampled_from(["none", "only-green"]),
    "load-threshold": st.just("70%"), "batch-limit": st.integers(0, 99)},
)  # fmt: skip
ALERT = mapping(
    {"program": PATHS}, recipients=st.lists(UGLY.filter(str.strip), max_size=2), timeout=TIMES,
    events=st.lists(st.sampled_from(["nodes", "fencing", "resources", "attributes"]), unique=True, max_size=4),
    parameters=st.dictionaries(st.sampled_from(["from", "x_1", "a-b"]), UGLY, max_size=2),
)  # fmt: skip


@st.composite
def storage(draw, taken, host_names):
    """Storage of every type, with names that nobody else has."""
    directory = st.integers(1, 10**9).map(lambda number: f"/mnt/{number}")
    only = st.lists(st.sampled_from(host_names), unique=True, min_size=1, max_size=3)
    options = UGLY.filter(str.strip)
    one = st.one_of(
        mapping({"type": st.just("nfs"), "server": st.just("nas.example.org"), "export": PATHS, "directory": directory}, options=options, hosts=only),
        mapping({"type": st.just("iscsi-ocfs2"), "portal": st.just("[fe80::1]:3260"), "target": st.just("iqn.2026-01.org.example:x"), "device": PATHS, "directory": directory}, options=options, hosts=only),
        mapping({"type": st.just("gfs2"), "device": PATHS, "directory": directory}, volume_group=st.just("vg"), options=options, hosts=only),
        mapping({"type": st.just("glusterfs"), "server": st.just("10.7.7.7"), "volume": st.just("vol"), "directory": directory}, options=options),
        mapping({"type": st.just("ceph-rbd"), "image": st.just("i")}, pool=st.just("p"), user=st.just("u"), ceph_conf=PATHS, hosts=only),
        mapping({"type": st.just("lvm"), "volume_group": st.just("vg-1")}, mode=st.sampled_from(["shared", "exclusive"])),
    )  # fmt: skip
    if len(host_names) > 1:
        pair = st.lists(st.sampled_from(host_names), unique=True, min_size=2, max_size=2)
        one = st.one_of(one, mapping({"type": st.just("drbd"), "disk": st.just("/dev/vg/zz9"), "minor": st.just(900), "port": st.just(6900), "hosts": pair, "directory": directory}, options=options, filesystem=st.sampled_from(["ext4", "xfs"])))  # fmt: skip
    found = {}
    for number, each in enumerate(draw(st.lists(one, min_size=1, max_size=4))):
        if each.get("directory") not in [
            other.get("directory") for other in found.values() if "directory" in other
        ] and not (each["type"] == "drbd" and any(other["type"] == "drbd" for other in found.values())):
            found[f"zz9-store{number}"] = each
    return {name: each for name, each in found.items() if not any(other.startswith(name) for other in taken)}


COROSYNC = mapping(
    {}, token=TIMES, link_mode=st.sampled_from(["passive", "active", "rr"]), encryption=st.booleans()
)
QUORUM = mapping(
    {},
    wait_for_all=st.booleans(),
    device=mapping({"host": st.just("192.0.2.1")}, algorithm=st.sampled_from(["ffsplit", "lms"])),
)
PROBES = st.lists(
    st.sampled_from(["http://127.0.0.1/up?a=b&c", "tcp://[::1]:80", "command:/usr/bin/true"]), unique=True
)
UNITS = st.lists(st.sampled_from(["oned", "sunstone", "flow"]), min_size=1, max_size=3, unique=True)


def frontends(host_names):
    """A frontend of each kind."""
    times = {
        "units": UNITS,
        "start_timeout": TIMES,
        "stop_timeout": TIMES,
        "stop_fails": st.sampled_from(["block", "fence"]),
    }
    # A role takes at least a minute: all of its units are in it.
    role = {
        "start_timeout": MINUTES,
        "stop_timeout": MINUTES,
        "patience": TIMES,
        "lease": st.just("/srv/lease"),
    }
    prefers = st.lists(st.sampled_from(host_names), unique=True, max_size=2)
    return st.one_of(
        mapping(
            {"type": st.just("opennebula"), "address": st.just("10.8.0.1")},
            prefix=st.integers(1, 32), nic=st.just("eth0"), prefers=prefers, **{**times, **role},
        ),
        mapping({"type": st.just("ganeti")}, prefers=prefers, stop_fails=times["stop_fails"], **role),
        mapping(
            {"type": st.just("generic"), "units": UNITS}, profile=st.just("shop"), prefers=prefers,
            probes=PROBES, optional_probes=PROBES, probe_within=TIMES, address=st.just("10.8.0.2"),
            prefix=st.integers(1, 32), nic=st.just("eth0"), stop_fails=times["stop_fails"], **role,
        ).map(lambda made: made if "address" in made else {k: made[k] for k in made if k not in ("prefix", "nic")}),
    )  # fmt: skip


@st.composite
def clouds(draw):
    """A whole description, as data."""
    there = draw(hosts())
    guests = draw(domains(list(there), set(there)))
    cloud = {
        "cluster": draw(
            mapping(
                {"name": st.just("random")},
                hypervisor=st.sampled_from(["qemu:///system", "qemu:///session"]),
                migration=mapping({"transport": st.just("ssh")}, unsafe=st.booleans(), user=st.just("mover")),
                libvirtd=mapping(
                    {}, heal_budget=TIMES, unhealable=st.sampled_from(["leave", "fence", "degrade"])
                ),
            )
        ),
        "hosts": there,
        "domains": guests,
    }
    cloud |= draw(
        mapping(
            {},
            policy=POLICY,
            properties=PROPERTIES,
            corosync=COROSYNC,
            quorum=QUORUM,
            alerts=st.dictionaries(HOST_NAMES, ALERT, max_size=2),
        )
    )
    if draw(st.booleans()):
        cloud["storage"] = draw(storage(set(guests) | set(there), list(there)))
        everywhere = [
            name
            for name, each in cloud["storage"].items()
            if "hosts" not in each and each["type"] in ("nfs", "glusterfs", "ceph-rbd")
        ]
        for guest in guests.values():
            guest["storage"] = draw(st.lists(st.sampled_from(everywhere), unique=True)) if everywhere else []
    draw(mirrors(guests, there))
    if draw(st.booleans()):
        cloud["frontend"] = draw(frontends(list(there)))
    names = list(guests)
    if len(names) > 1 and draw(st.booleans()):
        cloud["apart"] = {"g": {"domains": names[:3], "strict": False}}
    if len(names) > 4 and draw(st.booleans()):
        cloud["together"] = {"g": {"domains": names[3:6]}}
    if "pdu-1" not in there and draw(st.booleans()):
        cloud["devices"] = draw(levels(there))
    return cloud


def text(cloud):
    """A description as text: JSON is YAML."""
    return json.dumps(cloud, ensure_ascii=False, indent=1).encode()
