# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that is no longer described: how it is reached, as far as the cluster knows. Pure."""

from __future__ import annotations

from lxml import etree

from backstay.cib import corosync_text


def undescribed(name: str, conf: str, cib: etree._Element) -> tuple[str, bool]:
    """The address of a host by corosync.conf and the CIB (its name where neither says it), and whether it is remote."""
    connection = cib.find(f"configuration/resources//primitive[@id='{name}'][@type='remote']")
    pair = connection.find("instance_attributes/nvpair[@name='server']") if connection is not None else None
    address = corosync_text.members(conf).get(name, {}).get("ring0_addr")
    return address or (pair.get("value") if pair is not None else None) or name, connection is not None
