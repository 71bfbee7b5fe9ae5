# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a host is that nobody describes any more, as far as the cluster says it."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.members.undescribed import undescribed

CONF = "nodelist {\n node {\n ring0_addr: 192.0.2.4\n name: n4\n nodeid: 4\n }\n}\n"
CIB = etree.fromstring(
    "<cib><configuration><resources>"
    "<primitive id='r1' class='ocf' provider='pacemaker' type='remote'><instance_attributes id='r1-a'>"
    "<nvpair id='r1-s' name='server' value='192.0.2.9'/></instance_attributes></primitive>"
    "<primitive id='r2' class='ocf' provider='pacemaker' type='remote'/>"
    "<primitive id='n4' class='ocf' provider='backstay' type='domain'/>"
    "</resources></configuration></cib>"
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("n4", ("192.0.2.4", False)),
        ("r1", ("192.0.2.9", True)),
        ("r2", ("r2", True)),
        ("n7", ("n7", False)),
    ],
)
def test_the_address_is_what_corosync_or_the_connection_says(name: str, found: tuple[str, bool]) -> None:
    assert undescribed(name, CONF, CIB) == found
