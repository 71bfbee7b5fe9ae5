# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a machine of OpenNebula whose host died: every state that there is."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from backstay.agents import opennebula_states as states
from backstay.agents.opennebula_states import (
    ACTIVE,
    FAILED,
    HUMAN,
    LCM,
    LEAVE,
    OPEN,
    POWEROFF,
    RECREATE,
    RESCHED,
    RESUME,
    SUCCEEDED,
    WAIT,
    Machine,
    machine,
    step,
)

FENCED = 1000.0
TABLE = {
    WAIT: "RUNNING",
    RESCHED: "UNKNOWN",
    SUCCEEDED: """BOOT BOOT_UNKNOWN BOOT_POWEROFF BOOT_SUSPENDED BOOT_STOPPED BOOT_UNDEPLOY BOOT_MIGRATE BOOT_FAILURE
        BOOT_MIGRATE_FAILURE BOOT_UNDEPLOY_FAILURE BOOT_STOPPED_FAILURE PROLOG_MIGRATE_UNKNOWN
        PROLOG_MIGRATE_UNKNOWN_FAILURE SHUTDOWN SHUTDOWN_POWEROFF SHUTDOWN_UNDEPLOY CLEANUP_RESUBMIT CLEANUP_DELETE""",
    FAILED: """MIGRATE PROLOG SAVE_STOP SAVE_SUSPEND SAVE_MIGRATE HOTPLUG HOTPLUG_SNAPSHOT HOTPLUG_NIC HOTPLUG_SAVEAS
        HOTPLUG_SAVEAS_POWEROFF HOTPLUG_SAVEAS_SUSPENDED HOTPLUG_PROLOG_POWEROFF HOTPLUG_EPILOG_POWEROFF
        HOTPLUG_NIC_POWEROFF HOTPLUG_RESIZE HOTPLUG_SAVEAS_UNDEPLOYED HOTPLUG_SAVEAS_STOPPED DISK_SNAPSHOT_POWEROFF
        DISK_SNAPSHOT_REVERT_POWEROFF DISK_SNAPSHOT_DELETE_POWEROFF DISK_SNAPSHOT_SUSPENDED
        DISK_SNAPSHOT_REVERT_SUSPENDED DISK_SNAPSHOT_DELETE_SUSPENDED DISK_SNAPSHOT DISK_SNAPSHOT_REVERT
        DISK_SNAPSHOT_DELETE DISK_RESIZE DISK_RESIZE_POWEROFF DISK_RESIZE_UNDEPLOYED BACKUP BACKUP_POWEROFF""",
    RECREATE: "PROLOG_FAILURE",
}
VERBS = {name: verb for verb, names in TABLE.items() for name in names.split()}


def active(name: str, **more: object) -> Machine:
    return Machine(7, "web", ACTIVE, LCM.index(name), **{"since": 900, "host": 1, **more})


@pytest.mark.parametrize("name", LCM)
def test_each_life_cycle_state(name: str) -> None:
    found = step(active(name), FENCED)
    assert found.verb == VERBS.get(name, HUMAN)
    assert bool(found.said) == (found.verb in (WAIT, HUMAN))
    assert step(active(name, since=1001), FENCED).verb == LEAVE


def test_the_numbers_are_open_nebulas() -> None:
    found = {
        name: LCM.index(name) for name in ("RUNNING", "UNKNOWN", "BOOT_FAILURE", "PROLOG_MIGRATE_UNKNOWN")
    }
    assert found == {"RUNNING": 3, "UNKNOWN": 16, "BOOT_FAILURE": 36, "PROLOG_MIGRATE_UNKNOWN": 60}


@pytest.mark.parametrize("state", [1, 2, 4, 5, 6, 9, 10, 42])
def test_what_does_not_run_is_left(state: int) -> None:
    assert step(Machine(7, "web", state, 0, since=900), FENCED).verb == LEAVE


@pytest.mark.parametrize(
    ("action", "verb"), [(states.BY_MONITOR, RESUME), (19, LEAVE), (20, LEAVE), (0, LEAVE)]
)
def test_off_by_its_user_or_for_oned_only(action: int, verb: str) -> None:
    assert step(Machine(7, "web", POWEROFF, 0, since=900, action=action), FENCED).verb == verb


@pytest.mark.parametrize("driver", states.LOCAL)
def test_disks_on_the_dead_host_are_not_given_up(driver: str) -> None:
    found = step(active("UNKNOWN", driver=driver), FENCED)
    assert found.verb == HUMAN
    assert "comes back with it" in found.said
    assert found.verb not in OPEN


def test_one_that_no_host_takes_says_so() -> None:
    found = step(active("UNKNOWN", resched=True, mark="n1 5", message="no capacity"), FENCED)
    assert (found.verb, found.said) == (
        WAIT,
        "web (7) waits for the scheduler to place it: no capacity",
    )


def test_what_ran_before_is_not_made_anew() -> None:
    assert step(active("PROLOG_FAILURE", places=2), FENCED).verb == HUMAN


def test_a_machine_is_read() -> None:
    text = """<VM><ID>7</ID><NAME>web</NAME><STATE>3</STATE><LCM_STATE>16</LCM_STATE><RESCHED>1</RESCHED>
    <USER_TEMPLATE><SCHED_MESSAGE>full</SCHED_MESSAGE><BACKSTAY_RESUME>n1 5</BACKSTAY_RESUME></USER_TEMPLATE>
    <HISTORY_RECORDS><HISTORY><HID>0</HID><STIME>1</STIME><ACTION>2</ACTION><TM_MAD>ssh</TM_MAD></HISTORY>
    <HISTORY><HID>4</HID><STIME>9</STIME><ACTION>44</ACTION><TM_MAD>qcow2</TM_MAD></HISTORY></HISTORY_RECORDS></VM>"""
    one = machine(ET.fromstring(text))
    assert (one.called, one.doing, one.host, one.since, one.action) == ("web (7)", "UNKNOWN", 4, 9, 44)
    assert (one.driver, one.places, one.resched, one.message, one.mark) == ("qcow2", 2, True, "full", "n1 5")
    assert machine(ET.fromstring("<VM><ID>1</ID></VM>")).doing == "state 0"
