# SPDX-License-Identifier: GPL-2.0-or-later
"""A role on exactly one host: a small HTTP service whose answer says that it works, audited by what the role writes."""

from __future__ import annotations

import pytest

from backstay.agents.frontend_lease import parse
from backstay.host.clock import Deadline, until
from backstay.lab import cluster
from tests.lab.tenures import never_on_two
from tests.lab.test_templates import ADDRESS, HOSTS, addressed, by_cibadmin, where

LEASE = "/srv/vm/role.lease"
ROLE = "frontend-role"
PID = "systemctl show --property=MainPID --value page"
RECORD = f"/var/lib/backstay/role-{ROLE}"
UNIT = f"""[Service]
ExecStart=/usr/bin/python3 -m http.server --bind {ADDRESS} --directory /srv/page 8080
KillMode=process
"""
PROFILE = f"""units = ["page"]
[[probes]]
name = "page"
http = "http://{ADDRESS}:8080/page.html"
status = [200]
text = "this is the page"
within = "3s"
[[probes]]
name = "extra"
tcp = "{ADDRESS}:8081"
required = false
[recover]
commands = [["/usr/bin/logger", "recovers {{host}}"]]
"""


@pytest.fixture
def admin(lab):
    """A host with an admin on it; every host has the service and its profile, and fences the others."""
    for node in lab.nodes:
        node.write("/srv/page/page.html", "this is the page")
        node.write("/etc/systemd/system/page.service", UNIT)
        node.write("/etc/backstay/profiles/page.toml", PROFILE)
        node.check("systemctl daemon-reload")
    yield lab.node("n1")
    where(
        lab,
        f"rm -rf /srv/page /etc/systemd/system/page.service /etc/backstay/profiles {LEASE} {RECORD}; systemctl daemon-reload",
    )


def serving(lab):
    """The hosts on which a process of the service is, whatever systemd calls the unit."""
    return where(lab, f"pgrep -f '[h]ttp.server --bind {ADDRESS}' >/dev/null")


def on_one(lab, besides=""):
    """The one host that has the address and the service, other than `besides`, once the role is up there."""

    def look():
        here = serving(lab)
        return here[0] if len(here) == 1 and here == addressed(lab) and here != [besides] else None

    return until(look, Deadline(150), what="the role on one host")


def said(lab, host):
    """What the monitor of the role came to there last."""
    return lab.node(host).run("attrd_updater --name backstay-frontend-frontend-role --query").stdout


@pytest.mark.long
def test_a_role_is_on_one_host_through_everything(lab, admin):
    for host in HOSTS:
        by_cibadmin(admin, "fencing", host=host, address=f"bmc-{host}", username="fencer",
                    password_file="/etc/backstay/bmc.password")  # fmt: skip
    by_cibadmin(admin, "properties")
    by_cibadmin(
        admin, "frontend-generic", profile="page", lease=LEASE, address=ADDRESS, prefix="24", patience="5s"
    )
    host = on_one(lab)
    # The optional probe asks a port where nobody is.
    until(lambda: "degraded" in said(lab, host) or None, Deadline(60), what="the role to be degraded")

    lab.node(host).check("systemd-run --collect --unit=extra python3 -m http.server --bind 0.0.0.0 8081")
    until(lambda: '"up"' in said(lab, host) or None, Deadline(60), what="the role to be up")

    # A service that hangs: active for systemd, and no answer.
    # What is degraded is a failure for crm_mon as well, so it is the process itself that has to be gone.
    hung = lab.node(host).check(PID).split()
    lab.node(host).check("systemctl kill --signal=STOP page")
    until(
        lambda: lab.node(host).run(PID).stdout.split() != hung or None,
        Deadline(120),
        what="the hung service to be ended",
    )
    host = on_one(lab)

    admin.check(f"crm_resource --resource frontend --ban --node {host}", timeout=60)
    moved = on_one(lab, besides=host)
    admin.check(f"crm_resource --resource frontend --clear --node {host}", timeout=60)

    lab.cut(moved)
    after = on_one(lab, besides=moved)
    lab.wait_for(cluster.all_online(HOSTS), 150, f"{moved} to come back")
    assert serving(lab) == [after]
    assert {each.host for each in never_on_two(lab, ROLE, LEASE)} >= {host, moved, after}
    held = parse(admin.check(f"cat {LEASE}"))[-1]
    assert (held.host, held.left) == (after, 0.0)

    admin.check(
        "crm_resource --resource frontend --meta --set-parameter target-role --parameter-value Stopped"
    )
    until(lambda: serving(lab) == [] or None, Deadline(60), what="the role to stop")
    lab.wait_for(
        lambda s: "" if not s.running_on("frontend-role") else "not yet", 60, "Pacemaker to have seen it"
    )
    assert not lab.ask().unclean()
    assert parse(admin.check(f"cat {LEASE}"))[-1].left
