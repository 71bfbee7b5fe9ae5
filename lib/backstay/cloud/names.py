# SPDX-License-Identifier: GPL-2.0-or-later
"""Which names and addresses a description may use.

Decides it so that every name is a Corosync node name or a Pacemaker resource id as it stands, and never has to be
escaped: not in XML, not in an id, not in a shell that somebody pastes it into.
"""

from __future__ import annotations

import ipaddress
import re

# corosync.conf and uname -n; dots are allowed because a node name may be fully qualified.
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62})")
HOST_NAME_EXPECTED = (
    "a name of letters, digits, `.`, `_` and `-` that begins with a letter or digit (at most 63)"
)
# A resource id is an XML NCName: it cannot begin with a digit.
DOMAIN_NAME = re.compile(r"[A-Za-z_](?:[A-Za-z0-9._-]{0,62})")
DOMAIN_NAME_EXPECTED = "a name of letters, digits, `.`, `_` and `-` that begins with a letter (at most 63)"
# Ids that the shipped templates and Pacemaker itself use.
_RESERVED = r"libvirtd|libvirtd-clone|dlm|dlm-.*|drbd-.*|fence-.*|backstay-.*|cib-.*|status-.*|nodes-.*"
RESERVED_DOMAIN = re.compile(_RESERVED)
FREE_DOMAIN_NAME = rf"(?!(?:{_RESERVED})$){DOMAIN_NAME.pattern}"
# Who logs in on another host; a part of a host's name. The domain agent takes the same ones.
USER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}")
SUFFIX = re.compile(r"[A-Za-z0-9_.-]{1,32}")
CLUSTER_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62})")
# The BMC's user name goes through ipmitool, which takes 16 characters (IPMI 2.0, 22.28 Set User Name).
BMC_USER = re.compile(r"[!-~]{1,16}")
# HTTP Basic ends the name at the first colon (RFC 7617).
REDFISH_USER = re.compile(r"[!-9;-~]{1,64}")
REDFISH_USER_EXPECTED = "a BMC user of 1 to 64 characters without blanks and colons"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# A domain runs where its host's own libvirtd is: a URI that leads to another machine would make every host answer
# for that one. The domain agent takes the same ones.
LXC = "lxc:///system"
HYPERVISORS = ("qemu:///system", "qemu:///session", LXC)

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# A name whose last label is a number is a mistyped IPv4 address (RFC 1123, 2.1).
DNS_NAME = rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*(?![0-9]+$){_LABEL}"


def address(text: str) -> str:
    """`text` when it is an IP address or a DNS name, addresses in their usual form; ValueError otherwise.

    One with a zone (`fe80::1%eth0`) is none: it means something else on every host.
    """
    try:
        return str(ipaddress.ip_address(text.replace("%", " ")))
    except ValueError:
        if re.fullmatch(DNS_NAME, text) is None:
            raise
        return text
