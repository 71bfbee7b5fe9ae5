# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of libvirt about a pool that is active already."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backstay.host import libvirt_resources
from backstay.host.libvirt_resources import LibvirtResources


class Refused(Exception):
    """In the place of libvirtError."""


class Pool:
    """A pool as libvirt 9.0 has it: a refresh that fails leaves it inactive (seen), for every guest of the host."""

    def __init__(self, fails: bool = False, stays: bool = False) -> None:
        self.active, self.fails, self.stays, self.begun = True, fails, stays, 0

    def isActive(self) -> bool:
        return self.active

    def refresh(self) -> None:
        if self.fails:
            self.active = self.stays
            raise Refused("cannot read it")

    def create(self) -> None:
        self.begun += 1
        self.active = True


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Any:
    def begin(pool: Pool) -> str:
        connection = SimpleNamespace(storagePoolLookupByName=lambda _name: pool)
        virt = SimpleNamespace(connection=connection, module=SimpleNamespace(libvirtError=Refused))
        monkeypatch.setattr(libvirt_resources, "asked", lambda _uri, question, _timeout: question(virt))
        return LibvirtResources("qemu:///system").start("pool", "store", 5.0)

    return begin


def test_an_active_pool_is_looked_at_and_not_begun(start: Any) -> None:
    pool = Pool()
    assert (start(pool), pool.begun) == ("active", 0)


def test_a_look_that_fails_takes_the_pool_from_no_other_guest(start: Any) -> None:
    pool = Pool(fails=True)
    assert (start(pool), pool.active, pool.begun) == ("started", True, 1)


def test_a_look_that_fails_and_leaves_it_active_is_told(start: Any) -> None:
    with pytest.raises(Refused):
        start(Pool(fails=True, stays=True))
