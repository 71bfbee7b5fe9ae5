# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be done about one machine of OpenNebula whose host is proven dead, by the state that oned says it is in.

Decides it as a table. The way back to life that keeps the disks is the same for all: UNKNOWN, then RESCHED, which has
the scheduler place it elsewhere. So what hangs in an operation of the dead host is brought to RUNNING (its operation
has failed, or succeeded, which nobody else will say any more), and from there monitoring makes it UNKNOWN. What its
user wanted to be off is off. Nothing is made anew that ever ran. Pure.
Source: OpenNebula's VM states and the life cycle of 7.2 (LifeCycleActions.cc, LifeCycleStates.cc: what `one.vm.recover`
does in each state), VMActions.h.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ACTIVE, POWEROFF = 3, 8
OTHER_STATES = {
    1: "PENDING",
    2: "HOLD",
    4: "STOPPED",
    5: "SUSPENDED",
    6: "DONE",
    8: "POWEROFF",
    9: "UNDEPLOYED",
}
LCM = (
    "LCM_INIT PROLOG BOOT RUNNING MIGRATE SAVE_STOP SAVE_SUSPEND SAVE_MIGRATE PROLOG_MIGRATE PROLOG_RESUME EPILOG_STOP"
    " EPILOG SHUTDOWN CANCEL FAILURE CLEANUP_RESUBMIT UNKNOWN HOTPLUG SHUTDOWN_POWEROFF BOOT_UNKNOWN BOOT_POWEROFF"
    " BOOT_SUSPENDED BOOT_STOPPED CLEANUP_DELETE HOTPLUG_SNAPSHOT HOTPLUG_NIC HOTPLUG_SAVEAS HOTPLUG_SAVEAS_POWEROFF"
    " HOTPLUG_SAVEAS_SUSPENDED SHUTDOWN_UNDEPLOY EPILOG_UNDEPLOY PROLOG_UNDEPLOY BOOT_UNDEPLOY HOTPLUG_PROLOG_POWEROFF"
    " HOTPLUG_EPILOG_POWEROFF BOOT_MIGRATE BOOT_FAILURE BOOT_MIGRATE_FAILURE PROLOG_MIGRATE_FAILURE PROLOG_FAILURE"
    " EPILOG_FAILURE EPILOG_STOP_FAILURE EPILOG_UNDEPLOY_FAILURE PROLOG_MIGRATE_POWEROFF"
    " PROLOG_MIGRATE_POWEROFF_FAILURE PROLOG_MIGRATE_SUSPEND PROLOG_MIGRATE_SUSPEND_FAILURE BOOT_UNDEPLOY_FAILURE"
    " BOOT_STOPPED_FAILURE"
    " PROLOG_RESUME_FAILURE PROLOG_UNDEPLOY_FAILURE DISK_SNAPSHOT_POWEROFF DISK_SNAPSHOT_REVERT_POWEROFF"
    " DISK_SNAPSHOT_DELETE_POWEROFF DISK_SNAPSHOT_SUSPENDED DISK_SNAPSHOT_REVERT_SUSPENDED"
    " DISK_SNAPSHOT_DELETE_SUSPENDED DISK_SNAPSHOT DISK_SNAPSHOT_REVERT DISK_SNAPSHOT_DELETE PROLOG_MIGRATE_UNKNOWN"
    " PROLOG_MIGRATE_UNKNOWN_FAILURE DISK_RESIZE DISK_RESIZE_POWEROFF DISK_RESIZE_UNDEPLOYED HOTPLUG_NIC_POWEROFF"
    " HOTPLUG_RESIZE HOTPLUG_SAVEAS_UNDEPLOYED HOTPLUG_SAVEAS_STOPPED BACKUP BACKUP_POWEROFF"
).split()

WAIT, LEAVE, HUMAN, RESCHED, RESUME, FAILED, SUCCEEDED, RECREATE = (
    "wait", "leave", "human", "resched", "resume", "failed", "succeeded", "recreate",
)  # fmt: skip
OPEN = (WAIT, RESCHED, RESUME, FAILED, SUCCEEDED, RECREATE)
"""What is not over yet; LEAVE and HUMAN are."""

BOOTED = (
    "BOOT", "BOOT_UNKNOWN", "BOOT_POWEROFF", "BOOT_SUSPENDED", "BOOT_STOPPED", "BOOT_UNDEPLOY", "BOOT_MIGRATE",
    "BOOT_FAILURE", "BOOT_MIGRATE_FAILURE", "BOOT_UNDEPLOY_FAILURE", "BOOT_STOPPED_FAILURE", "PROLOG_MIGRATE_UNKNOWN",
    "PROLOG_MIGRATE_UNKNOWN_FAILURE",
)  # fmt: skip
OFF = ("SHUTDOWN", "SHUTDOWN_POWEROFF", "SHUTDOWN_UNDEPLOY", "CLEANUP_RESUBMIT", "CLEANUP_DELETE")
INTERRUPTED = ("MIGRATE", "PROLOG", "BACKUP", "BACKUP_POWEROFF")
INTERRUPTED_BEGIN = ("SAVE_", "HOTPLUG", "DISK_SNAPSHOT", "DISK_RESIZE")
BY_MONITOR = 44  # the action of a machine that nobody powered off: oned did not see it any more
LOCAL = ("ssh", "local")  # transfer drivers whose disks are on the host itself (SHARED = NO in oned.conf)


