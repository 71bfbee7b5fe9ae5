# SPDX-License-Identifier: GPL-2.0-or-later
"""Do the levels of the topology name devices that can fence, and all of them? Findings over a CIB.

Asks nothing outside.
"""

from __future__ import annotations

from collections.abc import Iterator

from backstay.fencing.configuration import Fencing
from backstay.fencing.finding import ERROR, WARNING, Finding


def levels(fencing: Fencing) -> Iterator[Finding]:
    """What is wrong with each level, then what no level uses."""
    yield from _usable(fencing)
    yield from _used(fencing)


def _usable(fencing: Fencing) -> Iterator[Finding]:
    known = {device.name: device for device in fencing.devices}
    for level in fencing.levels:
        for name in level.devices:
            if name not in known:
                yield Finding(
                    ERROR, f"level {level.index} of {level.target} names {name}, and there is no such device"
                )
            elif not known[name].enabled:
                yield Finding(ERROR, f"level {level.index} of {level.target} needs {name}, which is disabled")
            elif level.target in fencing.everybody and level.target not in (
                known[name].targets or fencing.everybody
            ):
                yield Finding(
                    ERROR,
                    f"level {level.index} of {level.target} needs {name}, which does not fence {level.target}",
                    f"add {level.target} to its pcmk_host_list, or take it out of the level",
                )


def _used(fencing: Fencing) -> Iterator[Finding]:
    for host in fencing.everybody:
        kinds = {level.target for level in fencing.levels if level.is_for(host)}
        if len(kinds) > 1 and host not in kinds:
            yield Finding(
                WARNING,
                f"{host} fits several sets of levels ({', '.join(sorted(kinds))}), and Pacemaker takes one of them",
                f"write levels with target={host}",
            )
        used = {name for level in fencing.levels_of(host) for name in level.devices}
        unused = [device.name for device in fencing.devices_of(host) if used and device.name not in used]
        if unused:
            yield Finding(
                WARNING,
                f"{', '.join(unused)} can fence {host} and is in none of its levels, so it is never used for it",
                "add a level",
            )
