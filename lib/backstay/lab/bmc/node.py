# SPDX-License-Identifier: GPL-2.0-or-later
"""The chassis of a lab node, and the processes that are the nodes' BMCs.

Decides where a node's BMC listens, who may log in, and when it counts as started. The power itself is cut and
given by lab/power.py.
"""

from __future__ import annotations

import json
import os
import sys

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, NotYet, until
from backstay.lab import power, processes
from backstay.lab.bmc.faults import Faults
from backstay.lab.layout import BMC_PORT, Layout

STARTING = 10.0  # seconds
READY = "ready.json"
USER = "fencer"
# Two more accounts for tests and demonstrations of refusals; the lab is reachable from its own machine only.
OTHERS = "admin administrator adminpass\nfencer2 operator fencepass2\nviewer user viewpass\n"


class NodeChassis:
    """The power of one lab node."""

    def __init__(self, layout: Layout, name: str) -> None:
        self._layout = layout
        self._name = name

    def is_on(self) -> bool:
        return power.is_on(self._layout, self._name)

    def off(self) -> None:
        power.cut(self._layout, self._name)

    def on(self) -> None:
        power.boot(self._layout, self._name)

    def reset(self) -> None:
        power.cut(self._layout, self._name)
        power.boot(self._layout, self._name)


def start(layout: Layout, name: str) -> None:
    """Start the BMC of a node as a process that outlives the caller; running already is as good.

    Returns when it listens. Raises CannotAsk with the reason that the BMC gave, such as a port that is taken.
    """
    record = _record(name)
    if processes.recorded(layout, record):
        return
    node = layout.node(name)
    node.bmc.mkdir(parents=True, exist_ok=True)
    accounts = node.bmc / "users"
    accounts.touch(mode=0o600)
    accounts.write_text(f"{USER} operator {layout.password.read_text()}\n{OTHERS}")
    ready = node.bmc / READY
    ready.unlink(missing_ok=True)
    log = node.bmc / "bmc.log"
    log.write_text("")
    argv = [sys.executable, "-m", "backstay.lab.bmc", "--node", name]
    argv += ["--address", node.bmc_address, "--port", str(BMC_PORT), "--ready", str(ready)]
    # The process must find the same package and the same lab as its starter, installed or not.
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "BACKSTAY_LAB": str(layout.directory),
        "BACKSTAY_CACHE": str(layout.cache),
    }
    processes.spawn(layout, record, argv, log, environment)

    def listening() -> int | None:
        if ready.exists():
            return int(json.loads(ready.read_text())["port"])
        said = log.read_text().strip().splitlines()
        if processes.recorded(layout, record):
            raise NotYet(said[-1] if said else "nothing")
        raise CannotAsk(said[-1] if said else f"the BMC of {name} ended at once and said nothing")

    until(listening, Deadline(STARTING), every=0.05, what=f"the BMC of {name} to listen")


def stop(layout: Layout, name: str) -> None:
    """Stop the BMC of a node (a BMC without power: it answers nobody); not running is as good."""
    processes.stop(layout, _record(name))


def is_running(layout: Layout, name: str) -> bool:
    """Whether the BMC of a node has a process (it may be broken on purpose and answer nobody)."""
    return processes.recorded(layout, _record(name)) is not None


def faults(layout: Layout, name: str) -> Faults:
    """What is broken about the BMC of a node; may be asked and changed while it runs."""
    return Faults(layout.node(name).bmc / "faults")


def _record(name: str) -> str:
    return f"bmc-{name}"
