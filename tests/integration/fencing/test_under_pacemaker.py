# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_ipmi run by Pacemaker's own fencer: where the password comes from, and what becomes of an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import backstay

FENCER = "/usr/lib/pacemaker/pacemaker-fenced"
SPACES = ("--mount", "--ipc", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")


@pytest.fixture(scope="module")
def found(need, repository, tmp_path_factory) -> dict:
    """What came of each off; the devices' names say what was special about it."""
    need("unshare", "stonith_admin", "ipmitool", FENCER)
    driver, agent = Path(__file__).with_name("stand_alone.py"), repository / "fencing" / "fence_backstay_ipmi"
    argv = ["unshare", *SPACES, sys.executable, driver, agent, tmp_path_factory.mktemp("fencer")]
    environment = {**os.environ, "PYTHONPATH": str(Path(backstay.__file__).parent.parent)}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("device", ["kept", "script", "file"])
def test_the_password_from_a_cib_secret_a_script_and_a_file(found, device):
    assert (found[device]["code"], found[device]["power"]) == (0, "off"), found[device]


def test_the_password_is_nowhere_to_be_seen(found):
    assert found["calls"], "the watcher saw no call of ipmitool: it proves nothing"
    assert found["seen"] == 0
    assert found["password"] not in found["log"]


def test_a_check_of_fencing_reads_a_secret_as_pacemaker_does(found):
    assert found["kept"]["ours"] == found["password"]
    for device, why in (("missing", "is not on this host"), ("forged", "does not fit its checksum")):
        assert "Failed to get CIB secrets" in found[device]["said"]
        assert found[device]["commands"] == []
        assert why in found[device]["ours"]


def test_a_refusal_reaches_the_log_with_its_reason(found):
    assert (found["refused"]["code"], found["refused"]["power"]) == (1, "on")
    assert "may not power off (IPMI completion code 0xd4: insufficient privilege)" in found["refused"]["log"]
    assert found["refused"]["commands"] == ["off", "off"], "Pacemaker tries a failed action once more"


def test_a_bmc_that_does_nothing_is_no_success(found):
    assert (found["lying"]["code"], found["lying"]["power"]) == (1, "on")
    assert "timed out waiting for lying to be powered off" in found["lying"]["log"]


def test_pacemaker_takes_minutes_of_a_limit_for_seconds(found):
    """What `backstay fence check` warns of; when this fails, a newer Pacemaker reads units, and the finding may go."""
    assert "did not complete within 3s" in found["minutes"]["said"]
