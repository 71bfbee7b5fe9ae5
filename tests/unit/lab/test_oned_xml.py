# SPDX-License-Identifier: GPL-2.0-or-later
"""What the stand-in for oned says has the shape of OpenNebula's published schemas, in which the order counts.

The lists are those of user.xsd, vm_pool.xsd and vm_pool_extended.xsd of OpenNebula 7.4, which took all the answers.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from backstay.lab import oned_xml
from backstay.lab.oned import Files
from backstay.lab.oned_model import Model

USER = (
    "ID GID GROUPS GNAME NAME PASSWORD AUTH_DRIVER ENABLED TEMPLATE DATASTORE_QUOTA NETWORK_QUOTA VM_QUOTA IMAGE_QUOTA"
    " DEFAULT_USER_QUOTAS"
)
SHORT = (
    "ID UID GID UNAME GNAME NAME LAST_POLL STATE LCM_STATE RESCHED STIME ETIME DEPLOY_ID TEMPLATE MONITORING USER_TEMPLATE"
    " HISTORY_RECORDS"
)
SHORT_PLACE = "OID SEQ HOSTNAME HID CID DS_ID VM_MAD TM_MAD ACTION"


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A machine that was on n1 and is on n2, with something noted in it."""
    made = Model(Files(tmp_path), ["n1", "n2"])
    vm = made.place("web", "n1")
    vm.places += made.place("other", "n2").places
    made.vms.pop()
    vm.user.update({"BACKSTAY_RESUME": "n1 5", "SCHED_MESSAGE": "no host"})
    return made


def parts(element: ET.Element) -> list[str]:
    return [each.tag for each in element]


def test_a_user_has_all_that_a_user_has() -> None:
    assert parts(ET.fromstring(oned_xml.user())) == USER.split()


def test_a_pool_tells_machines_in_short_and_the_extended_one_all_of_them(model: Model) -> None:
    (short,) = ET.fromstring(oned_xml.vms(model, -1))
    assert parts(short) == SHORT.split()
    assert [parts(each) for each in short.iterfind("HISTORY_RECORDS/HISTORY")] == [SHORT_PLACE.split()]
    assert short.findtext("HISTORY_RECORDS/HISTORY/HOSTNAME") == "n2"
    assert parts(short.find("USER_TEMPLATE") or ET.Element("none")) == ["SCHED_MESSAGE"]
    (whole,) = ET.fromstring(oned_xml.vms_extended(model, -1))
    assert whole.findtext("USER_TEMPLATE/BACKSTAY_RESUME") == "n1 5"
    assert ET.tostring(whole, encoding="unicode") == oned_xml.vm(model, model.vms[0])
