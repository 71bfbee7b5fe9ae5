# SPDX-License-Identifier: GPL-2.0-or-later
"""One lab of containers for the whole run, in order before each test (tests/lab/running.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.lab.layout import Layout
from tests.lab.cloud import Cloud, payload
from tests.lab.running import (
    Lab,
    need_the_lab,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_terminal_summary,
    running,
)

__all__ = ["pytest_runtest_makereport", "pytest_runtest_protocol", "pytest_terminal_summary"]


@pytest.fixture(scope="session")
def running_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The one lab of this run."""
    with running(request.config, Lab(Layout.from_environment(), payload())) as lab:
        yield lab


@pytest.fixture
def lab(running_lab: Lab) -> Lab:
    """The lab, in order."""
    running_lab.put_in_order()
    return running_lab


@pytest.fixture(scope="session")
def furnished(running_lab: Lab) -> Cloud:
    """The one cloud of this run: its guests take half a minute to boot."""
    return Cloud(running_lab)


@pytest.fixture
def cloud(furnished: Cloud) -> Cloud:
    """A cloud in which all is well."""
    furnished.put_in_order()
    return furnished


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the lab; the tests of the bare lab come first, before a cluster has managed its libvirtd."""
    need_the_lab(items, Path(__file__).parent, "test_lab", "test_libvirtd")
