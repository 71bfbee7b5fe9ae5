# SPDX-License-Identifier: GPL-2.0-or-later
"""guard=lock and a host that is really fenced: its lock goes away a while after it, and the start waits for that."""

from __future__ import annotations

import hashlib
import shlex

import pytest

from backstay.lab.performance import perform
from backstay.lab.stage import all_well, everybody_speaks, wait
from backstay.lab.stories import STORIES
from tests.lab.cloud import tell

PATIENCE = 120.0
GUEST = "web1"
DOMAIN = f"/srv/vm/domains/{GUEST}.xml"
DISK = f"/srv/vm/disks/{GUEST}.raw"
SPACE = "/srv/vm/locks"
HELD = 20.0
"""Seconds for which a server keeps the lock of a client that is gone; those of NFS take 45 to 90."""

KEEPER = """
import fcntl, time
with open({lock!r}, "r+b") as lock, open({told!r}, "w") as told:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    print(time.monotonic(), file=told, flush=True)
    time.sleep({held})
    print(time.monotonic(), file=told, flush=True)
"""
CONF = "/etc/libvirt/qemu.conf"
ON = f"""
mkdir -p {SPACE}
echo 'file_lockspace_dir = "{SPACE}"' > /etc/libvirt/qemu-lockd.conf
grep -q '^lock_manager' {CONF} || echo 'lock_manager = "lockd"' >> {CONF}
systemctl start virtlockd.socket
systemctl restart libvirtd.service
"""
OFF = (
    f"sed -i /^lock_manager/d {CONF}; rm -f /etc/libvirt/qemu-lockd.conf; systemctl restart libvirtd.service"
)


def reborn(cloud, change):
    """Stop the guest, change something, and start it again."""
    role = f"crm_resource --resource={GUEST} --meta --set-parameter=target-role --parameter-value=Stopped"
    cloud.on_any(role)
    cloud.rest()
    change()
    cloud.on_any(f"crm_resource --resource={GUEST} --meta --delete-parameter=target-role")
    cloud.rest()
    assert wait(cloud.stage, everybody_speaks, PATIENCE, "the guest to run again", tell) == ""
    assert wait(cloud.stage, all_well, PATIENCE, "the cloud to be well", tell) == ""


@pytest.fixture
def locking(cloud):
    """The cloud with virtlockd on shared storage, and a guest that starts with a lock or not at all."""
    kept = cloud.on_any(f"cat {DOMAIN}")

    def on():
        for host in cloud.stage.hosts():
            cloud.node(host).check(ON, timeout=60)
        cloud.on_any(f"sed -i /shareable/d {DOMAIN}")  # or its lock would be shared as well
        cloud.on_any(f"crm_resource --resource={GUEST} --set-parameter=guard --parameter-value=lock")

    def off():
        cloud.on_any(f"crm_resource --resource={GUEST} --delete-parameter=guard")
        cloud.on_any(f"cat > {DOMAIN} <<'END'\n{kept}\nEND")
        for host in cloud.stage.hosts():
            cloud.node(host).check(OFF, timeout=60)

    reborn(cloud, on)
    yield cloud
    reborn(cloud, off)


@pytest.mark.long
def test_a_start_waits_for_the_lock_of_a_host_that_was_fenced(locking):
    cloud = locking
    host = cloud.stage.places()[GUEST]
    keeper = next(each for each in cloud.stage.hosts() if each != host)
    lock, told = f"{SPACE}/{hashlib.sha256(DISK.encode()).hexdigest()}", f"{SPACE}/told"
    code = KEEPER.format(lock=lock, told=told, held=HELD)
    cloud.node(keeper).check(
        f"systemd-run --quiet --collect --unit=lock-keeper /usr/bin/python3 -c {shlex.quote(code)}"
    )
    assert cloud.node(keeper).check(f"cat {told}") == "", (
        "the guest itself has the lock until its host is off"
    )

    act = perform(cloud.stage, next(story for story in STORIES if story.name == "power"), tell, host)
    judged = cloud.judge_act(act)
    assert (act.problem, judged.findings) == ("", [])
    taken, given = map(float, cloud.node(keeper).check(f"cat {told}").split())
    starts = [
        deed for deed in judged.found.deeds if deed.at >= act.begin and getattr(deed, "resource", "") == GUEST
    ]
    assert [deed.operation for deed in starts] == ["start"], "one start, which took its time"
    fenced = [deed.at for deed in judged.found.deeds if getattr(deed, "target", "") == host]
    assert taken < min(at for at in fenced if at >= act.begin) + 1 < given < starts[0].at
    there = cloud.node(starts[0].host)
    said = there.check("journalctl --output=cat --grep='the start tries again'")
    assert f"the disks of {GUEST}" in said
    assert "is locked" in said
