# SPDX-License-Identifier: GPL-2.0-or-later
"""What the alert agent says about each event that Pacemaker has, in words that an admin acts on."""

from __future__ import annotations

import pytest

from backstay.alerts import attributes
from backstay.alerts.event import Event, Fencing, read
from backstay.alerts.wording import Weight, message

OLD = "Operation reboot of n3 by n1 for pacemaker-controld.1@n2: OK (ref=0a1b)"
NEW = "Operation 'off' targeting n3 by a human for stonith_admin.7@n1: OK (complete)"


def event(**values: str) -> Event:
    """An event as Pacemaker writes one into the environment."""
    found = read({f"CRM_alert_{name}": value for name, value in values.items()})
    assert found is not None
    return found


def fenced(desc: str, rc: int = 0) -> Event:
    return event(kind="fencing", node="n3", desc=desc, task="st_notify_fence", rc=str(rc))


def acted(task: str, rc: int, target: int = 0, **more: str) -> Event:
    given = {"status": "0" if rc == target else "4", **more}
    return event(
        kind="resource", rsc="web1", node="n1", task=task, rc=str(rc), target_rc=str(target), **given
    )


@pytest.mark.parametrize(
    ("seen", "weight", "words"),
    [
        (event(kind="node", node="n3", desc="member"), Weight.note, "host n3 is a member"),
        (event(kind="node", node="n3", desc="lost"), Weight.warning, "by hand before it is fenced"),
        (fenced(OLD), Weight.warning, "host n3 was fenced by n1 (reboot)"),
        (fenced(NEW), Weight.warning, "somebody has confirmed that host n3 is off; nothing has switched it"),
        (fenced(OLD.replace("reboot", "on")), Weight.note, "host n3 was switched on"),
        (fenced(OLD.replace("OK", "No such device"), -19), Weight.alarm, "stonith_admin --confirm n3"),
        (acted("start", 0), Weight.routine, "web1: start on n1 ended as expected"),
        (acted("monitor", 7, 7), Weight.routine, "as expected"),
        (acted("monitor", 1, status="1", desc="Cancelled"), Weight.routine, "as expected"),
        (acted("monitor", 190), Weight.warning, "web1 runs on n1, but not well"),
        (acted("monitor", 191, 8), Weight.warning, "nothing is restarted for it"),
        (acted("monitor", 7), Weight.warning, "is not running on n1 any more"),
        (acted("monitor", 0, 7), Weight.note, "runs on n1 already"),
        (acted("stop", 1), Weight.alarm, "could not be stopped on n1"),
        (acted("start", 1, desc="Timed Out"), Weight.warning, "start failed on n1: Timed Out (1)"),
        (acted("migrate_to", 1), Weight.warning, "crm_resource --cleanup --resource web1"),
        (event(kind="new"), Weight.note, "an event of the kind new"),
    ],
)
def test_each_event_has_its_weight_and_its_words(seen: Event, weight: Weight, words: str) -> None:
    said = message(seen)
    assert said.weight is weight, said
    assert words in said.text
    assert said.todo or weight in (Weight.note, Weight.routine)
    assert not said.what.endswith(".")


def test_a_fencing_is_taken_apart_in_both_forms() -> None:
    assert fenced(OLD).fencing == Fencing("reboot", "n1", "OK")
    assert fenced(NEW).fencing == Fencing("off", "a human", "OK (complete)")
    assert fenced("something else").fencing == Fencing("", "", "something else")


@pytest.mark.parametrize(
    ("name", "value", "weight", "words"),
    [
        ("backstay-fencing", "ready", Weight.note, "readiness of fencing on host n1: ready"),
        ("backstay-fencing", "not-ready:fence-n3", Weight.alarm, "backstay fence check"),
        ("backstay-agents", "broken:domain", Weight.alarm, "backstay agents check"),
        ("backstay-libvirtd", "degraded:hung", Weight.warning, "its guests run on"),
        ("backstay-libvirtd", "broken:hung", Weight.alarm, "libvirtd on host n1: broken:hung"),
        ("backstay-libvirtd", "healthy", Weight.note, "healthy"),
        ("backstay-libvirtd", "", Weight.note, "nothing to report any more"),
        ("backstay-strays", "web1 (x) runs here and on n2", Weight.alarm, "of a guest that runs twice"),
        ("backstay-strays", "", Weight.note, "nothing to report"),
        ("backstay-datastore-vmstore-check", "degraded:hung", Weight.warning, "datastore vmstore on host n1"),
        ("backstay-datastore-vmstore", "healthy:soft", Weight.note, "healthy:soft"),
        ("backstay-memory-left", "12", Weight.routine, "is 12 now"),
        ("fail-count-web1", "", Weight.routine, "is gone"),
    ],
)
def test_each_attribute_has_its_weight_and_its_words(
    name: str, value: str, weight: Weight, words: str
) -> None:
    said = message(event(kind="attribute", node="n1", attribute_name=name, attribute_value=value))
    assert (said.weight, words in said.text) == (weight, True), said


def test_every_public_attribute_of_the_agents_is_known() -> None:
    from backstay.cli import announcing, fence_announcing
    from backstay.host import datastore, drbd_host, frontend, libvirtd

    public = {
        announcing.ATTRIBUTE,
        fence_announcing.ATTRIBUTE,
        libvirtd.ATTRIBUTE,
        libvirtd.STRAYS,
        datastore.ATTRIBUTE,
        drbd_host.ATTRIBUTE,
        frontend.ATTRIBUTE,
    }
    assert {each.name for each in attributes.OURS} == public


def test_nothing_in_the_environment_is_no_event_and_hostile_words_stay_words() -> None:
    assert read({}) is None
    seen = event(kind="node", node="n1\nBcc: x@y", desc="lost\r\n", rc="9" * 40, timestamp_epoch="1700000000")
    assert (seen.node, seen.desc, seen.rc, seen.time) == ("n1 Bcc: x@y", "lost", 0, "2023-11-14T22:13:20Z")
