# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501  (a line for each accident)
"""What breaks fence agents in real life: packages, interpreters, and an ipmitool that is not the one of yesterday.

Each is a change of a file in a copy of the agent, or a wrapper that stands in ipmitool's place. Sources: a TabError and
a NameError in released and unreleased fence agents, ipmitool 1.8.19's changes of cipher suites and messages.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

IPMITOOL = "ipmitool"
WRAPPER = """#!/bin/sh
# stands in ipmitool's place
tool=/usr/bin/ipmitool
case "$*" in *" status") what=status ;; *" off") what=off ;; *" on") what=on ;; *) what=other ;; esac
{body}
exec $tool "$@"
"""
DOOR = "fencing/fence_backstay_ipmi"
ACTIONS = "lib/backstay/fencing/actions.py"
POWER = "lib/backstay/fencing/power.py"


@dataclass(frozen=True, slots=True)
class Accident:
    """One of them. With `path` "ipmitool", `new` is shell in its wrapper; else `new` takes the place of `old` in the file.

    `harmless`: the agent still does all that it must, so the rehearsal has to pass.
    """

    what: str
    path: str
    old: str = ""
    new: str = ""
    harmless: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"

    @contextlib.contextmanager
    def happened(self, tree: Path, write: Callable[[str, str], None], top: Path) -> Iterator[dict[str, str]]:
        """Let it happen to a tree; gives the parameters that go with it, and mends the tree afterwards."""
        if self.path == IPMITOOL:
            wrapper = tree / "ipmitool"
            wrapper.write_text(WRAPPER.replace("{body}", self.new))
            wrapper.chmod(0o755)
            yield {"ipmitool_path": str(wrapper)}
            return
        text = (top / self.path).read_text()
        assert self.old in text, self.what
        write(self.path, text.replace(self.old, self.new, 1) if self.old else self.new)
        try:
            yield {}
        finally:
            write(self.path, text)


def reworded(expression: str) -> str:
    """The wrapper's shell: both streams of ipmitool with other words, its exit code kept."""
    return (
        'out=$(mktemp); err=$(mktemp); $tool "$@" >$out 2>$err; code=$?\n'
        f"sed -E '{expression}' $out; sed -E '{expression}' $err >&2; rm -f $out $err; exit $code"
    )


ACCIDENTS = (
    Accident("a name that does not exist, on the way of off only", ACTIONS,
             "    goal = Power.ON", "    if call.action == 'off':\n        powerdown()\n    goal = Power.ON"),
    Accident("the same, on the way of reboot only", ACTIONS,
             "        call.settle(ON)\n", "        powerdown()\n        call.settle(ON)\n"),
    Accident("the same, after the off of a reboot was seen", ACTIONS,
             "        call.settle(ON)\n", "        call.settle(ON)\n        powerup()\n"),
    Accident("a tab among blanks", POWER, "        step = decide(state, limits)\n", "\tstep = decide(state, limits)\n"),
    Accident("a syntax error", POWER, "def decide(", "def decide(("),
    Accident("a syntax error in the executable", DOOR, "main(AGENT)", "main(AGENT"),
    Accident("an empty executable", DOOR, "main(AGENT)", ""),
    Accident("an interpreter that was removed", DOOR, "#!/usr/bin/python3", "#!/usr/bin/python3.4"),
    Accident("a module that the package forgot", ACTIONS, "from backstay.fencing.power", "from backstay.fencing.powers"),
    Accident("a standard module that newer Pythons lack", "lib/backstay/fencing/password.py", "import shlex", "import shlex\nimport pypes"),
    Accident("a call with an argument that it does not have any more", ACTIONS,
             "reach(goal, bmc, limits,", "reach(goal, bmc, limits, True,"),
    Accident("debugging output that was forgotten", ACTIONS, "    goal = Power.ON", "    print('here')\n    goal = Power.ON", True),
    Accident("off is done when it was accepted", POWER,
             "    if state.seen is state.goal:", "    if state.seen is state.goal or state.accepted:"),
    Accident("a silent BMC counts as off", POWER, "        return GiveUp(trouble, bool(state.accepted))\n    troubled_for",
             "        return Done()\n    troubled_for"),
    Accident("reboot succeeds without a look", ACTIONS, "    if failed:\n        raise BackstayError(failed)\n",
             "    if failed and call.action != 'reboot':\n        raise BackstayError(failed)\n"),
    Accident("is not there", IPMITOOL, new='tool=/nonexistent'),
    Accident("crashes at its end", IPMITOOL, new='$tool "$@"; kill -SEGV $$'),
    Accident("crashes at the end of an off only", IPMITOOL, new='[ $what = off ] && { $tool "$@"; kill -SEGV $$; }'),
    Accident("always ends with 0", IPMITOOL, new='$tool "$@"; exit 0', harmless=True),
    Accident("does not read the password from the environment", IPMITOOL, new="unset IPMITOOL_PASSWORD"),
    Accident("knows no cipher suite 17, and no other", IPMITOOL,
             new="echo 'Error in open session response message : no matching cipher suite' >&2; exit 1"),
    Accident("knows suite 3 only: the fallback is taken, with a warning", IPMITOOL,
             new="""case "$*" in *"-C 17"*) echo 'Error in open session response message : no matching cipher suite' >&2; exit 1 ;; esac""",
             harmless=True),
    Accident("says the power with other words", IPMITOOL, new=reworded("s/Chassis Power is/System power:/")),
    Accident("says that off was taken with other words", IPMITOOL, new=reworded("s/Down.Off/Power Down/")),
    Accident("says that on was taken with other words", IPMITOOL, new=reworded("s/Up.On/Power Up/")),
    Accident("says why it was refused with other words", IPMITOOL, new=reworded("s/^Set Chassis.*/Error: chassis control (0xd4)/")),
    Accident("says always that the power is on", IPMITOOL, new=reworded("s/Power is off/Power is on/")),
    Accident("says always that the power is off", IPMITOOL, new=reworded("s/Power is on/Power is off/")),
    Accident("forgets to send the off", IPMITOOL, new="[ $what = off ] && { echo 'Chassis Power Control: Down/Off'; exit 0; }"),
    Accident("forgets to send the on", IPMITOOL, new="[ $what = on ] && { echo 'Chassis Power Control: Up/On'; exit 0; }"),
    Accident("warns on each call", IPMITOOL, new="echo 'Warning: IANA registry not found' >&2", harmless=True),
    Accident("greets on standard output", IPMITOOL, new="echo 'ipmitool version 2.0'", harmless=True),
    Accident("asks for a terminal, and waits", IPMITOOL, new="sleep 300"),
    Accident("waits for ever in an off only", IPMITOOL, new="[ $what = off ] && sleep 300"),
)  # fmt: skip
