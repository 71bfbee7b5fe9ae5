# SPDX-License-Identifier: GPL-2.0-or-later
"""Pacemaker's own fencer, alone in namespaces, with our agent installed: run inside them, tells what came of each off.

    unshare --mount --ipc --net --pid --fork --mount-proc python stand_alone.py AGENT DIRECTORY

It has a loopback, a /run, a /var/lib/pacemaker and a log of its own, so nothing of the machine hears of it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

from backstay.errors import BackstayError
from backstay.host.clock import Deadline, NotYet, until
from backstay.host.fence_agents import SECRETS, FenceAgents
from backstay.host.loopback_bmc import LoopbackBmc, simulator

FENCER = "/usr/lib/pacemaker/pacemaker-fenced"
LOG = Path("/var/log/pacemaker/pacemaker.log")
AGENT = "fence_backstay_ipmi"

Options = dict[str, str]


def run(*argv: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)


def prepare(agent: str, directory: Path) -> None:
    """What the fencer needs, and our agent where it looks for agents."""
    (directory / "sbin").mkdir()
    (directory / "sbin" / AGENT).symlink_to(agent)
    for argv in (
        "mount --make-rprivate /",
        *(f"mount -t tmpfs none {place}" for place in ("/run", "/dev/shm", "/var/lib/pacemaker", LOG.parent)),
        f"mount -t overlay -o lowerdir={directory}/sbin:/usr/sbin overlay /usr/sbin",
        "ip link set lo up",
        "mkdir -p /var/lib/pacemaker/cores /run/crm",
        f"chown -R hacluster:haclient /var/lib/pacemaker /run/crm {LOG.parent}",
    ):
        done = run(*argv.split())
        assert done.returncode == 0, done.stderr


def secret(device: str, name: str, value: str, signed: str | None) -> None:
    """A CIB secret as `cibsecret set` writes it on each host."""
    place = SECRETS / device
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(value + "\n")
    if signed is not None:
        (place / f"{name}.sign").write_text(hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest())


class Sightings:
    """How often a text stood in anybody's arguments, and how often ipmitool was seen at all."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._end = threading.Event()
        self.seen = self.calls = 0
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Sightings:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.001):
            for place in Path("/proc").glob("[0-9]*"):
                try:
                    argv = (place / "cmdline").read_bytes()
                except OSError:
                    continue
                self.seen += self._text in argv
                self.calls += argv.startswith(b"/usr/bin/ipmitool")


def fence(device: str, options: Options, bmc: LoopbackBmc) -> dict[str, object]:
    """One off through the fencer with a device of its own; what was said, how long it took, what is true."""
    bmc.become("on")
    before, asked = len(LOG.read_text(errors="replace")), len(bmc.commands())
    given = {
        "ip": bmc.address,
        "ipport": str(bmc.port),
        "username": bmc.user,
        "pcmk_host_list": device,
        **options,
    }
    words = [word for name, value in given.items() for word in ("-o", f"{name}={value}")]
    registered = run("stonith_admin", "-R", device, "-a", AGENT, *words)
    assert registered.returncode == 0, registered.stderr
    begin = time.monotonic()
    done = run("stonith_admin", "--fence", device, "--timeout", "60")
    took = time.monotonic() - begin
    try:
        ours = FenceAgents().with_secrets(device, options).get("password", "")
    except BackstayError as error:
        ours = f"error: {error}"
    return {
        "code": done.returncode,
        "said": done.stderr,
        "took": took,
        "power": bmc.power(),
        "commands": bmc.commands()[asked:],
        "log": LOG.read_text(errors="replace")[before:],
        "ours": ours,
    }


def main() -> None:
    prepare(sys.argv[1], Path(sys.argv[2]))
    fencer = subprocess.Popen(
        [FENCER, "--stand-alone", "-V"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def answers() -> bool:
        if run("stonith_admin", "--list-registered").returncode:
            raise NotYet("the fencer does not answer")
        return True

    until(answers, Deadline(60), 0.2, "Pacemaker's fencer to answer")
    found: dict[str, object] = {}
    with simulator() as bmc, Sightings(bmc.password) as sightings:
        hidden = {"password": "lrm://"}
        secret("kept", "password", bmc.password, bmc.password)
        found["kept"] = fence("kept", hidden, bmc)
        found["missing"] = fence("missing", hidden, bmc)
        secret("forged", "password", bmc.password, "another")
        found["forged"] = fence("forged", hidden, bmc)
        found["script"] = fence("script", {"password_script": f"/bin/cat {bmc.password_file}"}, bmc)
        file = {"password_file": bmc.password_file}
        found["file"] = fence("file", file, bmc)
        bmc.fault("fail-set", "d4")
        found["refused"] = fence("refused", file, bmc)
        bmc.fault("fail-set", None)
        bmc.fault("ignore-set", "")
        found["lying"] = fence("lying", {**file, "power_timeout": "1"}, bmc)
        found["minutes"] = fence("minutes", {**file, "pcmk_off_timeout": "3min"}, bmc)
    found |= {"password": bmc.password, "calls": sightings.calls, "seen": sightings.seen}
    found["log"] = LOG.read_text(errors="replace")
    fencer.kill()
    fencer.wait(10)
    print(json.dumps(found))


main()
