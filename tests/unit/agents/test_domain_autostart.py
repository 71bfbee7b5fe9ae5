# SPDX-License-Identifier: GPL-2.0-or-later
"""What a probe does about autostart on a host that does not run the domain: the next boot of it starts no second copy."""

from __future__ import annotations

import pytest

from backstay.agents.domain_autostart import ASKING, disarm
from backstay.agents.domain_state import Identity, Seen
from backstay.host import libvirt, traps
from backstay.host.clock import Deadline
from backstay.host.libvirt import Answer, Libvirt
from tests.unit.agents.domain_host import UUID

OFF = Answer(libvirt.KNOWN, name="web1", uuid=UUID)


class Boot:
    """A host that starts `names` when it boots, and whose libvirt answers `answer`."""

    def __init__(self, *names, answer=OFF):
        self.names, self.answer, self.asked = names, answer, []

    def starts_at_boot(self, name):
        return name in self.names

    def disable_autostart(self, uuid, timeout):
        self.asked.append((uuid, timeout))
        return self.answer


def probed(boot, mode="clear", uuid=UUID, name="web1"):
    said = []
    seen = Seen(Identity(uuid, name), [], host="n3")
    disarm(mode, seen, boot, Deadline(30, lambda: 0.0), said.append)
    return said


def test_it_is_switched_off_for_the_next_boot():
    boot = Boot("web1")
    assert probed(boot) == [
        "libvirt starts web1 when n3 boots, beside the cluster; autostart was switched off"
    ]
    assert boot.asked == [(UUID, ASKING)]


@pytest.mark.parametrize(("mode", "uuid"), [("refuse", UUID), ("ignore", UUID), ("clear", "")])
def test_an_admin_is_told_the_command_where_it_is_left_as_it_is(mode, uuid):
    boot = Boot("web1")
    (said,) = probed(boot, mode, uuid)
    assert said.endswith(": virsh autostart --disable web1")
    assert boot.asked == []


@pytest.mark.parametrize(
    "answer", [Answer(libvirt.HUNG), Answer(libvirt.ABSENT), Answer(libvirt.KNOWN, autostart=True)]
)
def test_that_it_could_not_be_switched_off_is_said(answer):
    (said,) = probed(Boot("web1", answer=answer))
    assert "could not be switched off" in said
    assert said.endswith("virsh autostart --disable web1")


@pytest.mark.parametrize(("names", "name"), [((), "web1"), (("web2",), "web1"), (("",), "")])
def test_libvirt_is_not_asked_where_nothing_is_set(names, name):
    boot = Boot(*names)
    assert probed(boot, name=name) == []
    assert boot.asked == []


def test_the_link_that_libvirt_makes_is_what_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(traps, "AUTOSTART", str(tmp_path))
    host = traps.Traps(Libvirt("qemu:///system"))
    assert not host.starts_at_boot("web1")
    (tmp_path / "web1.xml").symlink_to("/etc/libvirt/qemu/web1.xml")  # which may be on a share that is away
    assert host.starts_at_boot("web1")
    assert not host.starts_at_boot("../autostart/web1")
