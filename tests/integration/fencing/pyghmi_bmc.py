# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC on pyghmi's server (what virtual BMCs of other projects use), broken by the same fault files as ours.

It knows cipher suite 3 only, answers every proposal with it, keeps silent about unknown users and wrong RAKP 3, and
has no roles. Run as: pyghmi_bmc.py DIRECTORY PORT; it prints `listening` when it can be asked.
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from pathlib import Path

from pyghmi.ipmi.bmc import Bmc

from backstay.lab.bmc.faults import Faults

USERS = {"fencer": "fencepass"}
GUID = uuid.UUID("943b4b1f-3fac-5de1-8e34-6c69d7514757")
BUSY = 0xC0


class Machine(Bmc):
    """A file with `on` or `off` in it behind pyghmi's server."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(USERS, port=port, address="127.0.0.1", bmcuuid=GUID)
        self.place = directory / "power"
        self.faults = Faults(directory / "faults")

    def handle_raw_request(self, request, session):
        """What a fault does to a command of a session."""
        chassis = request["netfn"] == 0
        control = chassis and request["command"] == 2
        time.sleep(self.faults.seconds("latency"))
        if self.faults.has("drop-session") or (control and self.faults.has("drop-control")):
            return None
        if chassis and self.faults.spend("busy"):
            return session.send_ipmi_response(code=BUSY)
        return super().handle_raw_request(request, session)

    def get_system_guid(self):
        return GUID

    def get_power_state(self):
        return self.place.read_text().strip()

    def get_chassis_status(self, session):
        refused = self.faults.completion("fail-get")
        if refused is not None:
            return session.send_ipmi_response(code=refused)
        return super().get_chassis_status(session)

    def power_off(self):
        return self.become("off")

    def power_on(self):
        return self.become("on")

    def power_cycle(self):
        self.become("off")
        threading.Timer(1.0, self.become, ["on"]).start()

    def become(self, state: str) -> int | None:
        """Switch, unless a fault is in the way; a completion code or nothing."""
        refused = self.faults.completion("fail-set")
        if refused is not None:
            return refused
        if not self.faults.has("ignore-set"):
            after = self.faults.seconds(f"delay-{state}")
            threading.Timer(
                after, self.place.write_text, [state]
            ).start() if after else self.place.write_text(state)
        return None


if __name__ == "__main__":
    machine = Machine(Path(sys.argv[1]), int(sys.argv[2]))
    print("listening", flush=True)
    machine.listen()
