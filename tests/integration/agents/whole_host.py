# SPDX-License-Identifier: GPL-2.0-or-later
"""A private host with every agent of this tree installed, for tests that hold for whichever agent there is.

The agents run as they are shipped, by their own first line, and everybody may read them. systemd is a stand-in: PID 1
of such a host is a shell. Its units are shell scripts in /run/units, each of them one process, and like the real one it
goes on with what it was told when whoever told it is killed.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from backstay.ocf import codes
from backstay.ocf.agent import Action, Agent
from tests.integration.agents.private_host import PrivateHost, Result

SYSTEMCTL = r"""#!/bin/sh
[ "$1" = --on ] || { setsid "$0" --on "$@" & wait $!; exit $?; }
shift
[ "$1" = --no-ask-password ] && shift
verb=$1
while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
[ $# -gt 0 ] && shift
mkdir -p /run/units && cd /run/units && exec 9>/run/units.lock && flock 9 || exit 1
alive() { pid=$(cat "$1.pid" 2>/dev/null) && grep -q '^State:.[^ZX]' "/proc/$pid/status" 2>/dev/null; }
for unit; do
    case $verb in
    show)
        load=not-found active=inactive pid=0
        [ -e "$unit" ] && load=loaded
        alive "$unit" && active=active || pid=0
        printf '%s\n' "Id=$unit" "LoadState=$load" "ActiveState=$active" "MainPID=$pid" "Job=0" ""
        ;;
    start)
        [ -e "$unit" ] || { echo "there is no unit $unit" >&2; exit 5; }
        alive "$unit" && continue
        setsid sh "./$unit" 9>&- >/dev/null 2>&1 </dev/null &
        echo $! >"$unit.pid"
        ;;
    stop) alive "$unit" && kill "$pid" ;;
    kill) alive "$unit" && kill -9 "$pid" ;;
    esac
done
exit 0
"""
PAGE = "exec python3 -m http.server --bind 127.0.0.1 --directory /usr/share/doc 8080\n"
LIBVIRTD = "exec libvirtd --listen\n"
PAGE_URL = "http://127.0.0.1:8080/"
SERVING = "python3 -m http.server"  # in the arguments of the unit's process


class Installed:
    """Calls agents on a private host; `place` is a directory that everybody may enter."""

    def __init__(self, host: PrivateHost, place: Path, repository: Path) -> None:
        self.host = host
        self.place = place
        for part in ("agents", "lib"):
            shutil.copytree(
                repository / part, place / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        stand_in = place / "systemctl"
        stand_in.write_text(SYSTEMCTL)
        stand_in.chmod(0o755)
        subprocess.run(["chmod", "-R", "a+rX", place / "agents", place / "lib"], check=True)
        host.run("mount", "--bind", str(stand_in), "/usr/bin/systemctl")
        for name, script in (("page", PAGE), ("libvirtd", LIBVIRTD)):
            host.run("sh", "-c", f"mkdir -p /run/units && printf '{script}' >/run/units/{name}.service")

    def program(self, agent: str) -> str:
        return str(self.place / "agents" / agent)

    def environ(
        self,
        agent: str,
        given: Mapping[str, str],
        interval: float = 0.0,
        level: int = 0,
        timeout: float = 30.0,
    ) -> dict[str, str]:
        """What Pacemaker gives; an interval of 0 makes a monitor a probe."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "OCF_ROOT": "/usr/lib/ocf",
            "OCF_RESOURCE_INSTANCE": f"its-{agent}",
            "OCF_CHECK_LEVEL": str(level),
            "OCF_RESKEY_CRM_meta_timeout": str(int(timeout * 1000)),
            "OCF_RESKEY_CRM_meta_interval": str(int(interval * 1000)),
            "OCF_RESKEY_CRM_meta_on_node": self.host.name,
            **{f"OCF_RESKEY_{name}": value for name, value in given.items()},
        }

    def call(self, agent: str, action: str, environ: Mapping[str, str], user: str = "") -> Result:
        """Do an action with nothing else in its environment."""
        prefix = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", "--"] if user else []
        began = time.monotonic()
        done = subprocess.run(
            self.host.argv([*prefix, self.program(agent), action]),
            capture_output=True,
            text=True,
            env=dict(environ),
            timeout=150,
            stdin=subprocess.DEVNULL,
        )
        return Result(done, time.monotonic() - began)

    def begin(self, agent: str, action: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Begin an action in a process group of its own, as Pacemaker does, to be killed."""
        return subprocess.Popen(
            self.host.argv([self.program(agent), action]),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def count(self, words: str) -> int:
        """How many processes there are whose arguments begin with these words."""
        said = self.host.run("ps", "-ww", "-eo", "stat=,args=").splitlines()
        found = [line.split(None, 1) for line in said]
        return len([line for line in found if not line[0].startswith("Z") and line[1].startswith(words)])

    def kept(self) -> dict[str, list[str]]:
        """What the agents keep: the files, and the names of the fields in those that have some.

        What a killed writer left beside a file is none.
        """
        found = self.host.run("find", "/run/backstay", "/var/lib/backstay", "-type", "f").split()
        names = sorted(name for name in found if not name.rpartition(".")[2].isdecimal())
        return {
            name: [line.partition("=")[0] for line in self.host.run("cat", name).splitlines() if "=" in line]
            for name in names
        }

    def forget(self) -> None:
        """Nothing is kept on this host any more."""
        self.host.run("sh", "-c", "rm -rf /var/lib/backstay/* /run/backstay; mkdir /run/backstay")


class Step:
    """One action of a course: how it is called, and what it has to say where the resource can really run (None: any)."""

    def __init__(
        self, name: str, expected: int | None, interval: float = 0.0, level: int = 0, title: str = ""
    ) -> None:
        self.name = name
        self.expected = expected
        self.interval = interval
        self.level = level
        self.title = title or name


def course(agent: Agent) -> list[Step]:
    """Every action that an agent has, in the order of a resource's life, with start and stop done twice."""
    steps = [Step("monitor", 7, title="probe of nothing"), Step("validate-all", 0)]
    steps += [Step("validate-all", None, level=10, title="deep validate-all"), Step("start", 0)]
    steps += [Step("start", 0, title="start again"), Step("monitor", 0, title="probe")]
    steps += _looks(agent, ("", "Unpromoted"))
    between = [action.name for action in agent.actions if action.name not in ("start", "stop", "monitor")]
    for name in between:
        steps.append(Step(name, None if name.startswith("migrate") else 0))
        if name == "promote":
            steps += _looks(agent, ("Promoted",))
    steps += [Step("monitor", 0, 10.0, title="monitor at the end"), Step("stop", 0)]
    return [*steps, Step("stop", 0, title="stop again"), Step("monitor", 7, title="probe at the end")]


def _looks(agent: Agent, roles: tuple[str, ...]) -> list[Step]:
    looks: list[Action] = [one for one in agent.actions if one.name == "monitor" and one.role in roles]
    return [
        Step(
            "monitor",
            codes.PROMOTED if one.role == "Promoted" else codes.SUCCESS,
            one.interval or 10.0,
            one.depth or 0,
            f"monitor of depth {one.depth or 0} {one.role}".rstrip(),
        )
        for one in looks
    ]
