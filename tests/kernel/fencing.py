# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence devices of the VM nodes, as every test here begins with them: each node's own BMC, the first node preferred.

Their timeouts are for nodes that are emulated in software on a busy machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from backstay.lab.layout import Layout
from backstay.lab.node import Node

SECONDS = 180
PROPERTIES = {"stonith-enabled": "true", "stonith-timeout": f"{SECONDS}s", "dc-deadtime": "4s"}


def configuration(layout: Layout, names: Sequence[str]) -> str:
    """The configuration section of a CIB that has nothing but fencing."""
    properties = "".join(
        f'<nvpair id="cib-bootstrap-options-{name}" name="{name}" value="{value}"/>'
        for name, value in PROPERTIES.items()
    )
    devices = "".join(device(layout, name) for name in names)
    return (
        f'<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">{properties}'
        f"</cluster_property_set></crm_config><resources>{devices}</resources></configuration>"
    )


def device(layout: Layout, name: str) -> str:
    """The device of one node. The first one is fenced later than the others, so that two do not fence each other."""
    settings = {
        "ip": layout.node(name).bmc_address,
        "username": "fencer",
        "password_file": "/etc/backstay/bmc.password",
        "pcmk_host_list": name,
        "pcmk_delay_base": "10s" if name == "n1" else "0s",
        "pcmk_reboot_timeout": f"{SECONDS}s",
        "pcmk_off_timeout": f"{SECONDS}s",
    }
    pairs = "".join(
        f'<nvpair id="fence-{name}-{key}" name="{key}" value="{value}"/>' for key, value in settings.items()
    )
    return (
        f'<primitive id="fence-{name}" class="stonith" type="fence_backstay_ipmi">'
        f'<instance_attributes id="fence-{name}-params">{pairs}</instance_attributes>'
        f'<operations><op id="fence-{name}-start" name="start" interval="0s" timeout="{SECONDS}s"/>'
        f'<op id="fence-{name}-monitor" name="monitor" interval="300s" timeout="{SECONDS}s"/></operations>'
        "</primitive>"
    )


def load(layout: Layout, names: Sequence[str]) -> None:
    """Give the cluster its devices, and return when they are started."""
    node = Node(layout, names[0])
    node.check(
        ["cibadmin", "--modify", "--allow-create", "--scope", "configuration", "--xml-pipe"],
        60.0,
        configuration(layout, names),
    )
    node.check(["crm_resource", "--wait", f"--timeout={SECONDS}s"], timeout=2.0 * SECONDS)
