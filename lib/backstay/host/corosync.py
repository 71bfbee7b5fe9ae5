# SPDX-License-Identifier: GPL-2.0-or-later
"""What Corosync runs with on this host, and what its file says when it does not run.

Decides nothing. Source: corosync-cmapctl(8), cmap_keys(7) and corosync.conf(5) of Corosync 3.1; the runtime keys
have what follows from the file, the number of hosts included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from backstay.host.process import ProcessTimedOut, ToolMissing, run

FILE = Path("/etc/corosync/corosync.conf")
ARGV = ("corosync-cmapctl",)
_KEY = re.compile(r"^(\S+) \(\w+\) = (.*)$", re.MULTILINE)
_LINE = re.compile(
    r"^\s*(?:(?P<open>\w+)\s*\{|(?P<close>\})|(?P<key>\w+)\s*:\s*(?P<value>.*?))\s*$", re.MULTILINE
)
TOKEN, COEFFICIENT = 3000, 650  # milliseconds; the coefficient counts for each host above two


def settings(timeout: float, file: Path = FILE) -> dict[str, str]:
    """Give cmap's keys and values, or those of the file, by cmap's names; empty when there is neither.

    `timeout` is in seconds.
    """
    try:
        done = run(ARGV, timeout=timeout)
        found = keys(done.stdout) if done.ok else {}
    except (ProcessTimedOut, ToolMissing):
        found = {}
    try:
        return found or from_file(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def keys(text: str) -> dict[str, str]:
    """Give what corosync-cmapctl prints as keys and values."""
    return {name: value.strip() for name, value in _KEY.findall(text)}


def from_file(text: str) -> dict[str, str]:
    """Give what a corosync.conf says as cmap's keys, with the two times that Corosync would compute from it."""
    found: dict[str, str] = {}
    place: list[str] = []
    hosts = 0
    for match in _LINE.finditer(re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)):
        if match["open"]:
            place.append(match["open"])
            hosts += match["open"] == "node"
        elif match["close"] and place:
            place.pop()
        elif match["key"]:
            found[".".join([*place, match["key"]])] = match["value"]
    if not found:
        return {}
    more = max(0, hosts - 2) * _number(found, "totem.token_coefficient", COEFFICIENT)
    token = _number(found, "totem.token", TOKEN) + more
    found.setdefault("runtime.config.totem.token", f"{token:.0f}")
    consensus = _number(found, "totem.consensus", 1.2 * token)
    found.setdefault("runtime.config.totem.consensus", f"{consensus:.0f}")
    return found


def _number(found: Mapping[str, str], name: str, default: float) -> float:
    text = found.get(name, "")
    return float(text) if text.isdecimal() else default
