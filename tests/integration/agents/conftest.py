# SPDX-License-Identifier: GPL-2.0-or-later
"""What the integration tests of the agents share."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def tools(need: Callable[..., str]) -> None:
    """What a private host is made of."""
    need("libvirtd", "virsh", "qemu-system-x86_64", "unshare", "nsenter", "ip")
