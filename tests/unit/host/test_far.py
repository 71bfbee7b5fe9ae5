# SPDX-License-Identifier: GPL-2.0-or-later
"""What the script that looks at another host says, read."""

from __future__ import annotations

import base64

import pytest

from backstay.errors import CannotAsk
from backstay.host import far


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SAID = f"""\
clock 1001.500000000
uname n4
program.pacemaker 2.1.5
program.backstay
active active inactive inactive
conf {packed("totem {}")}
key abc  -
cib.resources 12
cib.cluster demo
cmap {packed("totem.token (u32) = 3000")}
virsh {packed("Running hypervisor: QEMU 7.2.0")}
libvirt yes
autostart web1 web2
running
missing /srv/a b
missing /srv/c
address.n1 10.0.0.1 10.1.0.1
secret./etc/pw 0:600:16
secret./etc/no
end yes
"""


def test_everything_that_is_said_is_read() -> None:
    seen = far.read("n4", SAID, 1000.0, 1002.0)
    assert (seen.uname, seen.offset, seen.doubt) == ("n4", 0.5, 1.0)
    assert seen.programs == {"pacemaker": "2.1.5", "backstay": ""}
    assert seen.runs("corosync")
    assert not seen.runs("pacemaker")
    assert (seen.conf, seen.mounts, seen.held) == ("totem {}", None, False)
    assert (seen.key, seen.remote_key, seen.cib) == ("abc", "", ("demo", 12))
    assert seen.cmap == {"totem.token": "3000"}
    assert seen.libvirt
    assert seen.autostart == ("web1", "web2")
    assert seen.running == ()
    assert seen.missing == ("/srv/a b", "/srv/c")
    assert seen.addresses == {"n1": ("10.0.0.1", "10.1.0.1")}
    assert seen.secrets == {"/etc/pw": "0:600:16", "/etc/no": ""}


def test_a_host_that_stopped_in_the_middle_has_told_nothing() -> None:
    with pytest.raises(CannotAsk, match="n4"):
        far.read("n4", SAID.replace("end yes\n", ""), 1000.0, 1002.0)
