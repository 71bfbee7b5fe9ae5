# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to the cluster's own records when a host comes or goes: marks, standby, forgetting it, switching it off.

Decides nothing. Source: cibadmin(8), crm_node(8), crm_resource(8), stonith_admin(8) of Pacemaker 2.1.5. Names and
numbers come from a parsed description or the CIB, and need no escaping.
"""

from __future__ import annotations

import os

from lxml import etree

from backstay.errors import CannotAsk
from backstay.host.process import Completed, run

ATTRIBUTE = "backstay-host"
"""The permanent node attribute that says what is under way with a host."""

LOCK = "/run/backstay/host.lock"
TAG = "backstay-host"
TOOL_TIME = 60.0
OFF_TIME = 900.0
AGENTS_TIME = 120
_NOT_FOUND = 105  # CRM_EX_NOSUCH: what is to go is not there


def set_aside(name: str, number: str, mark: str) -> None:
    """Put a host into standby and write the mark, in one transaction.

    `number` is its id in Corosync, or its name for a remote host. The ids are those that crm_attribute would use.
    """
    node = etree.Element("node", id=number, uname=name)
    if number == name:
        node.set("type", "remote")
    holder = etree.SubElement(node, "instance_attributes", id=f"nodes-{number}")
    for attribute, value in (("standby", "on"), (ATTRIBUTE, mark)):
        pair = {"id": f"nodes-{number}-{attribute}", "name": attribute, "value": value}
        etree.SubElement(holder, "nvpair", pair)
    text = etree.tostring(node, encoding="unicode")
    _tell("cibadmin", "--modify", "--allow-create", "--scope", "nodes", "--sync-call", "--xml-text", text)


def keep_off(name: str) -> None:
    """Keep every resource off a remote host that nobody has seen yet.

    Pacemaker 2.1.5 reads the standby of a remote host only when it has a state, which comes with the connection: in the
    transition that connects it, guests would start there all the same.
    """
    ban = {"id": f"joining-{name}", "rsc-pattern": ".*", "node": name, "score": "-INFINITY"}
    text = etree.tostring(etree.Element("rsc_location", ban), encoding="unicode")
    _tell(
        "cibadmin", "--modify", "--allow-create", "--scope", "constraints", "--sync-call", "--xml-text", text
    )


def bring_back(name: str) -> None:
    """End `set_aside` and `keep_off`; the mark goes last, so that whoever is interrupted finds it again."""
    pair = f"//nodes/node[@uname='{name}']/instance_attributes/nvpair[@name='{{}}']"
    ban = f"//constraints/rsc_location[@id='joining-{name}']"
    for path in (pair.format("standby"), ban, pair.format(ATTRIBUTE)):
        done = run(["cibadmin", "--delete-all", "--force", "--sync-call", "--xpath", path], timeout=TOOL_TIME)
        if not done.ok and done.returncode != _NOT_FOUND:
            raise CannotAsk(f"the standby of {name} could not be ended: {done.complaint()}")


def forget(name: str) -> None:
    """Take a host that has left out of Pacemaker's records."""
    _tell("crm_node", "--force", "--remove", name)


def disconnect(resource: str) -> None:
    """Stop a resource, and wait until the cluster has done so."""
    words = ("--set-parameter", "target-role", "--parameter-value", "Stopped")
    _tell("crm_resource", "--resource", resource, "--meta", *words)


def clean_up(resource: str, host: str) -> None:
    """Let the cluster forget that a resource failed on a host, so that it tries again."""
    _tell("crm_resource", "--cleanup", "--resource", resource, "--node", host)


def switch_off(name: str) -> Completed:
    """Have the cluster switch a host off through its fence devices, and see it off."""
    argv = ["stonith_admin", "--fence", name, "--tag", TAG, "--timeout", str(AGENTS_TIME)]
    return run(argv, timeout=OFF_TIME)


def confirm_off(name: str) -> None:
    """Tell the cluster that an admin has seen a host off."""
    _tell("stonith_admin", "--confirm", name)


def new_key() -> bytes:
    """A key for remote hosts, as long as pcs makes one."""
    return os.urandom(256)


def _tell(*argv: str) -> None:
    done = run(argv, timeout=TOOL_TIME)
    if not done.ok:
        raise CannotAsk(f"{argv[0]}: {done.complaint()}")
