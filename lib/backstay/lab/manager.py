# SPDX-License-Identifier: GPL-2.0-or-later
"""A manager of virtual machines on the lab's hosts: the stand-in for oned as the unit `opennebula`, and its machines.

Decides how the manager lies on the hosts; what it does is `oned`'s business, what keeps it in order is Backstay's.
Its machines are libvirt's domains that speak to the witness; two run on n2 and two on n3 at first.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backstay.agents.recovery import STATES, Record, record
from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, NotYet, until
from backstay.lab import evidence, guest, witness
from backstay.lab.audit import LOST, RAN_TWICE, audit
from backstay.lab.layout import Layout
from backstay.lab.node import Node
from backstay.lab.stage import Stage

HOSTS = ("n1", "n2", "n3")
HOME = "/srv/vm/one"
ADDRESS = "10.77.0.90"
PASSWORD = "/etc/backstay/bmc.password"
UNIT = f"""[Service]
ExecStart=/usr/bin/python3 -I -m backstay.lab.oned {HOME}/standin 2633 {" ".join(HOSTS)}
"""
SNIPPET = "/root/snippet.xml"
MONITORED_EVERY = 15  # seconds between two looks of the manager at a host
HASTY_EVERY = 5  # likewise, of the one that starts again elsewhere what it missed three times
STARTING = 300.0  # seconds that machines have to speak
TAKING = 180.0  # seconds that the role has to be taken
RECORDED = 240.0  # seconds until a host's recovery has to be over


@dataclass(frozen=True, slots=True)
class Machine:
    """One of its machines."""

    name: str
    uuid: str


MACHINES = tuple(
    Machine(f"one-{number}", str(uuid.uuid5(uuid.NAMESPACE_DNS, f"one-{number}"))) for number in range(4)
)


class Manager:
    """The manager of a lab, seen from the machine."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.home = layout.shared / "one"
        self.stage = Stage(layout, {machine.uuid: machine.name for machine in MACHINES})

    # ---- its software and what it knows

    def install(self) -> None:
        """Put the manager's software on every host, its storage on the shared one, and wish for its machines."""
        guest.prepare(self.layout, MACHINES)
        witness.start(self.layout, self.layout.names())
        self.remove()
        self._furnish()
        for name in HOSTS:
            node = Node(self.layout, name)
            node.write("/etc/systemd/system/opennebula.service", UNIT)
            node.check(f"rm -rf /var/lib/one; ln -s {HOME} /var/lib/one; systemctl daemon-reload")

    def _furnish(self) -> None:
        for part in (".one", "standin/vms"):
            (self.home / part).mkdir(parents=True, exist_ok=True)
        files = {
            ".one/one_auth": "oneadmin:secret\n",
            "one.db": "SQLite format 3\0",
            "standin/one_auth": "oneadmin:secret\n",
            "standin/interval": str(MONITORED_EVERY),
            "standin/libvirt": "",
            "standin/wishes": "one-0 n2\none-1 n2\none-2 n3\none-3 n3\n",
        }
        for number, machine in enumerate(MACHINES):
            described = self.layout.shared / "domains" / f"{machine.name}.xml"
            files[f"standin/vms/{number}.xml"] = described.read_text()
        for path, text in files.items():
            (self.home / path).write_text(text)

    def remove(self) -> None:
        """No manager, no machine of it, nothing that it knew."""
        self.where(
            "crm_resource --resource frontend --meta --set-parameter target-role --parameter-value Stopped;"
            " systemctl stop opennebula libvirtd.service; systemctl start libvirtd-tcp.socket libvirtd.socket;"
            " for one in $(virsh list --name | grep ^one-); do virsh destroy $one; done;"
            " rm -rf /var/lib/one /etc/systemd/system/opennebula.service; systemctl daemon-reload",
        )
        shutil.rmtree(self.home, ignore_errors=True)

    def be_hasty(self) -> None:
        """Make it the manager of before, as it was used: what it does not see any more it starts elsewhere."""
        for word in ("hasty", "restarts"):
            (self.home / "standin" / word).touch()
        (self.home / "standin/interval").write_text(str(HASTY_EVERY))

    def drop_its_hook(self) -> None:
        """Take its own hook for hosts in error away, as the how-to of the frontend says."""
        (self.home / "standin/restarts").unlink()

    # ---- Backstay

    def guard(self) -> None:
        """Load fencing, libvirtd's watch and the role from Backstay's own templates."""
        for host in HOSTS:
            self.load("fencing", host=host, address=f"bmc-{host}", username="fencer", password_file=PASSWORD)
        self.load("properties")
        self.load("libvirtd")
        self.load("frontend-opennebula", name="frontend", lease=f"{HOME}/role.lease", address=ADDRESS,
                  prefix="24", prefers="n1")  # fmt: skip

    def load(self, template: str, **values: str) -> None:
        """Render a template on a host and load it there, as an admin does."""
        node = Node(self.layout, HOSTS[0])
        words = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
        node.check(["backstay", "render", "--template", template, *words, "-o", SNIPPET])
        node.check(f"cibadmin --modify --allow-create --xml-file {SNIPPET}")

    # ---- what can be seen

    def where(self, command: str) -> list[str]:
        """The hosts with power on which a command succeeds."""
        found = []
        for name in HOSTS:
            with suppress(CannotAsk):
                if Node(self.layout, name).run(command).ok:
                    found.append(name)
        return found

    def has_role(self) -> str | None:
        """The one host on which the manager runs, or nothing."""
        hosts = self.where("systemctl is-active opennebula")
        return hosts[0] if len(hosts) == 1 else None

    def role(self, besides: str = "") -> str:
        """Wait for the one host that has the role, another one than `besides`."""

        def look() -> str | None:
            host = self.has_role()
            return host if host != besides else None

        return until(look, Deadline(TAKING), 0.5, "the role on one host")

    def starts(self) -> list[dict[str, object]]:
        """Every start of a machine by the manager: `at` (seconds since the epoch), `host`, `vm`."""
        return [json.loads(line) for line in _lines(self.home / "standin/starts")]

    def speak(self, besides: str = "", seconds: float = STARTING) -> dict[str, str]:
        """Wait until every machine says that it runs, none of them on a host; give where each is."""

        def look() -> dict[str, str]:
            places = self.stage.places()
            if len(places) == len(MACHINES) and besides not in places.values():
                return places
            raise NotYet(f"{places}, {self.known().get('vms')}, {self.said()}")

        return until(look, Deadline(seconds), 0.5, "every machine to speak")

    def known(self) -> dict[str, object]:
        """What the manager knows."""
        text = "\n".join(_lines(self.home / "standin/state.json"))
        return dict(json.loads(text)) if text else {}

    def recorded(self, host: str) -> Record | None:
        """The cluster's record of what was recovered of a host."""
        other = next(name for name in self.where("true") if name != host)
        asked = f"crm_attribute --type nodes --node {host} --name backstay-recovery --query --quiet"
        done = Node(self.layout, other).run(asked)
        return record(done.stdout.strip()) if done.ok else None

    def until_recorded(
        self, host: str, state: str, seconds: float = RECORDED, since: float | None = None
    ) -> Record:
        """Wait until the record of a host has come to a state.

        With `since` (seconds since the epoch) one of a fencing after it that has come further is good too: a host may
        be back before anybody looked.
        """

        def look() -> Record:
            known = self.recorded(host)
            if known is not None and (known.state == state or further(known, state, since)):
                return known
            raise NotYet(f"{known}, {self.said()}")

        return until(look, Deadline(seconds), 1.0, f"the record of {host} to be {state}")

    def said(self) -> str:
        """What the role says about recovery."""
        for name in self.where("true"):
            text = (
                Node(self.layout, name).run("attrd_updater --name backstay-recovering --query --all").stdout
            )
            if text:
                return " ".join(text.split())
        return ""

    def judge(self, calm: tuple[float, float]) -> Sequence[str]:
        """What the audit found since the calm time began: machines that ran twice, records that were lost."""
        found = evidence.collect(self.layout, self.stage.guests, calm[0], time.monotonic())
        return [each.text for each in audit(found, (), calm).findings if each.kind in (RAN_TWICE, LOST)]


def further(known: Record, state: str, since: float | None) -> bool:
    """Whether a record is of a fencing after `since` (seconds since the epoch) and past a state."""
    later = STATES[STATES.index(state) + 1 :]
    return since is not None and known.fencing.when >= int(since) and known.state in later


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []
