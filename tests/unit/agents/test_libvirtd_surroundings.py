# SPDX-License-Identifier: GPL-2.0-or-later
"""When the libvirtd agent tells the other hosts what guests find on its own."""

from __future__ import annotations

from backstay.agents.libvirtd import LibvirtdParameters
from backstay.agents.libvirtd_monitor import probe
from tests.unit.agents.libvirtd_fake import GOOD, FakeHost, context
from tests.unit.agents.test_libvirtd_monitor import look


def test_what_guests_find_here_is_told_when_it_changes_and_after_a_restart_of_the_cluster() -> None:
    host = FakeHost(GOOD)
    look(host)
    look(host)
    assert host.told == ["lock=;"]
    host.around = "lock=;nfs4 /srv/vm filer:/vms"
    host.deaf_cluster = True
    assert look(host)[0].code == 0
    host.deaf_cluster = False
    look(host)
    assert host.told == ["lock=;", "lock=;nfs4 /srv/vm filer:/vms"]
    probe(context(host, LibvirtdParameters(), OCF_RESKEY_CRM_meta_interval="0"), host)  # type: ignore[arg-type]
    look(host)
    assert host.told[2:] == ["lock=;nfs4 /srv/vm filer:/vms"]
