# SPDX-License-Identifier: GPL-2.0-or-later
"""What an action is told: which action on which resource, how much time it has, its parameters.

Decides what the environment that Pacemaker gives means. Never reads anything but that environment.
Source: OCF resource agent API 1.1; Pacemaker 2.1.5 for OCF_RESKEY_CRM_meta_* (times in milliseconds).
"""

from __future__ import annotations

from backstay.ocf import codes
from backstay.ocf.parameters import PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Generic, TypeVar

    from backstay.host.clock import Deadline
    from backstay.ocf.log import Log
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
LARGEST = 1e9  # of any number in the environment; what is beyond it was not written by Pacemaker


class Call:
    """What the environment says about one call of an agent, whichever agent it is.

    `interval` is in seconds, 0.0 for anything that does not recur. `is_probe` is true for every monitor that does
    not recur: Pacemaker's probe, a forced check, a call by hand.
    """

    __slots__ = ("action", "agent", "check_level", "environ", "instance", "interval", "is_probe")

    def __init__(self, agent: str, action: str, environ: Mapping[str, str]) -> None:
        self.agent = agent
        self.action = action
        self.environ = environ
        self.instance = environ.get("OCF_RESOURCE_INSTANCE", "")
        self.check_level = int(number(environ.get("OCF_CHECK_LEVEL", ""), 0))
        self.interval = number(self.meta("interval"), 0.0) / 1000
        self.is_probe = action == "monitor" and self.interval == 0.0

    def meta(self, name: str) -> str:
        """Give one of Pacemaker's own settings for this action, or an empty text."""
        return self.environ.get(META + name, "")

    @property
    def expects_promoted(self) -> bool:
        """Whether this is the recurring monitor of a promoted instance: for Pacemaker, then, 190 means "demoted"."""
        return self.action == "monitor" and self.meta("op_target_rc") == str(codes.PROMOTED)

    def timeout(self, advertised: float) -> float:
        """Give the seconds after which Pacemaker kills, or the advertised ones when nobody called Pacemaker's."""
        return number(self.meta("timeout"), advertised * 1000) / 1000 or advertised


class Context(_Of[P]):
    """One call of an action; `interval` is in seconds, `is_probe` as in Call, `deadline` is the action's own.

    `meta` gives one of Pacemaker's own settings by its name (Call.meta).

    `warn` and `note` write one line to the system log; `journal` has the other priorities.
    """

    __slots__ = (
        "action", "check_level", "deadline", "instance", "interval", "is_probe", "journal", "meta", "migrate_source",
        "migrate_target", "node", "note", "parameters", "warn",
    )  # fmt: skip

    def __init__(self, call: Call, parameters: P, deadline: Deadline, journal: Log) -> None:
        self.action = call.action
        self.instance = call.instance
        self.interval = call.interval
        self.is_probe = call.is_probe
        self.check_level = call.check_level
        self.meta = call.meta
        self.node = call.meta("on_node")
        self.migrate_source = call.meta("migrate_source")
        self.migrate_target = call.meta("migrate_target")
        self.parameters = parameters
        self.deadline = deadline
        self.journal = journal
        self.warn = journal.warn
        self.note = journal.note


def number(given: str, otherwise: float) -> float:
    """Read a number that is not negative, as Pacemaker writes them; anything else is `otherwise`."""
    try:
        value = float(given)
    except ValueError:
        return otherwise
    return value if 0.0 <= value <= LARGEST else otherwise
