# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of a cloud description, declared once: parser, JSON Schema and reference are made from this.

Decides names, kinds and which keys are required. The defaults themselves stand in `model` and `policy`.
"""

from __future__ import annotations

import re

from backstay.cloud import cluster_properties, names
from backstay.cloud.bmcs import BMC
from backstay.cloud.domain_keys import DOMAIN
from backstay.cloud.frontend import FRONTEND
from backstay.cloud.kinds import (
    ADDRESS,
    BOOLEAN,
    PATH,
    SIZE,
    choice,
    duration,
    integer,
    line,
    many,
    matching,
)
from backstay.cloud.sections import Key, Named, Section
from backstay.cloud.storage_keys import STORAGE

TRANSPORTS = ("ssh", "tls", "tcp")
MEMBERS = ("full", "remote")
MOST_HOSTS = 500
MOST_DOMAINS = 5000
# Corosync takes 32 members but is tested with 16 (corosync.conf(5), "Pacemaker Explained"); others are remote nodes.
MOST_MEMBERS = 16
MOST_RINGS = 8
FENCE_AGENT = re.compile(r"fence_[a-z0-9_]{1,40}")
FENCING_LEVEL = re.compile(rf"{names.HOST_NAME.pattern}(?:\+{names.HOST_NAME.pattern}){{0,7}}")
PLUG = re.compile(r"[A-Za-z0-9._/-]{1,64}")
PARAMETER = r"[A-Za-z_][A-Za-z0-9_-]{0,62}"

_FREEZE = ("freeze", "stop", "demote", "suicide")
_PLACEMENTS = ("default", "utilization", "balanced", "minimal")
_EVENTS = ("nodes", "fencing", "resources", "attributes")
_LEVELS = many(
    matching("devices", FENCING_LEVEL, "`bmc`, the name of a device, or several joined by `+`"),
    "list of devices",
)
_OUTLETS = Named(
    "host",
    matching("outlet", PLUG, "the name or number of an outlet"),
    names.HOST_NAME.pattern,
    MOST_HOSTS,
    1,
)
_CLUSTER_NAME = matching(
    "name", names.CLUSTER_NAME, "the cluster_name of corosync.conf, of letters, digits, `.`, `_` and `-`"
)
_NAME = matching("name", names.HOST_NAME, names.HOST_NAME_EXPECTED)
_DOMAIN_NAME = matching("name of a domain", names.DOMAIN_NAME, names.DOMAIN_NAME_EXPECTED)
_NO_SECRET = "(a description holds no secret)"
_FILE_OF_RECIPIENTS = (
    f"the path of a file of recipients, such as `/etc/backstay/alert-recipients` {_NO_SECRET}"
)
_PARAMETERS = Named("parameter", line(), PARAMETER, 100, secrets=True)

# A table: a line or two for each key.
# fmt: off
MIGRATION = Section(
    "cluster.migration",
    "How libvirt on one host reaches libvirt on another one to move a running domain.",
    (
        Key("transport", choice(TRANSPORTS), "libvirt's qemu+ssh://, qemu+tls:// or qemu+tcp://.",
            default="libvirt's own choice (tls)"),
        Key("unsafe", BOOLEAN,
            "The admin vouches for storage that libvirt cannot see to be shared (migrate with `--unsafe`).",
            default="false"),
        Key("user", matching("user", names.USER, "the name of a user"),
            "Who logs in on the other host, with the transport ssh.", default="root"),
        Key("network_suffix", matching("part of a name", names.SUFFIX, "a part of a host's name such as `-mig`"),
            "Sends a guest's memory through another network: added to the other host's name before its first dot.",
            default="none"),
    ),
)

UNHEALABLE = ("leave", "fence", "degrade")
LIBVIRTD = Section(
    "cluster.libvirtd",
    "How a libvirtd in trouble is treated.",
    (
        Key("heal_budget", duration(),
            "How long a libvirtd that cannot be healed is only reported before the domains leave that host.",
            default="60s"),
        Key("unhealable", choice(UNHEALABLE),
            "What happens then, where another host's libvirtd is healthy: the domains leave that host, the host is "
            "fenced (for guests that a frontend placed, and only while some run there), or it is only reported.",
            default="leave"),
    ),
)

CLUSTER = Section(
    "cluster",
    "What holds for the whole cluster.",
    (
        Key("name", _CLUSTER_NAME,
            "`cluster_name` in corosync.conf. A description is never loaded into a cluster of another name.",
            required=True),
        Key("hypervisor", choice(names.HYPERVISORS),
            "The libvirt of each host that runs the domains.", default="qemu:///system"),
        Key("migration", MIGRATION, "How running domains move."),
        Key("libvirtd", LIBVIRTD, "How libvirtd is healed."),
    ),
)

COROSYNC = Section(
    "corosync",
    "What `backstay render --directory` writes into corosync.conf, besides the hosts.",
    (
        Key("token", duration(),
            "How long a silent host is waited for before the others go on without it. Longer survives more, and "
            "every recovery takes that much longer.", default="3s"),
        Key("link_mode", choice(("passive", "active", "rr")),
            "How several rings are used: one at a time (passive), all at once (active), in turn (rr).",
            default="passive"),
        Key("encryption", BOOLEAN,
            "aes256 and sha256 with the key in /etc/corosync/authkey, the same on every host.", default="true"),
    ),
)

DEVICE = Section(
    "quorum.device",
    "A qdevice: a vote from a third place, so that one half of an even cluster goes on. It needs corosync-qdevice "
    "on each full member and corosync-qnetd on the host named here.",
    (
        Key("host", ADDRESS, "Where corosync-qnetd runs: none of the hosts of the cluster.", required=True),
        Key("algorithm", choice(("ffsplit", "lms")),
            "ffsplit gives the vote to one half of a split; lms to the last host that it sees.",
            default="ffsplit"),
        Key("tls", choice(("on", "off", "required")), "Whether the connection is encrypted.", default="on"),
    ),
)

QUORUM = Section(
    "quorum",
    "Who may go on when hosts do not see each other.",
    (
        Key("wait_for_all", BOOLEAN,
            "After a start of the whole cluster, nothing is done before every full member was seen once.",
            default="true for two hosts without a device, else false"),
        Key("device", DEVICE, "A qdevice."),
    ),
)

POLICY = Section(
    "policy",
    "What Backstay would choose by itself for a cluster like this one; `backstay render --explain` gives the "
    "reasons.",
    (
        Key("no_quorum", choice(_FREEZE),
            "What hosts without quorum do.", default="freeze"),
        Key("fencing_timeout", duration(10), "Time for one whole fencing, retries included.", default="60s"),
        Key("priority_fencing_delay", duration(0),
            "Two hosts: the one that runs more of importance is fenced that much later; `0s`: at once.",
            default="15s for two hosts without a device"),
        Key("tie_delay", duration(0),
            "Two hosts: the first one is fenced that much later when both are of equal importance; `0s`: at once.",
            default="5s for two hosts without a device"),
        Key("stickiness", integer(0, 999999), "How strongly a domain stays where it runs.", default="1000"),
        Key("migration_threshold", integer(1, 999999),
            "After so many failures on one host a domain is started elsewhere.", default="3"),
        Key("failure_timeout", duration(60), "After this time a domain's failures are forgotten.", default="10 min"),
        Key("migration_limit", integer(1, 100), "Live migrations in parallel for each host.", default="2"),
        Key("placement", choice(_PLACEMENTS),
            "Whether a host's capacity decides where a domain may start, and how hosts are filled.",
            default="balanced when every host has a `capacity`, else default"),
        Key("shutdown_lock", BOOLEAN,
            "Domains of a host that is shut down in order wait for it instead of starting elsewhere.",
            default="false"),
        Key("shutdown_lock_limit", duration(60), "How long they wait at most.", default="for ever"),
    ),
)

RESERVE = Section(
    "hosts.NAME.capacity.reserve",
    "What the host itself needs.",
    (
        Key("memory", SIZE, "Memory that no domain gets.", default="none"),
        Key("cpu", integer(0, 4096), "vCPUs that no domain gets.", default="0"),
    ),
)

CAPACITY = Section(
    "hosts.NAME.capacity",
    "What domains may take from the host. Every host has one, or none has.",
    (
        Key("memory", SIZE, "Memory of the host.", required=True),
        Key("cpu", integer(1, 100000),
            "vCPUs that may be promised: the host's threads, or more when domains may share them.", required=True),
        Key("reserve", RESERVE, "What the host itself needs; it is taken off."),
    ),
)

HOST = Section(
    "hosts.NAME",
    "One machine of the cluster. NAME is its name in Corosync and in `uname -n`.",
    (
        Key("address", ADDRESS, "Where the other hosts reach it.", required=True),
        Key("rings", many(ADDRESS),
            "Its addresses in Corosync's networks, the first network first. Two networks survive the loss of one. "
            "Every full member has as many.", default="its `address`"),
        Key("nodeid", integer(1, 2**29),
            "Its number in corosync.conf, never to be changed later. Every full member has one, or none has.",
            default="its place among the full members; so add new hosts at the end"),
        Key("member", choice(MEMBERS),
            "A full member has Corosync and a vote, and fences others; a remote one runs pacemaker_remote alone.",
            default="full for the first 16 hosts, then remote"),
        Key("site", _NAME, "Where it is, for `apart`.", default="none"),
        Key("rack", _NAME, "Where it is, for `apart`.", default="none"),
        Key("capacity", CAPACITY, "What domains may take."),
        Key("bmc", BMC, "What cuts its power; required unless `fencing` says that other devices do."),
        Key("fencing", _LEVELS,
            "What cuts its power, one after the other until one succeeds. With `+`, all of them must.",
            default="`bmc`, then the devices that name the host"),
    ),
)

FENCE_DEVICE = Section(
    "devices.NAME",
    "A fence device besides the BMCs, such as a switched power strip.",
    (
        Key("agent", matching("fence agent", FENCE_AGENT, "a fence agent such as `fence_apc_snmp`"),
            "The fence agent.", required=True),
        Key("hosts", _OUTLETS,
            "The hosts that it can fence, each with its outlet.", required=True),
        Key("parameters", _PARAMETERS, "Further parameters of the agent, none of them a secret."),
        Key("password_script", PATH, "A program on every host that prints the password."),
    ),
    instead=f"`password_script: /etc/backstay/print-password` {_NO_SECRET}",
)

APART = Section(
    "apart.NAME",
    "Domains that are kept apart from each other.",
    (
        Key("domains", many(_DOMAIN_NAME), "At least two domains.", required=True),
        Key("by", choice(("host", "rack", "site")), "What they do not share.", default="host"),
        Key("strict", BOOLEAN,
            "One that finds no place of its own stays down; otherwise it is a wish.", default="true"),
    ),
)

TOGETHER = Section(
    "together.NAME",
    "Domains that run on the same host.",
    (
        Key("domains", many(_DOMAIN_NAME),
            "At least two domains. The most important one decides where.", required=True),
        Key("strict", BOOLEAN, "One that finds no room there stays down; otherwise it is a wish.", default="true"),
    ),
)

ALERT = Section(
    "alerts.NAME",
    "A program that Pacemaker runs on every host when something happens. Alerts wake somebody; they are no record.",
    (
        Key("program", PATH, "The alert agent, on every host: Backstay's own (backstay-alert(8)) or another.",
            default="/usr/libexec/backstay/alert"),
        Key("recipients", many(line(instead=_FILE_OF_RECIPIENTS)),
            "Who is told; the agent says what a recipient is. Backstay's: a mail address, http(s)://..., journal, or "
            "the path of a file of them.", default="none"),
        Key("events", many(choice(_EVENTS)),
            "What it is run for.", default="nodes, fencing and resources"),
        Key("attributes", many(matching("name", names.HOST_NAME, "the name of a node attribute")),
            "With the event attributes: only these.", default="all"),
        Key("timeout", duration(), "Time for the agent.", default="30s"),
        Key("parameters", _PARAMETERS, "The agent's environment, none of it a secret."),
    ),
    instead=f"a parameter that names a file, such as `smtp_password_file` or `web_token_file` {_NO_SECRET}",
)

CLOUD = Section(
    "a cloud description",
    "One YAML file, or a directory of `*.yaml` files that are read as one.",
    (
        Key("cluster", CLUSTER, "What holds for the whole cluster.", required=True),
        Key("corosync", COROSYNC, "corosync.conf."),
        Key("quorum", QUORUM, "Who may go on."),
        Key("policy", POLICY, "What Backstay chooses, and you may overrule."),
        Key("properties", cluster_properties.PROPERTIES, cluster_properties.DOC),
        Key("hosts", Named("host", HOST, names.HOST_NAME.pattern, MOST_HOSTS, 1), "The machines.", required=True),
        Key("devices", Named("device", FENCE_DEVICE, names.HOST_NAME.pattern, 200), "Fence devices besides BMCs."),
        Key("storage", Named("storage", STORAGE, names.FREE_DOMAIN_NAME, 200), "What the hosts share."),
        Key("domains", Named("domain", DOMAIN, names.FREE_DOMAIN_NAME, MOST_DOMAINS, 1), "The virtual machines."),
        Key("frontend", FRONTEND, "Software that places virtual machines by itself."),
        Key("apart", Named("group", APART, names.HOST_NAME.pattern, 1000), "Domains kept apart."),
        Key("together", Named("group", TOGETHER, names.HOST_NAME.pattern, 1000), "Domains kept together."),
        Key("alerts", Named("alert", ALERT, names.HOST_NAME.pattern, 50), "Programs that tell somebody."),
    ),
    at_least_one=("domains", "frontend"),
)
