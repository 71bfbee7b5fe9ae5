# SPDX-License-Identifier: GPL-2.0-or-later
"""The file for drbd.d of a described DRBD resource, with the reasons in it.

Decides the options: fencing with Backstay's handlers always, two promoted sides where the domain moves alive, quorum
where three hosts have the disk, and that nobody but the cluster promotes a side. DRBD 8.4 and 9 have the option fencing
in different sections, and 9 wants numbers for its hosts. Source: drbd.conf(5) of drbd-utils 9.22; both parsers of that
package read what is written here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from backstay.cloud.model import Cloud, Mirror

HANDLER = "/usr/lib/drbd/backstay-drbd-fence"
NINE = 9
HEAD = """\
# SPDX-License-Identifier: GPL-2.0-or-later
# drbd.conf(5): the DRBD resource {resource} of the {owner}, written by Backstay from the description of the
# cluster {cluster}; the same on every host that has it.
"""


def drbd_conf(cloud: Cloud, mirror: Mirror) -> str:
    """The text of the file; the same text for the same description."""
    owner = f"{'domain' if mirror.domain else 'storage'} {mirror.owner}"
    head = HEAD.format(resource=mirror.drbd.resource, owner=owner, cluster=cloud.cluster.name)
    return head + "".join(f"{line}\n" for line in _resource(mirror))


def _resource(mirror: Mirror) -> Iterator[str]:
    drbd = mirror.drbd
    nine = drbd.generation >= NINE
    yield f'resource "{drbd.resource}" {{'
    if nine:
        yield from _options(three=len(drbd.hosts) > 2)
    if not nine:
        yield "  disk {"
        yield from _fencing()
        yield "  }"
    yield "  net {"
    told = "the domain" if mirror.domain else "the file system"
    yield f"    # What {told} was told is written is on every connected host."
    yield "    protocol C;"
    if nine:
        yield from _fencing()
    if mirror.alive:
        yield "    # While the domain moves alive, two hosts have its disk open; who writes, its agent decides."
        yield "    allow-two-primaries yes;"
    yield "    # Both sides were written without knowing of one another: an admin decides whose changes are given up."
    yield "    after-sb-0pri disconnect;"
    yield "    after-sb-1pri disconnect;"
    yield "    after-sb-2pri disconnect;"
    yield "  }"
    yield from _handlers(nine=nine)
    for volume in drbd.volumes:
        yield f"  volume {volume.number} {{"
        yield f"    device minor {volume.minor};"
        yield f"    disk {_quoted(str(volume.disk))};"
        yield "    meta-disk internal;"
        yield "  }"
    for number, (host, address) in enumerate(zip(drbd.hosts, drbd.addresses, strict=True)):
        yield f'  on "{host}" {{'
        yield f"    address {_address(address)}:{drbd.port};"
        if nine:
            yield f"    node-id {number};"
        yield "  }"
    if nine and len(drbd.hosts) > 2:
        yield f"  connection-mesh {{ hosts {' '.join(drbd.hosts)}; }}"
    yield "}"


def _options(*, three: bool) -> Iterator[str]:
    """What 9 alone has: a quorum, and a promotion by whoever opens the device, which 8.4 does not know."""
    yield "  options {"
    if three:
        yield "    # Two of the three hosts have what is written; one that is alone neither writes nor is promoted."
        yield "    quorum majority;"
        yield "    on-no-quorum suspend-io;"
    yield "    # A domain opens its disk when the cluster says so, and not before."
    yield "    auto-promote no;"
    yield "  }"


def _fencing() -> Iterator[str]:
    yield "    # When a peer is lost, nothing is written until it cannot be promoted any more."
    yield "    fencing resource-and-stonith;"


def _handlers(*, nine: bool) -> Iterator[str]:
    yield "  handlers {"
    yield f'    fence-peer "{HANDLER} fence";'
    # 8.4 calls one where a resync ends, 9 where one is known to have ended.
    yield f'    {"unfence-peer" if nine else "after-resync-target"} "{HANDLER} unfence";'
    yield f'    split-brain "{HANDLER} split-brain";'
    yield "  }"


def _quoted(text: str) -> str:
    """A path as drbdadm reads it back: it takes a backslash away, such as those in udev's names of disks."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _address(text: str) -> str:
    """An address as drbd.conf wants it: the family said for IPv6, and that in brackets."""
    try:
        six = ipaddress.ip_address(text).version == 6
    except ValueError:
        six = False
    return f"ipv6 [{text}]" if six else text
