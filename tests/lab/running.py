# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab of a run as its tests see it: put in order before each, rebuilt when it cannot be, its past kept.

BACKSTAY_DEB names the package to test; without it the source tree is installed in the nodes. BACKSTAY_LAB_REUSE=1
takes a lab that is up already and leaves it up (for working on a test).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from _pytest.runner import runtestprotocol
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from backstay.errors import BackstayError
from backstay.host.clock import Deadline
from backstay.lab import cluster, kinds, logs, order, power
from backstay.lab import lab as the_lab
from backstay.lab.installation import Payload
from backstay.lab.layout import Layout, node_names
from backstay.lab.node import Node
from backstay.lab.progress import Progress

LAB = pytest.StashKey["Lab"]()
BLAMED = pytest.StashKey[list[str]]()
L = TypeVar("L", bound="Lab")


class NodeBackend(BaseBackend):
    """testinfra's way into a node."""

    NAME = "backstay-lab"

    def __init__(self, node: Node) -> None:
        super().__init__(node.name)
        self.node = node

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run a shell command in the node; `args` are quoted into it."""
        done = self.node.run(self.get_command(command, *args), timeout=120)
        return self.result(
            done.returncode, self.encode(command), self.encode(done.stdout), self.encode(done.stderr)
        )


class Lab:
    """The lab as a test sees it."""

    def __init__(self, layout: Layout, payload: Payload, kind: str = kinds.CONTAINER) -> None:
        self.layout = layout
        self.payload = payload
        self.kind = kind
        self.names = node_names(kinds.named(kind).nodes)
        self.wanted = ""

    def node(self, name: str) -> Node:
        """A node by its name."""
        return Node(self.layout, name)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes."""
        return tuple(map(self.node, self.names))

    def host(self, name: str) -> Host:
        """A node for testinfra: `lab.host("n1").service("corosync").is_running`."""
        return Host(NodeBackend(self.node(name)))

    def ask(self) -> cluster.State:
        """What the cluster says now."""
        return cluster.ask(self.layout)

    def wait_for(self, wanted: cluster.Predicate, seconds: float, what: str) -> cluster.State:
        """Wait until the cluster is as wanted."""
        return cluster.wait_for(self.layout, wanted, Deadline(seconds), what)

    def cut(self, name: str) -> None:
        """Cut a node's power behind everybody's back."""
        power.cut(self.layout, name)

    def boot(self, name: str) -> None:
        """Switch a node on."""
        power.boot(self.layout, name)

    def build(self) -> None:
        """A new lab in place of whatever is there."""
        the_lab.down(self.layout, Progress())
        self.switch_on()

    def switch_on(self) -> None:
        """A lab where there is none."""
        shown = Progress(sys.__stderr__ or sys.stderr)
        the_lab.up(self.layout, len(self.names), self.payload, shown, kind=self.kind)
        self.learn()

    def learn(self) -> None:
        """Take the configuration as it is for the one that every test begins with."""
        self.wanted = order.configuration_of(self.node(self.names[0]))

    def put_in_order(self) -> None:
        """Ready for the next test; rebuilt when nothing else helps."""
        found = order.findings(self.layout, self.names)
        if not found and self.wanted and order.configuration_of(self.node(self.names[0])) != self.wanted:
            found = ("the configuration is another test's",)
        if found and self.wanted:
            say(f"putting the lab in order: {'; '.join(found)}")
            found = order.restore(self.layout, self.names, self.wanted)
        if found:
            say(f"rebuilding the lab: {'; '.join(found)}")
            self.build()


def say(text: str) -> None:
    """Tell whoever waits, captured or not."""
    print(f"\n[lab] {text}", file=sys.__stderr__, flush=True)


@contextmanager
def running(config: pytest.Config, lab: L) -> Iterator[L]:
    """The one lab of this run, up."""
    reuse = os.environ.get("BACKSTAY_LAB_REUSE") == "1"
    try:
        if reuse and lab.layout.names():
            lab.learn()
        else:
            lab.switch_on()
        config.stash[LAB] = lab
        yield lab
    finally:
        if not reuse:
            the_lab.down(lab.layout, Progress())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the lab's past when a test failed, and say where."""
    report = yield
    lab = item.config.stash.get(LAB, None)
    if report.failed and lab and report.when != "teardown":
        try:
            report.sections.append(("lab", f"journals, CIB, consoles: {logs.collect(lab.layout)}"))
        except (BackstayError, OSError) as error:
            report.sections.append(("lab", f"its past could not be collected: {error}"))
    return report


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test; once more when it failed and the lab itself is to blame (a starved machine, a dead BMC)."""
    begin = datetime.now(UTC)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    lab = item.config.stash.get(LAB, None)
    blamed = order.blame(lab.layout, begin) if lab and any(report.failed for report in reports) else ()
    if blamed and hasattr(item, "_initrequest"):
        said = f"{item.nodeid} is repeated once, the lab is to blame: {'; '.join(blamed)}"
        item.config.stash.setdefault(BLAMED, []).append(said)
        say(said)
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def need_the_lab(items: list[pytest.Item], directory: Path, *first: str) -> None:
    """Mark the tests of a directory as tests of the lab; files whose names begin with `first` come before the others."""
    for item in items:
        if directory in item.path.parents:
            item.add_marker(pytest.mark.lab)
    items.sort(key=lambda item: not item.path.name.startswith(first))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests were repeated: a repeat is never silent."""
    for said in config.stash.get(BLAMED, []):
        terminalreporter.write_line(said, yellow=True)
