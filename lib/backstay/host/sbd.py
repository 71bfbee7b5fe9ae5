# SPDX-License-Identifier: GPL-2.0-or-later
"""sbd and the watchdog of this host, as its files and systemd have them.

Decides nothing, and opens no watchdog: one that is opened by the wrong program resets the host. Source: sbd(8); Linux,
Documentation/ABI/testing/sysfs-class-watchdog.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from backstay.host.process import ProcessTimedOut, ToolMissing, run

FILES = (Path("/etc/default/sbd"), Path("/etc/sysconfig/sbd"))
WATCHDOG = "/dev/watchdog"
TIMEOUT = "5"  # seconds that sbd takes when nothing is set
CLASS = Path("/sys/class/watchdog")


def settings(files: tuple[Path, ...] = FILES) -> dict[str, str]:
    """Give sbd's settings by their names in its file; empty where sbd is not installed."""
    for file in files:
        try:
            return parsed(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return {}


def parsed(text: str) -> dict[str, str]:
    """Give NAME=value lines as a shell reads them, with sbd's own defaults for what is not set."""
    found = {"SBD_WATCHDOG_TIMEOUT": TIMEOUT, "SBD_WATCHDOG_DEV": WATCHDOG, "SBD_DEVICE": ""}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            try:
                found[name] = " ".join(shlex.split(value, comments=True))
            except ValueError:
                found[name] = value
    return found


def runs(timeout: float) -> bool:
    """Whether sbd is active; no when systemd does not say so within `timeout` seconds."""
    try:
        return run(["systemctl", "--quiet", "is-active", "sbd.service"], timeout=timeout).ok
    except (ProcessTimedOut, ToolMissing):
        return False


def identity(device: str, directory: Path = CLASS) -> str:
    """Give what a watchdog calls itself, empty when it does not say; /dev/watchdog is the first one."""
    name = Path(device).name
    try:
        return (directory / ("watchdog0" if name == "watchdog" else name) / "identity").read_text().strip()
    except OSError:
        return ""
