# SPDX-License-Identifier: GPL-2.0-or-later
"""One lab of two virtual machines for the whole run, in order before each test (tests/lab/running.py).

A machine that cannot start them fails these tests, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.lab import kinds
from backstay.lab.layout import Layout
from tests.kernel import fencing
from tests.lab.cloud import payload
from tests.lab.running import (
    Lab,
    need_the_lab,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_terminal_summary,
    running,
)

__all__ = ["pytest_runtest_makereport", "pytest_runtest_protocol", "pytest_terminal_summary"]


class Machines(Lab):
    """Two VM nodes, n1 and n2, each with its fence device."""

    def __init__(self) -> None:
        super().__init__(Layout.from_environment(), payload(), kinds.VM)

    def learn(self) -> None:
        fencing.load(self.layout, self.names)
        super().learn()


@pytest.fixture(scope="session")
def running_machines(request: pytest.FixtureRequest) -> Iterator[Machines]:
    """The two VM nodes of this run."""
    with running(request.config, Machines()) as lab:
        yield lab


@pytest.fixture
def machines(running_machines: Machines) -> Machines:
    """The two VM nodes, n1 and n2, a cluster, in order."""
    running_machines.put_in_order()
    return running_machines


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the lab; what a lab is comes first."""
    need_the_lab(items, Path(__file__).parent, "test_machines")
