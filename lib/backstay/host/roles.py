# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the cluster says that a promotable resource is promoted. Source: crm_mon(8) of Pacemaker 2.1.5."""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host.process import run

# What a CIB with an older schema calls it, as LINBIT's own names do: Master.
PROMOTED = ("Promoted", "Master")  # linbit


def promoted(resource: str, timeout: float) -> frozenset[str]:
    """Give the hosts; CannotAsk when the cluster does not tell."""
    from xml.etree import ElementTree as ET

    argv = ["crm_mon", "--one-shot", "--output-as=xml", "--include=none,resources"]
    asked = run(argv, timeout=timeout)
    if not asked.ok:
        raise CannotAsk(f"crm_mon: {asked.complaint()}")
    try:
        found = ET.fromstring(asked.stdout).iterfind("resources//resource")
        return frozenset(
            node.get("name", "")
            for one in found
            if one.get("id", "").partition(":")[0] == resource and one.get("role") in PROMOTED
            for node in one.iterfind("node")
        )
    except ET.ParseError as error:
        raise CannotAsk(f"crm_mon does not speak XML: {error}") from error
