# SPDX-License-Identifier: GPL-2.0-or-later
"""What the arguments of an emulator say."""

from __future__ import annotations

import pytest

from backstay.host.emulator import monitor_socket_of, name_of, uuid_of

KEY = '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-1-web1/master-key.aes"}'


@pytest.mark.parametrize(
    ("arguments", "uuid"),
    [
        (("/usr/bin/kvm", "-uuid", "ABCD-1"), "abcd-1"),
        (("/usr/bin/kvm", "-uuid"), ""),
        (("/usr/bin/tool", "no-uuid", "abcd-1"), ""),
        (("pgrep", "-f", "-uuid abcd-1"), ""),
        (("/usr/bin/kvm", "-smbios", "type=1,uuid=abcd-1"), ""),
        ((), ""),
    ],
)
def test_uuid(arguments: tuple[str, ...], uuid: str) -> None:
    assert uuid_of(arguments) == uuid


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("guest=web1,debug-threads=on", "web1"),
        ("web1", "web1"),
        ("web1,process=qemu", "web1"),
        ("guest=a,,b,debug-threads=on", "a,b"),
        ("debug-threads=on,guest=web1", "web1"),
        ("debug-threads=on", ""),
    ],
)
def test_name(value: str, name: str) -> None:
    assert name_of(("kvm", "-name", value)) == name


def test_no_name() -> None:
    assert name_of(("kvm",)) == ""


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("kvm", "-object", KEY), "/var/lib/libvirt/qemu/domain-1-web1/monitor.sock"),
        (
            (
                "kvm",
                "-object",
                "secret,id=masterKey0,format=raw,file=/var/lib/libvirt/qemu/domain-7-x/master-key.aes",
            ),
            "/var/lib/libvirt/qemu/domain-7-x/monitor.sock",
        ),
        (("kvm", "-qmp", "unix:/tmp/web1.sock,server=on,wait=off"), "/tmp/web1.sock"),
        (("kvm", "-qmp", "tcp:localhost:4444"), ""),
        (("kvm",), ""),
    ],
)
def test_monitor_socket(arguments: tuple[str, ...], path: str) -> None:
    assert monitor_socket_of(arguments) == path
