# SPDX-License-Identifier: GPL-2.0-or-later
"""The Ansible role takes three bare hosts to a loaded description, by ssh; run again it changes nothing.

A lab of its own: hosts with Debian's packages, nothing of Backstay, and no cluster.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from backstay.cloud.parse import parse
from backstay.lab import cluster, configuration, guest, witness
from backstay.lab import lab as the_lab
from backstay.lab.furnish import EXAMPLE, RUNNING_SECONDS, example, stage_of
from backstay.lab.installation import Payload
from backstay.lab.layout import Layout
from backstay.lab.node import Node
from backstay.lab.progress import Progress
from backstay.lab.stage import all_well, wait
from tests.lab import packages
from tests.lab.cloud import tell

pytestmark = pytest.mark.long

NAMES = ("n1", "n2", "n3")
PLAYING = 1500.0
UNDO = f"systemctl stop pacemaker corosync; rm -rf {' '.join(configuration.OF_A_MEMBER)} /var/lib/pacemaker/cib/cib*"


@pytest.fixture
def bare():
    """Three hosts that sshd runs on, and nothing else."""
    layout = Layout.from_environment()
    the_lab.down(layout, Progress())
    the_lab.up(layout, 2, Payload(), Progress(sys.__stderr__), spare=1)
    nodes = {name: Node(layout, name) for name in NAMES}
    for name in ("n1", "n2"):
        nodes[name].check(UNDO, timeout=120)
    yield layout, nodes
    the_lab.down(layout, Progress())


def play(repository, tmp_path, layout, debs):
    """One run of the role; the recap: how many tasks changed something on each host."""
    inventory = "".join(f"{name} ansible_host={layout.node(name).address}\n" for name in NAMES)
    (tmp_path / "inventory").write_text(inventory)
    (tmp_path / "cloud.yaml").write_text(example())
    variables = {
        "backstay_cloud": str(tmp_path / "cloud.yaml"),
        "backstay_deb_directory": str(debs),
        # The nodes have them, and no package source.
        "backstay_host_packages": [],
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(tmp_path / "key"),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_ROLES_PATH": str(repository / "ansible/roles"),
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "SSH_AUTH_SOCK": os.devnull,
    }
    argv = [
        "ansible-playbook",
        "-i",
        tmp_path / "inventory",
        "-e",
        json.dumps(variables),
        repository / "ansible/site.yml",
    ]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=PLAYING, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    recap = dict(re.findall(r"^(n\d)\s+: ok=\d+\s+changed=(\d+)", done.stdout, re.MULTILINE))
    assert set(recap) == set(NAMES), done.stdout
    return {name: int(count) for name, count in recap.items()}


def test_bare_hosts_become_a_cloud_and_again_nothing_changes(bare, repository, tmp_path):
    layout, nodes = bare
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True, timeout=60
    )
    for node in nodes.values():
        node.check("mkdir -p -m 700 /root/.ssh /run/sshd")
        node.write("/root/.ssh/authorized_keys", (tmp_path / "key.pub").read_text(), 0o600)
        node.check("/usr/sbin/sshd")
        node.check("test ! -e /usr/bin/backstay && test ! -e /etc/corosync/authkey")
    cloud = parse(example().encode(), EXAMPLE)
    guest.prepare(layout, cloud.domains)
    witness.start(layout, NAMES)
    debs = packages.backstay(repository, tmp_path / "built", {}).parent

    first = play(repository, tmp_path, layout, debs)
    assert min(first.values()) > 0
    assert wait(stage_of(layout, cloud), all_well, RUNNING_SECONDS, "every guest to speak", tell) == ""
    assert cluster.all_online(NAMES)(cluster.ask(layout)) == ""
    assert json.loads(nodes["n2"].run("backstay fence check --output json", timeout=300).stdout)["ready"]
    assert nodes["n3"].check("systemctl is-enabled backstay-fence.timer").strip() == "enabled"

    again = play(repository, tmp_path, layout, debs)
    assert again == dict.fromkeys(NAMES, 0)
