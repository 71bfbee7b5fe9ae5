# SPDX-License-Identifier: GPL-2.0-or-later
"""What a BMC with Redfish says of itself and of the account that asks: whose system it is, and what may be done to it.

Decides how that is found out, by reading alone. Sources: the schemas ComputerSystem, ManagerAccount and Role, and
DMTF's privilege registry, in which a POST to a ComputerSystem takes ConfigureComponents or, since 2022.2,
OperateSystems.
"""

from __future__ import annotations

import uuid

from backstay.host import redfish_answers as answers
from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.clock import Deadline
from backstay.host.redfish import Redfish
from backstay.host.redfish_answers import Json

SWITCHING = frozenset({"ConfigureComponents", "OperateSystems", "AdministrateSystems"})
MOST_ACCOUNTS = 32  # that are looked through for the one that asks


class RedfishProof:
    """One system, asked for everything that a power-off would need. To be closed."""

    def __init__(self, bmc: Redfish) -> None:
        self._bmc = bmc

    def power(self, timeout: float) -> Power | Trouble:
        """Give the power state."""
        return self._bmc.power(timeout)

    def guid(self, timeout: float) -> bytes | Trouble:
        """Give the UUID of the system: 16 bytes in the order in which it is written."""
        system = self._bmc.system(Deadline(timeout))
        if isinstance(system, Trouble):
            return system
        try:
            return uuid.UUID(str(system.get("UUID"))).bytes
        except ValueError:
            return Trouble(Kind.BLANK, None, "no UUID")

    def hindrance(self, timeout: float) -> Trouble | str:
        """Say what would keep a power-off from being accepted; as text, what is not known about that."""
        deadline = Deadline(timeout)
        system = self._bmc.system(deadline)
        found = system if isinstance(system, Trouble) else answers.reset(system)
        if isinstance(found, Trouble):
            return found
        allowed = found.allowed
        if allowed is None and found.info:
            info = self._bmc.read(found.info, deadline)
            allowed = None if isinstance(info, Trouble) else answers.allowed_by(info)
        way = answers.choose_type(Power.OFF, allowed)
        return way if isinstance(way, Trouble) else self._role(deadline)

    def close(self) -> None:
        """Log out and hang up."""
        self._bmc.close()

    def _role(self, deadline: Deadline) -> Trouble | str:
        unknown = f"what the account {self._bmc.user} may do is not known: its BMC does not show its role"
        account = self._account(deadline)
        role = self._bmc.read(answers.link(account, "Links", "Role"), deadline) if account else None
        if account is None or role is None or isinstance(role, Trouble):
            return unknown
        privileges = role.get("AssignedPrivileges")
        if not isinstance(privileges, list):
            return unknown
        if SWITCHING & set(map(str, privileges)):
            return ""
        return Trouble(Kind.ROLE, None, f"its role {account.get('RoleId')!s:.40} has no right to")

    def _account(self, deadline: Deadline) -> Json | None:
        """The account that asks, if it may read that."""
        root = self._bmc.read(self._bmc.root, deadline)
        service = _linked(self._bmc, root, "AccountService", deadline)
        accounts = _linked(self._bmc, service, "Accounts", deadline)
        for path in [] if accounts is None else answers.members(accounts)[:MOST_ACCOUNTS]:
            account = self._bmc.read(path, deadline)
            if not isinstance(account, Trouble) and account.get("UserName") == self._bmc.user:
                return account if answers.link(account, "Links", "Role") else None
        return None


def _linked(bmc: Redfish, resource: Json | Trouble | None, name: str, deadline: Deadline) -> Json | None:
    path = "" if resource is None or isinstance(resource, Trouble) else answers.link(resource, name)
    found = bmc.read(path, deadline) if path else None
    return None if isinstance(found, Trouble) else found
