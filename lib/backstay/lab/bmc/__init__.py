# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC that is not there: IPMI 2.0 over LAN with roles, sessions and faults, whose chassis really switches power.

Serves the lab's nodes, the tests of the fence agent and its rehearsal. Knows cipher suites 3 and 17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstay.lab.bmc.faults import Faults
    from backstay.lab.layout import Layout


def start(layout: Layout, name: str) -> None:
    """Start the BMC of a lab node as a process of the lab; see `backstay.lab.bmc.node.start`."""
    from backstay.lab.bmc import node

    node.start(layout, name)


def stop(layout: Layout, name: str) -> None:
    """Stop the BMC of a lab node; not running is as good."""
    from backstay.lab.bmc import node

    node.stop(layout, name)


def faults(layout: Layout, name: str) -> Faults:
    """What is broken about the BMC of a lab node on purpose: `.set(fault, value)`, `.clear()`, `.active()`."""
    from backstay.lab.bmc import node

    return node.faults(layout, name)
