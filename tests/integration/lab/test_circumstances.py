# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab takes no address and no port that the machine itself uses, seen in a network namespace of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = """
from pathlib import Path
from backstay.lab import circumstances
from backstay.lab.layout import Layout
circumstances._addresses(Layout(Path("/nonexistent"), Path("/nonexistent")))
"""
CARD = "ip link add card type bridge && ip link set card up"
ROUTED = "ip addr add 192.0.2.1/24 dev card && ip route add 10.0.0.0/8 via 192.0.2.9 && ip route add default dev card"


@pytest.mark.parametrize(
    ("network", "in_the_way"),
    [
        ("ip addr add 10.77.0.9/24 dev card", True),
        ("ip addr add 10.77.5.3/16 dev card", True),
        ("ip addr add 10.9.9.9/8 dev card", True),
        ("ip addr add 192.0.2.1/24 dev card && ip route add 10.77.0.128/25 via 192.0.2.9", True),
        (ROUTED, False),
        ("ip addr add 10.78.0.1/16 dev card", False),
    ],
)
def test_a_network_that_the_machine_is_in(repository, network, in_the_way):
    script = f'{CARD} && {network} && PYTHONPATH="$1" exec "$2" -c "$3"'
    argv = ["unshare", "--net", "/bin/sh", "-ec", script, "sh", str(repository / "lib"), sys.executable, LOOK]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0) == in_the_way, done.stderr
    assert ("10.77.0.0/24, which the lab needs, are in use here" in done.stderr) == in_the_way


PORT = """
import socket
from pathlib import Path
from backstay.lab import circumstances
from backstay.lab.layout import Layout
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
    circumstances._ports(Layout(Path("/nonexistent"), Path("/nonexistent")))
    other.bind(("127.0.0.1", 623))
    circumstances._ports(Layout(Path("/nonexistent"), Path("/nonexistent")))
"""


def test_a_port_that_somebody_else_has(repository):
    script = 'ip link set lo up && PYTHONPATH="$1" exec "$2" -c "$3"'
    argv = ["unshare", "--net", "/bin/sh", "-ec", script, "sh", str(repository / "lib"), sys.executable, PORT]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert "UDP port 623, where the lab's BMCs answer, is in use" in done.stderr