class Machine:
    """A machine of OpenNebula as oned describes it.

    `host` is the number of the host that it is on by the last record of its history, `since` when it was put there
    (seconds since the epoch), `action` what was done to it last, `driver` how its disks were brought there, `places`
    how many records there are; `message` is what the scheduler said last, `mark` what Backstay noted in it.
    """

    __slots__ = (
        "action", "driver", "host", "lcm", "mark", "message", "name", "number", "places", "resched", "since", "state",
    )  # fmt: skip

    def __init__(self, number: int, name: str, state: int, lcm: int, **more: object) -> None:
        self.number = number
        self.name = name
        self.state = state
        self.lcm = lcm
        given = {"host": -1, "since": 0, "action": 0, "driver": "shared", "places": 1, "resched": False}
        for key, value in (given | {"message": "", "mark": ""} | more).items():
            setattr(self, key, value)

    host: int
    since: int
    action: int
    driver: str
    places: int
    resched: bool
    message: str
    mark: str

    @property
    def called(self) -> str:
        """Its name and number, for the admin."""
        return f"{self.name} ({self.number})"

    @property
    def doing(self) -> str:
        """Its state in OpenNebula's words."""
        if self.state != ACTIVE:
            return OTHER_STATES.get(self.state, f"state {self.state}")
        return LCM[self.lcm] if 0 <= self.lcm < len(LCM) else f"LCM state {self.lcm}"


MARK = "BACKSTAY_RESUME"


def machine(element: Element) -> Machine:
    """Read a VM of one.vm.info or one.vmpool.info."""

    def said(path: str) -> str:
        return (element.findtext(path) or "").strip()

    def number(path: str) -> int:
        text = said(path)
        return int(text) if text.removeprefix("-").isdecimal() else 0

    history = element.findall("HISTORY_RECORDS/HISTORY")
    last: dict[str, str] = {each.tag: (each.text or "").strip() for each in history[-1]} if history else {}
    return Machine(
        number("ID"),
        said("NAME"),
        number("STATE"),
        number("LCM_STATE"),
        host=int(last.get("HID") or -1),
        since=int(last.get("STIME") or 0),
        action=int(last.get("ACTION") or 0),
        driver=last.get("TM_MAD", ""),
        places=len(history),
        resched=number("RESCHED") == 1,
        message=said("USER_TEMPLATE/SCHED_MESSAGE"),
        mark=said(f"USER_TEMPLATE/{MARK}"),
    )


class Step:
    """What is to be done about a machine, and why it is left or has to wait."""

    __slots__ = ("machine", "said", "verb")

    def __init__(self, machine: Machine, verb: str, said: str = "") -> None:
        self.machine = machine
        self.verb = verb
        self.said = said

    def __repr__(self) -> str:
        return f"Step({self.machine.called}: {self.verb} {self.said!r})"


def step(one: Machine, fenced: float) -> Step:
    """Say what is to be done about a machine on a host that is dead since `fenced` (seconds since the epoch)."""
    if one.since > fenced:
        return Step(one, LEAVE, f"{one.called} was put there after the fencing")
    doing = one.doing
    if one.state == POWEROFF:
        # The same history with a human's action means that its user wants it off.
        return _placed(one, RESUME) if one.action == BY_MONITOR else Step(one, LEAVE)
    if one.state != ACTIVE:
        return Step(one, LEAVE)
    if doing == "UNKNOWN":
        return _placed(one, RESCHED)
    if doing == "RUNNING":
        return Step(
            one, WAIT, f"{one.called} is still RUNNING for oned, which has to see that its host is gone"
        )
    if doing in BOOTED:
        return Step(one, SUCCEEDED)
    if doing in OFF:
        return Step(one, SUCCEEDED)
    if doing in INTERRUPTED or doing.startswith(INTERRUPTED_BEGIN):
        return Step(one, FAILED)
    if doing == "PROLOG_FAILURE" and one.places == 1:
        return Step(one, RECREATE)
    return Step(
        one, HUMAN, f"{one.called} is in {doing}, which a human has to end (onevm recover {one.number})"
    )


def _placed(one: Machine, verb: str) -> Step:
    if one.driver in LOCAL:
        said = f"{one.called} has its disks on the dead host (transfer driver {one.driver})"
        return Step(
            one, HUMAN, f"{said}: it comes back with it, or anew by onevm recover --recreate {one.number}"
        )
    if one.resched and one.mark:
        why = f": {one.message}" if one.message else ""
        return Step(one, WAIT, f"{one.called} waits for the scheduler to place it{why}")
    return Step(one, verb)
