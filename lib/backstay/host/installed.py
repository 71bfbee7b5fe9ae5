# SPDX-License-Identifier: GPL-2.0-or-later
"""The agents of this host as files and processes: Backstay's own of one version, and everybody else's.

Decides where they lie and how they are asked. Never asks for an action that changes anything.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backstay.errors import CannotAsk
from backstay.host.fence_agents import Said
from backstay.host.fingerprint import Fingerprints, tool
from backstay.host.process import Completed, ProcessTimedOut, ToolMissing, run
from backstay.host.systemd import Systemd

PYTHON = "/usr/bin/python3"  # what the agents' first line names
LOADER = "import sys; sys.path.append(sys.argv[1]); from backstay.host.loading import main; main()"
RESOURCE_AGENTS = Path("/usr/lib/ocf/resource.d")
FENCE_AGENTS = Path("/usr/sbin")
VERSIONS = Path("/usr/lib/backstay")
REFUSED = Path("/var/lib/backstay/refused")
HANDLERS = {
    "alert": Path("/usr/libexec/backstay/alert"),
    "drbd-fence": Path("/usr/lib/drbd/backstay-drbd-fence"),
}
TAKE_OVER = VERSIONS / "delivered/libexec/take-over"
TAKING_OVER = 900.0  # seconds: another switch may be waited for, and each rehearsal has five minutes
LOADING_TIME = 30.0  # seconds
UNIT_TIME = 10.0
SCRIPTS = Path("/etc/init.d")
# What agents run besides themselves, by the agent.
TOOLS = {"fence_backstay_ipmi": ("/usr/bin/ipmitool",)}
# What the agents of other projects expect, as Pacemaker sets it (OCF 1.1).
OCF = {"OCF_ROOT": "/usr/lib/ocf", "OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "1"}


class Version:
    """One version of Backstay: a directory with agents, fence agents and the library that they use."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._loaded: dict[Path, Mapping[str, Any]] = {}
        self._fingerprints = Fingerprints()

    def programs(self) -> tuple[Path, ...]:
        """Give every agent, resource agents first, and the handlers that Pacemaker and DRBD run."""
        found = [*sorted((self.root / "agents").glob("*")), *sorted((self.root / "fencing").glob("fence_*"))]
        found += [self.root / "libexec" / name for name in HANDLERS]
        return tuple(path for path in found if path.is_file())

    def load(self, program: Path) -> list[str]:
        """Load everything that a program could ever need, in a process of its own; say what is wrong."""
        try:
            return [str(trouble) for trouble in self._load(program)["troubles"]]
        except (KeyError, TypeError):
            return [f"{program.name} cannot be examined"]

    def fingerprint(self, program: Path) -> str:
        """Give a text that changes with anything that a program stands on."""
        return self._fingerprints.of(self.files(program))

    def files(self, program: Path) -> tuple[str, ...]:
        """Give the files that a program stands on: its own, what it loads, the interpreter, its tools and theirs."""
        found = [str(file) for file in self._load(program).get("files", ())] or [str(program)]
        tools = [file for path in TOOLS.get(program.name, ()) for file in tool(path)]
        return (*found, *tools)

    def _load(self, program: Path) -> Mapping[str, Any]:
        if program not in self._loaded:
            self._loaded[program] = _loaded(self.root / "lib", program)
        return self._loaded[program]

    def misplaced(self) -> dict[str, str]:
        """Say which of these agents Pacemaker would not find here; nothing unless this version is in use."""
        try:
            in_use = (VERSIONS / "current").resolve() == self.root.resolve()
        except OSError:
            return {}
        places = {"agents": RESOURCE_AGENTS / "backstay", "fencing": FENCE_AGENTS}
        links = {
            path: HANDLERS.get(path.name) or places[path.parent.name] / path.name
            for path in (self.programs() if in_use else ())
        }
        return {
            path.name: f"{link} does not lead to {path}"
            for path, link in links.items()
            if not link.exists() or not link.samefile(path)
        }


def _loaded(library: Path, program: Path) -> Mapping[str, Any]:
    """What loading.py says about a program, or about itself."""
    argv = [PYTHON, "-I", "-S", "-c", LOADER, str(library), str(program)]
    try:
        done = run(argv, timeout=LOADING_TIME)
    except (ProcessTimedOut, ToolMissing) as error:
        return {"troubles": [str(error)]}
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = None
    told = found if isinstance(found, dict) and "troubles" in found else None
    return told or {"troubles": [f"{program.name} cannot be examined: {done.complaint()}"]}


def take_over(insist: bool) -> Completed:
    """Put the delivered version in place, rehearsed or not, and wait for it; CannotAsk where none was delivered."""
    argv = [str(TAKE_OVER), *(["--insist"] if insist else [])]
    if not TAKE_OVER.is_file():
        raise CannotAsk(
            f"there is no version to switch to: {TAKE_OVER} is not there",
            hint="versions are delivered by the packages (.deb, .rpm); what pip or a clone brings serves at once",
        )
    return run(argv, timeout=TAKING_OVER)


def serving() -> str:
    """Give the name of the version that serves; empty where none was delivered."""
    try:
        return (VERSIONS / "current").readlink().name
    except OSError:
        return ""


def refused() -> str:
    """Give which version was installed and not switched to, and why; empty when the last one was."""
    try:
        return REFUSED.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def load_state(unit: str) -> str:
    """Give systemd's word for whether it has a unit and understands it; CannotAsk when it does not answer."""
    return Systemd().show([unit], UNIT_TIME)[unit].loaded


def has_script(name: str) -> bool:
    """Whether /etc/init.d has a script of that name that can be run."""
    return os.access(SCRIPTS / name, os.X_OK)


def ask(program: Path, action: str, parameters: Mapping[str, str], timeout: float) -> Said:
    """Run a resource agent's meta-data or validate-all as Pacemaker would; `timeout` is in seconds."""
    given = {f"OCF_RESKEY_{name}": value for name, value in parameters.items()}
    begin = time.monotonic()
    try:
        done = run(
            [str(program), action],
            timeout=timeout,
            environment=OCF | {"OCF_RESOURCE_INSTANCE": "check"} | given,
        )
    except ProcessTimedOut as late:
        return Said(
            None, late.stdout, f"{late.stderr}\nno end within {timeout:.0f} s", time.monotonic() - begin
        )
    except ToolMissing as missing:
        return Said(None, "", str(missing), time.monotonic() - begin)
    return Said(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)


def is_root() -> bool:
    """Whether this process may do what an agent may."""
    return os.geteuid() == 0
