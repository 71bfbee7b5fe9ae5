# SPDX-License-Identifier: GPL-2.0-or-later
"""What an action is told: which action on which resource, how much time it has, its parameters.

Decides what the environment that Pacemaker gives means. Never reads anything but that environment.
Source: OCF resource agent API 1.1; Pacemaker 2.1.5 for OCF_RESKEY_CRM_meta_* (milliseconds).
"""

from __future__ import annotations

from backstay.ocf.parameters import PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Generic, TypeVar

    from backstay.host.clock import Deadline
    from backstay.ocf.parameters import Parameters

    P = TypeVar("P", bound=Parameters)

    class _Of(Generic[P]):
        pass

else:
    P = None

    class _Of:
        """Stands in for typing.Generic, which costs more than the rest of this module."""

        def __class_getitem__(cls, _of: object) -> type:
            return cls


META = PREFIX + "CRM_meta_"


class Context(_Of[P]):
    """One call of an agent. `interval` is in seconds, 0.0 for anything that does not recur.

    `is_probe` is true for every monitor that does not recur: Pacemaker's probe, a forced check, a call by hand.
    `warn` and `note` write one line to the system log.
    """

    __slots__ = (
        "action", "check_level", "deadline", "instance", "interval", "is_probe", "migrate_source", "migrate_target",
        "node", "note", "parameters", "warn",
    )  # fmt: skip

    def __init__(
        self,
        action: str,
        parameters: P,
        deadline: Deadline,
        *,
        instance: str = "",
        node: str = "",
        interval: float = 0.0,
        check_level: int = 0,
        migrate_source: str = "",
        migrate_target: str = "",
        warn: Callable[[str], None] = lambda _text: None,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.action = action
        self.parameters = parameters
        self.deadline = deadline
        self.instance = instance
        self.node = node
        self.interval = interval
        self.is_probe = action == "monitor" and interval == 0.0
        self.check_level = check_level
        self.migrate_source = migrate_source
        self.migrate_target = migrate_target
        self.warn = warn
        self.note = note


def meta(environ: Mapping[str, str], name: str) -> str:
    """Give one of Pacemaker's own settings for this action, or an empty text."""
    return environ.get(META + name, "")


def number(given: str, otherwise: float) -> float:
    """Read a number that Pacemaker wrote; anything else is `otherwise`."""
    try:
        return float(given)
    except ValueError:
        return otherwise
