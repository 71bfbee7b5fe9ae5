# SPDX-License-Identifier: GPL-2.0-or-later
"""OCF on a real libvirtd: ocf-tester, nobody's rights, an empty environment; kills have a module of their own."""

from __future__ import annotations

import pytest

from backstay.ocf import codes
from tests.lab.test_libvirtd_kills import BUDGET, DOOR, host  # noqa: F401  (a fixture)

TESTER = "/root/ocf-tester"
NOBODY = "setpriv --reuid=nobody --regid=nogroup --clear-groups --"
SOCKET = "/run/libvirt/libvirt-sock"
RECURS = "OCF_RESKEY_CRM_meta_interval=10000"


def call(node, action, environment="", before=""):
    """Exit code, output and complaints of one call with nothing else in the environment."""
    done = node.run(f"{before} env -i {environment} {DOOR} {action}", timeout=2.0 * BUDGET)
    assert done.stdout == ""
    assert done.stderr.count("\n") <= 1
    return done.returncode, done.stderr


@pytest.mark.long
def test_an_empty_environment_is_enough(host):  # noqa: F811
    for action in ("monitor", "start", "start", "reload-agent", "validate-all"):
        assert call(host, action) == (codes.SUCCESS, "")
    assert call(host, "monitor", RECURS) == (codes.SUCCESS, "")
    assert call(host, "dance")[0] == codes.UNIMPLEMENTED
    for _twice in range(2):
        assert call(host, "stop") == (codes.SUCCESS, "")
        assert call(host, "monitor")[0] == codes.NOT_RUNNING


@pytest.mark.long
def test_nobody_gets_no_lie(host):  # noqa: F811
    """Who may ask gets the truth. Who may not knows nothing: degraded, and neither failed nor not running."""
    assert call(host, "monitor", "", NOBODY)[0] == codes.SUCCESS
    host.check(f"chmod o-rw {SOCKET} && ! {NOBODY} test -w {SOCKET}")
    for environment in ("", RECURS):
        code, said = call(host, "monitor", environment, NOBODY)
        assert code == codes.DEGRADED
        assert "Permission denied" in said
    assert call(host, "start", "", NOBODY)[0] == codes.DEGRADED  # it runs, and nobody can do no more about it
    host.check(f"chmod o+rw {SOCKET}")
    assert "twin" in host.check("virsh list --name")


@pytest.mark.long
def test_ocf_tester_objects_to_the_schema_alone(host, schemas):  # noqa: F811
    """Its schema is that of 1.0, and a node has no xmllint to read it with; either is one objection."""
    host.write(TESTER, (schemas / "ocf-tester").read_text())
    done = host.run(f"OCF_ROOT=/usr/lib/ocf sh {TESTER} -n libvirtd {DOOR}", timeout=240)
    objections = [line for line in done.stdout.splitlines() if line.startswith("* rc=")]
    assert len(objections) == 1, done.stdout + done.stderr
    assert "meta-data" in objections[0]
    assert "failed 1 tests" in done.stderr
