# SPDX-License-Identifier: GPL-2.0-or-later
"""A DRBD resource on another host: what its script says, read; what is changed, word by word."""

from __future__ import annotations

import base64

import pytest

from backstay.errors import CannotAsk
from backstay.host import drbd_far
from backstay.host.process import Completed
from backstay.host.ssh import Host
from tests.unit.host.test_drbd_state import EIGHT

SHOW_8 = """\
resource web1 {
    options {
    }
    net {
    }
    _remote_host {
        address\t\t\tipv4 10.199.0.12:7790;
    }
    _this_host {
        address\t\t\tipv4 10.199.0.11:7790;
        volume 0 {
            device\t\t\tminor 10;
            disk\t\t\t"/dev/vg/web1";
            meta-disk\t\t\tinternal;
        }
    }
}
"""
SHOW_9 = "_this_host ipv6 [2001:db8::1]:7790;\n _remote_host ipv6 [2001:db8::2]:7790;\n"
RUNNING = next(text for title, text in EIGHT.items() if title == "up to date on both, promoted")


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def said(*more: str) -> str:
    lines = [
        f"file {packed('the file')}",
        "version 8.4.11",
        f"events {packed(RUNNING)}",
        f"show {packed(SHOW_8)}",
        "size.0 67108864",
        "holds.0 drbd ext4 ",
        "uuid.0 ",
        "volume.0   29360128 4194304",
        *more,
    ]
    return "\n".join(lines) + "\n"


def test_what_a_host_says_is_read():
    seen = drbd_far.read("n1", "web1", said("end yes"))
    assert seen.file == "the file"
    assert seen.version == (8, 4, 11)
    assert seen.state is not None
    assert seen.state.promoted
    assert seen.addresses == (("ipv4", "10.199.0.12", "7790"), ("ipv4", "10.199.0.11", "7790"))
    assert seen.below == {0: drbd_far.Below(67108864, "ext4", 0, 29360128, 4194304)}


def test_a_host_without_anything_of_it_says_so():
    text = "version \nsize.0 \nholds.0 \nuuid.0 0000000000000004:0:0:0\nvolume.0 \nend yes\n"
    seen = drbd_far.read("n1", "web1", text)
    assert (seen.file, seen.version, seen.state, seen.addresses) == (None, (), None, ())
    assert seen.below == {0: drbd_far.Below(0, "", 4, None, 1)}


def test_what_was_cut_short_is_no_answer():
    with pytest.raises(CannotAsk, match="n1 did not tell everything of web1"):
        drbd_far.read("n1", "web1", said())


def test_addresses_of_ipv6_are_found():
    found = [match.groups() for match in drbd_far.ADDRESS.finditer(SHOW_9)]
    assert found == [("ipv6", "2001:db8::1", "7790"), ("ipv6", "2001:db8::2", "7790")]


class There(Host):
    """A host that writes down what it is told."""

    def __init__(self, answer: str = "", code: int = 0) -> None:
        super().__init__("n1")
        object.__setattr__(self, "told", [])
        self.answer, self.code = answer, code

    __slots__ = ("answer", "code", "told")

    def __call__(self, argv, *, timeout, environment=None, stdin=""):
        self.told.append(list(argv))
        return Completed(argv, self.code, self.answer, "it complains" if self.code else "")


def test_connections_end_by_their_own_addresses_or_numbers():
    host = There()
    drbd_far.part(host, ("ipv6", "2001:db8::1", "7790"), ("ipv4", "192.0.2.9", "7790"))
    drbd_far.forget(host, "web1", 2)
    assert host.told == [
        ["drbdsetup", "disconnect", "ipv6:[2001:db8::1]:7790", "ipv4:192.0.2.9:7790"],
        ["drbdsetup", "disconnect", "web1", "2"],
        ["drbdsetup", "del-peer", "web1", "2"],
        ["drbdsetup", "forget-peer", "web1", "2"],
    ]


def test_what_does_not_work_is_said_with_its_last_words():
    with pytest.raises(CannotAsk, match="n1: drbdadm create-md: it complains"):
        drbd_far.adm(There(code=1), "create-md", "web1")


def test_a_guest_is_asked_for_its_disk_and_told():
    assert drbd_far.guest(There("vda 67067904\n"), "web1", 10) == ("vda", 67067904)
    assert drbd_far.guest(There(""), "web1", 10) is None
    host = There()
    drbd_far.tell_guest(host, "web1", "vda", 100622336)
    assert host.told[0][-4:] == ["blockresize", "web1", "vda", "100622336B"]


def test_volumes_are_asked_for_by_number_minor_and_device():
    host = There(said("end yes"))
    drbd_far.look(host, "web1", 9, [(0, 10, "/dev/vg/web1"), (1, 11, "/dev/vg/more")])
    assert host.told == [
        ["sh", "-s", "--", "web1", "v09", "0", "10", "/dev/vg/web1", "1", "11", "/dev/vg/more"]
    ]
