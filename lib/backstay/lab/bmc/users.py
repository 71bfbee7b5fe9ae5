# SPDX-License-Identifier: GPL-2.0-or-later
"""The accounts of a BMC and what each role may do.

Decides who may open a session at which role. Never keeps a password where a traceback or a log could show it:
it has no part in the text of an account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from backstay.errors import BadInput

CALLBACK, USER, OPERATOR, ADMINISTRATOR = 1, 2, 3, 4
ROLES: Mapping[str, int] = MappingProxyType(
    {"callback": CALLBACK, "user": USER, "operator": OPERATOR, "administrator": ADMINISTRATOR}
)


@dataclass(frozen=True, slots=True)
class Account:
    """One user: the highest role that it may ask for, and its key."""

    name: str
    role: int
    password: bytes = field(repr=False)


Accounts = Mapping[str, Account]


def parse(text: str, source: str = "users") -> Accounts:
    """Accounts from lines `name role password` (the password is the rest of the line, blanks and all).

    Raises BadInput with the line number for anything else.
    """
    found: dict[str, Account] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(" ", 2)
        if len(parts) < 3 or parts[1] not in ROLES:
            raise BadInput(
                f"{source}:{number}: not an account",
                hint=f"write: name role password, where role is one of {', '.join(ROLES)}",
            )
        name, role, password = parts
        found[name] = Account(name, ROLES[role], password.encode())
    if not found:
        raise BadInput(f"{source}: no account in it", hint="a BMC without accounts refuses everybody")
    return MappingProxyType(found)


def changed(accounts: Accounts, password: str | None) -> Accounts:
    """The accounts with another password, or as they are for None."""
    if password is None:
        return accounts
    return {name: replace(account, password=password.encode()) for name, account in accounts.items()}


def read(path: Path) -> Accounts:
    """The accounts in a file; see `parse`."""
    return parse(path.read_text(encoding="utf-8"), str(path))
