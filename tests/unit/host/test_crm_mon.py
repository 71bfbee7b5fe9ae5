# SPDX-License-Identifier: GPL-2.0-or-later
"""What crm_mon and corosync-quorumtool say, as data."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backstay.errors import CannotAsk
from backstay.host.crm_mon import moment, read, read_votes

MON = """<pacemaker-result><nodes>
<node name="n1" id="1" online="true" standby="false" maintenance="false" pending="false" unclean="false" type="member"/>
<node name="n2" id="2" online="true" standby="true" maintenance="false" pending="false" unclean="false" type="member"/>
<node name="r1" id="r1" online="true" standby="false" maintenance="false" pending="false" unclean="false" type="remote"/>
</nodes><resources>
<resource id="db1" active="true"><node name="n1" id="1"/></resource>
<resource id="off" active="false"/>
<clone id="c"><resource id="libvirtd" active="true"><node name="n1" id="1"/></resource>
<resource id="libvirtd:1" active="true"><node name="n2" id="2"/></resource></clone>
</resources><fence_history>
<fence_event action="reboot" target="n2" client="stonith_admin.1" origin="n1" status="success" delegate="n3"
 completed="2026-11-20 15:10:06Z"/>
<fence_event action="off" target="n3" client="x" origin="n1" status="pending"/>
</fence_history></pacemaker-result>"""

QUORUM = """Quorum information
------------------
Date:             Fri Nov 20 15:00:00 2026
Quorum provider:  corosync_votequorum
Nodes:            2
Node ID:          1
Ring ID:          1.8
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   3
Highest expected: 3
Total votes:      3
Quorum:           2
Flags:            Quorate Qdevice

Membership information
----------------------
    Nodeid      Votes    Qdevice Name
         1          1    A,V,NMW n1 (local)
         2          1    A,V,NMW n2
         0          1            Qdevice
"""


def test_hosts_resources_and_fencings() -> None:
    found = read(MON)
    assert [(node.name, node.number, node.standby) for node in found.nodes] == [
        ("n1", "1", False),
        ("n2", "2", True),
    ]
    assert found.runs_on("n1") == ("db1", "libvirtd")
    assert found.runs_on("n2") == ("libvirtd",)
    assert found.node("n2") is found.nodes[1]
    assert found.node("r1") is None
    done, pending = found.events
    assert (done.target, done.status, done.delegate) == ("n2", "success", "n3")
    assert done.completed == datetime(2026, 11, 20, 15, 10, 6, tzinfo=UTC).timestamp()
    assert (pending.status, pending.completed) == ("pending", 0.0)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-11-20 15:10:06Z", 15),
        ("2026-11-20 15:10:06 Z", 15),
        ("2026-11-20 15:10:06.123456Z", 15),
        ("2026-11-20 15:10:06 +01:00", 14),
        ("2026-11-20 15:10:06.5 -0200", 17),
    ],
)
def test_times_as_pacemaker_writes_them(text: str, hour: int) -> None:
    assert datetime.fromtimestamp(moment(text), UTC).hour == hour


def test_no_answer_is_no_data() -> None:
    with pytest.raises(CannotAsk, match="does not speak XML"):
        read("crm_mon: Error")
    with pytest.raises(CannotAsk, match="does not tell its votes: Cannot initialize"):
        read_votes("", "Cannot initialize QUORUM service")
    assert moment("yesterday") == moment("") == 0.0


def test_votes() -> None:
    found = read_votes(QUORUM)
    assert (found.total, found.quorum, dict(found.of)) == (3, 2, {"1": 1, "2": 1})
    hexadecimal = QUORUM.replace("         2          1", "0x00000002          1")
    assert dict(read_votes(hexadecimal.replace("\n0x", "\n    0x")).of) == {"1": 1, "2": 1}
