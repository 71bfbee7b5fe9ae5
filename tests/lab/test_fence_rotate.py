# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence rotate` on a cluster: nothing changes before every host has proven the new account."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lxml import etree

from backstay.lab import cluster, order
from backstay.lab.bmc import journal
from backstay.lab.bmc.node import faults
from tests.lab.test_fence_check import devices

NODES = ("n1", "n2", "n3")
USER, FILE = "fencer2", "/etc/backstay/bmc-2.password"
PASSWORD = "fencepass2"
TIME = 300.0


@pytest.fixture
def fenced(lab, repository: Path):
    """The lab with the fence devices of the three-hosts example, and the new password's file on every host."""
    for name, section in devices(repository / "examples" / "three-hosts.yaml").items():
        cluster.replace(lab.node("n1"), section, name)
    lab.wait_for(cluster.running([f"fence-{name}" for name in NODES]), 60, "the fence devices")
    for node in lab.nodes:
        node.write(FILE, f"{PASSWORD}\n", 0o600)
    yield lab
    for node in lab.nodes:
        node.run(f"rm -f {FILE} /var/lib/backstay/fence-identities")
    order.restore(lab.layout, NODES, lab.wanted)


def rotate(lab, *words, proving=NODES[1:]):
    """Run it on n1 while other hosts run what their timers would; the exit code, data, and other words."""
    command = [
        "backstay",
        "fence",
        "rotate",
        "--user",
        USER,
        "--file",
        FILE,
        "--yes",
        "--output",
        "json",
        *words,
    ]

    def run():
        return lab.node("n1").run(command, timeout=TIME)

    def prove(name):
        lab.node(name).run(
            "for i in $(seq 100); do attrd_updater --private --name backstay-fence-candidate --query --all "
            "| grep -q fencer2 && break; sleep 0.2; done; backstay fence check --publish",
            timeout=TIME,
        )

    with ThreadPoolExecutor(4) as pool:
        asked = pool.submit(run)
        list(pool.map(prove, proving))
        done = asked.result()
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def accounts(lab):
    """The account of each device in the live CIB."""
    cib = etree.fromstring(lab.node("n1").check("cibadmin --query").encode())
    return {
        (pair.getparent().getparent().get("id"), pair.get("name")): pair.get("value")
        for pair in cib.iterfind(".//primitive[@class='stonith']/instance_attributes/nvpair")
        if pair.get("name") in ("username", "password", "password_file", "password_script")
    }


def logins(lab):
    """Everything that a BMC switched."""
    events = [event for name in NODES for event in journal.read(lab.layout.node(name).bmc / "events.jsonl")]
    return [event for event in events if event["event"] == "chassis-control"]


@pytest.mark.parametrize(
    ("damage", "word"),
    [(f"echo mistyped >{FILE}", "password"), (f"rm {FILE}", "settings")],
    ids=["mistyped", "missing"],
)
def test_a_host_that_cannot_log_in_changes_nothing(fenced, damage, word) -> None:
    before, sent = accounts(fenced), logins(fenced)
    fenced.node("n3").check(damage)
    code, _, said = rotate(fenced)
    assert code == 1
    assert f"from n3: {word}" in said
    assert (accounts(fenced), logins(fenced)) == (before, sent)


@pytest.mark.long
def test_the_cluster_changes_over_when_every_host_has_proven_it(fenced) -> None:
    lab, before, sent = fenced, accounts(fenced), logins(fenced)

    # A file that everybody can read, and one host that never says anything.
    lab.node("n1").check(f"chmod 0644 {FILE}")
    code, _, said = rotate(lab, proving=())
    assert (code, "can be read by others than root" in said) == (4, True)
    lab.node("n1").check(f"chmod 0600 {FILE}")
    code, _, said = rotate(lab, "--wait", "90", proving=("n2",))
    assert (code, "no proof from n3" in said) == (1, True)
    assert accounts(lab) == before

    code, told, said = rotate(lab)
    assert (code, told["done"]) == (0, True), said
    changed = accounts(lab)
    assert set(changed.values()) == {USER, FILE}
    assert changed.keys() == before.keys()
    assert "fencer2" not in lab.node("n1").check(
        "attrd_updater --private -n backstay-fence-candidate -Q -A; true"
    )
    lab.wait_for(cluster.running([f"fence-{name}" for name in NODES]), 60, "the fence devices")

    # The old account is worth nothing to the cluster any more, and the old one still opens the BMC.
    code, _, said = rotate(lab, proving=())
    assert (code, "a BMC has one password for an account" in said) == (4, True)
    old = "fence_backstay_ipmi --ip 10.77.0.202 --username fencer --password-file /etc/backstay/bmc.password -o status"
    assert lab.node("n1").run(old).ok
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(
            lambda n: lab.node(n).run("backstay fence check --publish --output json", timeout=TIME), NODES
        )
    assert [{cell["state"] for cell in json.loads(done.stdout)["cells"]} for done in found] == [{"ready"}] * 3
    assert logins(lab) == sent


