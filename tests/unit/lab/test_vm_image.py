# SPDX-License-Identifier: GPL-2.0-or-later
"""The first program of a VM node: modules in an order in which the kernel takes them."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.lab.vm import image

TABLE = """\
kernel/fs/netfs/netfs.ko:
kernel/fs/fscache/fscache.ko: kernel/fs/netfs/netfs.ko
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/fscache/fscache.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
"""


def test_what_a_module_stands_on_comes_first_and_once() -> None:
    order = image.loading_order(TABLE, ("9p", "9pnet_virtio"))
    names = [path.rpartition("/")[2] for path in order]
    assert names == ["netfs.ko", "fscache.ko", "9pnet.ko", "9p.ko", "virtio_ring.ko", "9pnet_virtio.ko"]


def test_a_kernel_without_the_module_is_said() -> None:
    with pytest.raises(CannotAsk, match="no module virtio_net"):
        image.loading_order(TABLE, ("virtio_net",))


def test_the_first_program_loads_them_in_that_order() -> None:
    made = image.first_program(b"busybox", {"kernel/a/first.ko": b"1", "kernel/b/second.ko": b"2"})
    assert b"for module in first second; do" in made
    assert b"modules/first.ko\0" in made
    assert b"bin/switch_root\0" in made
