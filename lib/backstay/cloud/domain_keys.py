# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of a domain. Most are parameters of ocf:backstay:domain, whose metadata says more of each.

Decides names and kinds; a test compares them with the agent's.
"""

from __future__ import annotations

import re

from backstay.cloud import names
from backstay.cloud.kinds import BOOLEAN, PATH, SIZE, choice, duration, integer, many, matching
from backstay.cloud.sections import Key, Named, Section

# A stop that has no time left is a failed stop, and that fences the host. 20 s is what Pacemaker gives by itself.
LEAST_TIMEOUT = 20
SHUTDOWN_MODES = ("agent", "acpi", "initctl", "signal", "paravirt")
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,3})?"
_BYTES = r"(?:B|kB|MB|GB|KiB|MiB|GiB|TiB)"
_DISK_RATE = rf"(?:(?:total|read|write):)?(?:[1-9][0-9]{{0,8}}iops|{_NUMBER}{_BYTES}/s)"
_NET_RATE = rf"(?:(?:in|out):)?{_NUMBER}(?:{_BYTES}|[kMG]?bit)/s"


def _rates(target: str, rate: str) -> re.Pattern[str]:
    item = rf"(?:{target}=)?{rate}(?:,{rate}){{0,3}}"
    return re.compile(rf"{item}(?: {item}){{0,15}}")


LIMIT_DISK = _rates(r"[a-z][a-z0-9]{1,15}", _DISK_RATE)
LIMIT_NETWORK = _rates(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,31}", _NET_RATE)
LIMIT_CPU = re.compile(r"[1-9][0-9]{0,4}%")
SPEED = re.compile(r"[1-9][0-9]{0,6} ?MiB/s")

# A table: a line or two for each key.
# fmt: off
LIMITS = Section(
    "domains.NAME.limits",
    "What a noisy guest is held to. Changing a limit needs no restart.",
    (
        Key("disk", matching("rates", LIMIT_DISK, "rates such as `50MiB/s` or `vda=50MiB/s,300iops vdb=read:10MB/s`"),
            "For all disks or for named ones.", default="none"),
        Key("network", matching("rates", LIMIT_NETWORK, "rates such as `100Mbit/s` or `0=in:10MB/s,out:2MB/s`"),
            "For all interfaces or for some (number, MAC address).", default="none"),
        Key("cpu", matching("percentage", LIMIT_CPU, "a percentage of one host CPU such as `150%`"),
            "CPU time of the whole domain.", default="none"),
        Key("cpu_shares", integer(1, 262144), "Weight when CPUs are scarce.", default="what the definition says"),
        Key("memory", SIZE, "What the guest is asked to make do with (balloon); at most its memory.", default="none"),
    ),
)

MOVING = Section(
    "domains.NAME.migration",
    "How this domain moves. Over which network is said in `cluster.migration`.",
    (
        Key("downtime", duration(0), "Longest pause of the guest at the end.", default="the emulator's (300 ms)"),
        Key("speed", matching("speed", SPEED, "a speed such as `100 MiB/s`"),
            "Most that is sent.", default="no limit"),
        Key("auto_converge", BOOLEAN, "A guest that writes faster than can be sent is slowed down.", default="true"),
        Key("postcopy", BOOLEAN,
            "One that would not arrive in time goes on at the other host before all its memory is there.",
            default="false"),
        Key("compression", choice(("none", "xbzrle", "mt")), "Compress what is sent.", default="none"),
        Key("port", integer(1, 65535), "A fixed port; then one migration to a host at a time.", default="a free one"),
    ),
)

MONITOR = Section(
    "domains.NAME.monitor",
    "How often the domain is looked at.",
    (
        Key("interval", duration(), "Between two looks at its process and state.", default="10s"),
        Key("timeout", duration(LEAST_TIMEOUT), "Time for one.", default="30s"),
        Key("deep", duration(20),
            "Between two looks into libvirt and the emulator (check level 10).", default="never"),
        Key("guest", duration(20), "Between two questions to the guest agent (check level 20).", default="never"),
        Key("scripts", many(PATH), "Programs that say whether the services in the guest are well.", default="none"),
        Key("scripts_depth", choice(("0", "10", "20")),
            "Check level from which they run; with 10, `deep` says how often.", default="0"),
        Key("script_timeout", duration(), "Time for each of them.", default="10s"),
    ),
)

_HOST_NAME = matching("name of a host", names.HOST_NAME, names.HOST_NAME_EXPECTED)
_DOMAIN_NAME = matching("name of a domain", names.DOMAIN_NAME, names.DOMAIN_NAME_EXPECTED)
_STORAGE_NAME = matching("name of storage", names.DOMAIN_NAME, names.DOMAIN_NAME_EXPECTED)
_RESOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_VOLUME = Section(
    "domains.NAME.drbd.volumes.NUMBER",
    "A volume of the DRBD resource, /dev/drbdMINOR on every host; NUMBER begins with 0.",
    (
        Key("disk", PATH, "The block device below it, the same path on every host; its end holds DRBD's own data.",
            required=True),
        Key("minor", integer(0, 1048575), "The number of /dev/drbdMINOR; no other volume has it.", required=True),
    ),
)
_VOLUMES = Named("volume", _VOLUME, "[0-9]|[1-9][0-9]{1,3}", 32, 1)

DRBD = Section(
    "domains.NAME.drbd",
    "A disk that DRBD mirrors between hosts; the domain runs on one of them. With `volumes`, `backstay render "
    "--directory` writes the file for drbd.d: with fencing and its handlers, and with two promoted sides where the "
    "domain moves alive. Without, the resource is configured by hand: `fencing resource-and-stonith`, and "
    "`allow-two-primaries` for live migration.",
    (
        Key("hosts", many(_HOST_NAME, "hosts"), "The hosts that have the disk: two, or three with DRBD 9.",
            required=True),
        Key("resource", matching("name", _RESOURCE, "the name of a DRBD resource"), "Its name in drbd.d.",
            default="the domain's"),
        Key("generation", choice(("8", "9")),
            "8 for DRBD 8.4, which is in Debian's kernel, 9 for LINBIT's.", default="8"),
        Key("port", integer(1, 65535), "The TCP port of the replication; no other resource has it.",
            default="none: needed with `volumes`"),
        Key("ring", integer(0, 7), "In which of the hosts' `rings` the replication goes.", default="0"),
        Key("volumes", _VOLUMES, "Its volumes by their numbers.", default="its file in drbd.d is yours"),
    ),
)

DOMAIN = Section(
    "domains.NAME",
    "One virtual machine. NAME is its name in libvirt and the name of its resource. Where its definition can be "
    "read, "
    "`uuid`, `memory`, `vcpus` and `disks` come from there, and one that says something else is an error.",
    (
        Key("config", PATH, "Its libvirt definition, readable on every host.", required=True),
        Key("uuid", matching("UUID", names.UUID, "a UUID in lower case, as `virsh domuuid` prints it"),
            "With it a running domain is recognised even while its definition cannot be read.",
            default="the definition's"),
        Key("memory", SIZE, "Memory that it takes from a host.", default="the definition's"),
        Key("vcpus", integer(1, 4096), "vCPUs.", default="the definition's"),
        Key("disks", many(PATH),
            "Its images and block devices; two domains never share one.", default="the definition's"),
        Key("hypervisor", choice(names.HYPERVISORS), "The libvirt that runs it.", default="that of `cluster`"),
        Key("storage", many(_STORAGE_NAME, "storage"),
            "What it stands on; its host has that before it starts, and until it has stopped.",
            default="the storage on which its definition and disks lie"),
        Key("drbd", DRBD, "Its disk is mirrored by DRBD."),
        Key("importance", integer(0, 1000),
            "Who finds a place first when hosts are missing, at the cost of those with less.", default="0"),
        Key("prefers", many(_HOST_NAME, "hosts"),
            "Where it starts when it has the choice. Nothing that runs moves for it.", default="no host"),
        Key("after", many(_DOMAIN_NAME, "domains"),
            "Starts after these when they start together, and stops before them.", default="none"),
        Key("live_migration", BOOLEAN,
            "Whether it moves while it runs; otherwise it is stopped and started.", default="true"),
        Key("migration", MOVING, "How it moves."),
        Key("start_timeout", duration(LEAST_TIMEOUT), "Time for a start.", default="90s"),
        Key("stop_timeout", duration(LEAST_TIMEOUT),
            "Time for a stop; what is not stopped then is fenced with its host.", default="120s"),
        Key("migrate_timeout", duration(LEAST_TIMEOUT), "Time for a migration.", default="5 min"),
        Key("monitor", MONITOR, "How it is looked at."),
        Key("degraded_limit", duration(),
            "How long it may be degraded before it is restarted, where a restart cures that.", default="for ever"),
        Key("limits", LIMITS, "What it is held to."),
        Key("guard", choice(("none", "peers", "lock")),
            "What keeps a second copy from being started.", default="peers"),
        Key("shutdown_mode", many(choice(SHUTDOWN_MODES)),
            "How the guest is asked to shut down, in this order.", default="agent, acpi"),
        Key("force_stop", BOOLEAN, "Ends it without asking the guest.", default="false"),
        Key("traps", choice(("clear", "refuse", "ignore")),
            "What a start does about what starts the guest without the cluster.", default="clear"),
        Key("start_from_copy", BOOLEAN,
            "Starts from the host's copy while the definition cannot be read.", default="false"),
        Key("start_resources", BOOLEAN, "Starts the libvirt networks and pools that it needs.", default="false"),
        Key("snapshot", PATH, "A directory on shared storage where a stop saves its memory.", default="none"),
        Key("backingfile", PATH, "Its disk is a layer over this image.", default="none"),
        Key("stateless", BOOLEAN, "With `backingfile`: a new layer at each start.", default="false"),
    ),
)