SECRETS = "/var/lib/pacemaker/lrm/secrets/fence-n1"
PRINTS = "/etc/backstay/print-password"


@pytest.fixture
def differently(fenced):
    """Devices that have the old password as a CIB secret (n1), in the CIB (n2) and from a script (n3)."""
    old = fenced.node("n1").check("cat /etc/backstay/bmc.password").strip()
    for node in fenced.nodes:
        node.check(f"mkdir -p {SECRETS}")
        node.write(f"{SECRETS}/password", old, 0o600)
        node.write(f"{SECRETS}/password.sign", hashlib.md5(old.encode()).hexdigest(), 0o600)
        node.write(PRINTS, "#!/bin/sh\ncat /etc/backstay/bmc.password\n", 0o700)
    ways = {"n1": ("password", "lrm://"), "n2": ("password", old), "n3": ("password_script", PRINTS)}
    for name, (way, value) in ways.items():
        device = f"crm_resource --resource fence-{name}"
        fenced.node("n1").check(f"{device} --set-parameter {way} --parameter-value {value}")
        fenced.node("n1").check(f"{device} --delete-parameter password_file")
    fenced.wait_for(cluster.running([f"fence-{name}" for name in NODES]), 60, "the fence devices")
    yield fenced
    for node in fenced.nodes:
        node.run(f"rm -rf {SECRETS} {PRINTS}")


@pytest.mark.long
def test_wherever_a_device_has_its_password_from_it_changes_over(differently) -> None:
    lab = differently
    code, told, said = rotate(lab)
    assert (code, told["done"], told["secrets"]) == (0, True, ["fence-n1 password"]), said
    assert accounts(lab) == {(f"fence-{n}", name): value for n in NODES for name, value in
                             (("username", USER), ("password_file", FILE))}  # fmt: skip
    lab.wait_for(cluster.running([f"fence-{name}" for name in NODES]), 60, "the fence devices")
    done = lab.node("n2").run("backstay fence check --output json", timeout=TIME)
    assert {cell["state"] for cell in json.loads(done.stdout)["cells"] if cell["from"] == "n2"} == {"ready"}


@pytest.mark.long
def test_an_account_that_stops_working_is_changed_back(fenced) -> None:
    """Between the proof and the change somebody resets a BMC's passwords: the cluster returns to the old account."""
    lab, before = fenced, accounts(fenced)
    node = lab.node("n1")
    # It is asked four times about each host: the proof of three hosts, then the look after the change.
    node.check("mv /usr/sbin/cibadmin /usr/sbin/cibadmin.real")
    node.write("/usr/sbin/cibadmin", '#!/bin/bash\ncase "$*" in *--patch*) touch /root/changing; sleep 3;; esac\n'
               'exec /usr/sbin/cibadmin.real "$@"\n', 0o755)  # fmt: skip
    try:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(rotate, lab)
            node.check(
                "for i in $(seq 600); do test -e /root/changing && break; sleep 0.2; done", timeout=TIME
            )
            faults(lab.layout, "n2").set("password", "another")
            code, _, said = running.result()
    finally:
        node.run("mv /usr/sbin/cibadmin.real /usr/sbin/cibadmin; rm -f /root/changing")
    assert code == 1
    assert "changed back to the old account: fence-n2 for n2" in said
    assert accounts(lab) == before
