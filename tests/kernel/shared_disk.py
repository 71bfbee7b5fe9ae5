# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that both virtual machines see: n1 is its iSCSI target, under an address of its own, and both log in to it."""

from __future__ import annotations

from backstay.lab.node import Node

NAMES = ("n1", "n2")
SERVER = "192.0.2.60"
PORTAL, TARGET = f"{SERVER}:3260", "iqn.2026-11.org.example:vmstore"
DEVICE = f"/dev/disk/by-path/ip-{PORTAL}-iscsi-{TARGET}-lun-1"
POINT = "/srv/tank"
SEEN = 900.0
TOOL = 240.0
SERVE = f"""\
ip address replace {SERVER}/32 dev lo
truncate --size 256M /var/tmp/vmstore.img
systemctl start tgt.service
tgtadm --lld iscsi --op new --mode target --tid 1 --targetname {TARGET}
tgtadm --lld iscsi --op new --mode logicalunit --tid 1 --lun 1 --backing-store /var/tmp/vmstore.img
tgtadm --lld iscsi --op bind --mode target --tid 1 --initiator-address ALL
"""
SERVE_NO_MORE = f"""\
tgtadm --lld iscsi --op delete --force --mode target --tid 1
systemctl stop tgt.service
rm -f /var/tmp/vmstore.img
ip address delete {SERVER}/32 dev lo
"""
LOGIN = f"""\
set -e
mkdir -p {POINT}
systemctl start iscsid.service
iscsiadm --mode discovery --type sendtargets --portal {PORTAL}
iscsiadm --mode node --targetname {TARGET} --portal {PORTAL} --login
sync  # or a power cut leaves an empty record, and the next login finds none
udevadm settle --timeout=60
test -b {DEVICE}
"""
LOGOUT = (
    f"iscsiadm --mode node --targetname {TARGET} --logout; iscsiadm --mode node --op delete; rmdir {POINT}"
)
FREEZE = "crm_attribute --type crm_config --name no-quorum-policy --update freeze"


class SharedDisk:
    """The disk, on both hosts."""

    def __init__(self, machines) -> None:
        self.machines = machines

    def node(self, name: str) -> Node:
        return self.machines.node(name)

    def reach(self, name: str) -> None:
        """The disk, seen from a host."""
        if name != "n1":
            self.node(name).check(f"ip route replace {SERVER} via {self.machines.layout.node('n1').address}")
        self.node(name).check(LOGIN, timeout=TOOL)

    def serve(self) -> None:
        """The disk, made and seen from both."""
        self.node("n1").check(SERVE, timeout=TOOL)
        for name in NAMES:
            self.reach(name)

    def load(self, words: str) -> None:
        """A template, rendered and loaded."""
        first = self.node("n1")
        first.check(f"backstay render --template {words} -o /root/part.xml", timeout=TOOL)
        first.check("cibadmin --modify --allow-create --xml-file /root/part.xml", timeout=TOOL)
