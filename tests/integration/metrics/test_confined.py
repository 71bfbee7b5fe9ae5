# SPDX-License-Identifier: GPL-2.0-or-later
"""What backstay-metrics.service leaves its program is enough to see a guest: rights and files, without systemd.

The unit's own command is run with the capabilities that the unit names, no new ones, and everything read-only but what
it may write; on a host with a paused guest of another user, in namespaces. That it writes what root sees under systemd's
whole confinement (system calls, namespaces, address families) is seen in tests/lab/test_metrics.py.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
UNIT = (REPOSITORY / "packaging/systemd/backstay-metrics.service").read_text(encoding="utf-8")
CONFINED = r"""set -e
mount --make-rprivate /
mount -t tmpfs none /run
mount -t tmpfs none /var/lib
mkdir -p /run/libvirt/qemu {writable}
cat >/run/guest <<'END'
import os
os.execv("/usr/bin/python3", ["qemu-system-x86_64", "-I", "-c", "import time; time.sleep(600)", "-name", "guest=web1",
    "-uuid", "11111111-1111-4111-8111-111111111111"])
END
setpriv --reuid=nobody --regid=nogroup --clear-groups /usr/bin/python3 -I /run/guest &
guest=$!
until tr '\0' '\n' </proc/$guest/cmdline | grep -q 1111; do sleep 0.1; done
echo $guest >/run/libvirt/qemu/web1.pid
chown -R nobody /run/libvirt/qemu
chmod -R go= /run/libvirt/qemu
PATH={repository}/bin:$PATH
backstay metrics 2>/dev/null
echo "@"
for each in / /run /var/lib; do mount -o remount,bind,ro $each; done
mount --bind {writable} {writable}
mount -o remount,bind,rw {writable}
! touch /var/lib/other 2>/dev/null
setpriv --bounding-set=-all{capabilities} --inh-caps=-all --no-new-privs {command} 2>/dev/null
cat {written}
kill $guest
"""
GUEST = 'backstay_guest_running{guest="web1",uuid="11111111-1111-4111-8111-111111111111",of="libvirt"} 0'


def setting(name: str) -> str:
    """What the unit says of something, on its one line."""
    (found,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(found)


def seen(capabilities: list[str]) -> tuple[set[str], set[str]]:
    """The samples as root and as the unit would see them, but for the time."""
    command = setting("ExecStart").removeprefix("/usr/bin/")
    script = CONFINED.format(
        repository=REPOSITORY,
        writable=setting("ReadWritePaths"),
        command=command,
        written=command.split()[-1],
        capabilities="".join(f",+{each.removeprefix('CAP_').lower()}" for each in capabilities),
    )
    argv = ["unshare", "--mount", "--ipc", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    done = subprocess.run(
        [*argv, "bash", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    root, unit = (
        {line for line in text.splitlines() if line.startswith("backstay_") and "_timestamp_" not in line}
        for text in done.stdout.split("@\n")
    )
    return root, unit


def test_with_the_rights_of_its_unit_it_sees_what_root_sees():
    root, unit = seen(setting("CapabilityBoundingSet").split())
    assert GUEST in root
    assert unit == root


@pytest.mark.parametrize("left", [[], ["CAP_SYS_PTRACE"]])
def test_with_less_it_would_not(left):
    """So the comparison sees what is missing."""
    root, unit = seen(left)
    assert unit != root
