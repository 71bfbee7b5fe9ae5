# SPDX-License-Identifier: GPL-2.0-or-later
"""corosync.conf of a described cluster, with the reasons in it.

Decides rings, numbers, votes and who waits for whom. Remote hosts are not in it: they have no vote. Every word comes
from the parsed description, whose names and addresses need no quoting.
"""

from __future__ import annotations

from collections.abc import Iterator

from backstay.cloud.model import Cloud
from backstay.cloud.policy import choose
from backstay.cloud.units import Seconds

HEAD = """\
# corosync.conf(5) of the cluster {name}, written by Backstay from its description; the same on every full member.
# The key for it lies in /etc/corosync/authkey, which `corosync-keygen` makes once; copy it to every member.
"""
LOGGING = """\
logging {
  to_logfile: yes
  logfile: /var/log/corosync/corosync.log
  to_syslog: yes
  timestamp: on
}
"""


def corosync_conf(cloud: Cloud, away: str = "") -> str:
    """The text of corosync.conf; the same text for the same description.

    Without the host `away`, whose vote still counts as one that is missing: Corosync 3.1 refuses a file in which
    a member has another address than before, and takes one that it has let go of in between.
    """
    parts = (_totem(cloud), _nodes(cloud, away), _quorum(cloud, away))
    body = "\n".join("".join(f"{line}\n" for line in part) for part in parts)
    return f"{HEAD.format(name=cloud.cluster.name)}\n{body}\n{LOGGING}"


def _milliseconds(time: Seconds) -> int:
    return int(time * 1000)


def _totem(cloud: Cloud) -> Iterator[str]:
    tuned = cloud.corosync
    yield "totem {"
    yield "  version: 2"
    yield f"  cluster_name: {cloud.cluster.name}"
    yield "  transport: knet"
    if tuned.encryption:
        yield "  crypto_cipher: aes256"
        yield "  crypto_hash: sha256"
    yield "  # A host that is silent for so long (milliseconds) is gone for the others. From the third host on Corosync"
    yield "  # adds 650 ms for each."
    yield f"  token: {_milliseconds(tuned.token)}"
    if len(cloud.members[0].rings) > 1:
        yield "  # One link fails and nothing happens: the next one is used."
        yield f"  link_mode: {tuned.link_mode}"
    yield "}"


def _nodes(cloud: Cloud, away: str) -> Iterator[str]:
    yield "nodelist {"
    for host in cloud.members:
        if host.name == away:
            continue
        yield "  node {"
        for number, address in enumerate(host.rings):
            yield f"    ring{number}_addr: {address}"
        yield f"    name: {host.name}"
        yield f"    nodeid: {host.nodeid}"
        yield "  }"
    yield "}"


def _quorum(cloud: Cloud, away: str) -> Iterator[str]:
    wait = choose(cloud).wait_for_all
    device = cloud.quorum.device
    yield "quorum {"
    yield "  provider: corosync_votequorum"
    if away and device is None:  # with a device the votes are counted from the members alone
        yield f"  # Another machine becomes {away}; until it has joined its vote is missing, not gone."
        yield f"  expected_votes: {len(cloud.members)}"
    if cloud.pair:
        yield "  # Each of two hosts may go on alone; fencing decides which one does."
        yield "  two_node: 1"
    if wait:
        yield "  # After a start of the whole cluster nobody does anything before every host was seen once: a host that"
        yield "  # boots alone would fence the others."
    elif cloud.pair:
        yield "  # As your description says: a host that boots alone fences the other one and starts everything."
    if wait or cloud.pair:
        yield f"  wait_for_all: {int(wait)}"
    if device is None and len(cloud.members) > 2 and len(cloud.members) % 2 == 0:
        yield "  # An even number of votes: two halves that do not see each other both wait. A third place would decide"
        yield "  # (`quorum: device` in the description)."
    if device is not None:
        # ffsplit takes one vote; the last host that lms lets go on needs those of all the others (corosync-qdevice(8)).
        votes = 1 if device.algorithm == "ffsplit" else max(1, len(cloud.members) - 1)
        yield "  # A vote from outside, so that one half of a split goes on."
        yield "  device {"
        yield "    model: net"
        yield f"    votes: {votes}"
        yield "    net {"
        yield f"      host: {device.host}"
        yield f"      algorithm: {device.algorithm}"
        yield f"      tls: {device.tls}"
        yield "    }"
        yield "  }"
    yield "}"
