# SPDX-License-Identifier: GPL-2.0-or-later
"""One DRBD resource of this host: how it is asked, and how it is told.

Decides nothing about what a state is good for. Never loads the module by asking: without the module there is no
resource, and that is known without a question. Source: drbdsetup(8), drbdadm(8) of drbd-utils 9.22 (which hand over to
drbdsetup-84 and drbdadm-84 when the module is 8.4).
"""

from __future__ import annotations

import os

from backstay.errors import CannotAsk
from backstay.host.drbd_state import State, read
from backstay.host.process import Completed, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROC, MODULE = "/proc/drbd", "/sys/module/drbd"
CONFIGURATION = "/etc/drbd.conf"
MAJOR = 147  # of DRBD's block devices (devices.txt of Linux)
NINE = (9, 0, 0)
# One line of stderr is what an admin is shown; it must not be about versions.
QUIET = {"DRBD_DONT_WARN_ON_VERSION_MISMATCH": "1"}


class Drbd:
    """A resource by its name, and the configuration file that drbdadm reads. Times are in seconds."""

    __slots__ = ("configuration", "resource")

    def __init__(self, resource: str, configuration: str = CONFIGURATION) -> None:
        self.resource = resource
        self.configuration = configuration

    def loaded(self) -> bool:
        """Whether the module is in the kernel; without it nothing of DRBD is here."""
        return os.path.exists(PROC) or os.path.exists(MODULE)  # noqa: PTH110  (pathlib costs 6 ms)

    def version(self) -> tuple[int, ...]:
        """Give the version of the module that is loaded, (8, 4, 11); empty when that cannot be told."""
        for path in (f"{MODULE}/version", PROC):
            try:
                with open(path) as text:  # noqa: PTH123
                    found = version_in(text.read())
            except OSError:
                continue
            if found:
                return found
        return ()

    def available(self, timeout: float) -> tuple[int, ...]:
        """Give the version of the module that could be loaded here; empty when there is none."""
        return version_in(run(["modinfo", "--field", "version", "drbd"], timeout=timeout).stdout)

    def look(self, timeout: float) -> State | None:
        """Give the state; None when the resource is not configured in the kernel. Raises CannotAsk."""
        if not self.loaded():
            return None
        asked = run(
            ["drbdsetup", "events2", "--now", "--statistics", self.resource],
            timeout=timeout,
            environment=QUIET,
        )
        if not asked.ok:
            raise CannotAsk(f"DRBD does not answer: {asked.complaint()}")
        return read(asked.stdout, self.resource)

    def load(self, timeout: float) -> Completed:
        """Load the module."""
        return run(["modprobe", "drbd"], timeout=timeout)

    def adm(self, *words: str, timeout: float) -> Completed:
        """Have drbdadm, which reads the configuration, do something with the resource."""
        return run(
            ["drbdadm", "-c", self.configuration, *words, self.resource], timeout=timeout, environment=QUIET
        )

    def down(self, timeout: float) -> Completed:
        """Take it out of the kernel without reading any configuration."""
        return run(["drbdsetup", "down", self.resource], timeout=timeout, environment=QUIET)

    def secondary(self, state: State, timeout: float) -> Completed:
        """Give its role up without reading any configuration. 8.4 has a role for each volume."""
        whole = self.version()[:1] >= NINE[:1] or not state.devices
        targets: Sequence[str] = [state.name] if whole else [str(device.minor) for device in state.devices]
        done = Completed(("drbdsetup", "secondary"), 0, "", "")
        for target in targets:
            done = run(["drbdsetup", "secondary", target], timeout=timeout, environment=QUIET)
            if not done.ok:
                return done
        return done


def version_in(text: str) -> tuple[int, ...]:
    """Give the first version in a text such as "version: 8.4.11 (api:1/proto:86-101)" or "9.2.4"."""
    for word in text.split():
        parts = word.partition("-")[0].split(".")
        if len(parts) == 3 and all(part.isdecimal() for part in parts):
            return tuple(int(part) for part in parts)
    return ()
