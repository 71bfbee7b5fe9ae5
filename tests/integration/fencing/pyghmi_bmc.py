# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC on pyghmi's server (what virtual BMCs of other projects use), broken by the same fault files as ours.

It knows cipher suite 3 only, answers every proposal with it, keeps silent about unknown users and wrong RAKP 3, and
has no roles. Run as: pyghmi_bmc.py DIRECTORY PORT [KG]; it prints `listening` when it can be asked.
"""

from __future__ import annotations

import sys
import threading
import uuid
from pathlib import Path

from pyghmi.ipmi.bmc import Bmc

from backstay.lab.bmc.faults import Faults
from backstay.lab.bmc.journal import Journal

USERS = {"fencer": "fencepass"}
GUID = uuid.UUID("943b4b1f-3fac-5de1-8e34-6c69d7514757")
BUSY = 0xC0
COMMANDS = {0: "off", 1: "on", 2: "cycle", 3: "reset"}


class Machine(Bmc):
    """A file with `on` or `off` in it behind pyghmi's server."""

    def __init__(self, directory: Path, port: int, key: str = "") -> None:
        super().__init__(USERS, port=port, address="127.0.0.1", bmcuuid=GUID)
        if key:
            self.kg = bytes.fromhex(key).ljust(20, b"\0")
        self.journal = Journal(directory / "events.jsonl", "n2")
        self.place = directory / "power"
        self.faults = Faults(directory / "faults")

    def handle_raw_request(self, request, session):
        """What a fault does to a command of a session."""
        chassis = request["netfn"] == 0
        control = chassis and request["command"] == 2
        if control:
            self.journal.write("chassis-control", command=COMMANDS.get(request["data"][0], "?"))
        if control and self.faults.has("drop-control"):
            return None
        if control and self.faults.die():
            return session.send_ipmi_response()
        if control and self.faults.has("lost-answer"):
            return self.become(COMMANDS[request["data"][0]])
        code = self.faults.next_code("codes") if control else None
        if code is not None:
            return session.send_ipmi_response(code=code)
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
        if self.faults.has("quick-cycle") or self.faults.has("ignore-set"):
            return
        self.become("off")
        threading.Timer(1.0, self.become, ["on"]).start()

    def become(self, state: str) -> int | None:
        """Switch, unless a fault is in the way; a completion code or nothing."""
        refused = self.faults.completion("fail-set")
        if refused is not None:
            return refused
        if not self.faults.spend("ignore-set"):
            after = self.faults.seconds(f"delay-{state}")
            threading.Timer(
                after, self.place.write_text, [state]
            ).start() if after else self.place.write_text(state)
        return None


if __name__ == "__main__":
    machine = Machine(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
    print("listening", flush=True)
    machine.listen()
