# SPDX-License-Identifier: GPL-2.0-or-later
"""What is broken about a BMC on purpose: one file per fault, read again for every packet.

Decides which faults exist and what their values mean; never what a BMC does about them. A fault is set by
writing its file and healed by removing it, so a test, a shell and `backstay lab fault` all do it alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from backstay.errors import BadInput

KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "drop": "answers nothing at all, as a BMC without power",
        "drop-session": "sets sessions up, then falls silent",
        "drop-control": "is silent for chassis control only: status and monitor stay green",
        "loss": "loses every so-manieth packet that it gets (2 is each second one)",
        "quick-cycle": "cycles so quickly that nobody sees it off",
        "latency": "delays every answer by so many seconds",
        "fail-get": "refuses chassis status with a completion code (hexadecimal, ff if empty)",
        "fail-set": "refuses chassis control with a completion code (hexadecimal, ff if empty)",
        "fail-on": "refuses to power on, and nothing else, with a completion code (hexadecimal, ff if empty)",
        "codes": "refuses the next chassis controls with these hexadecimal codes (a blank between), one each",
        "ignore-set": "accepts chassis control and does nothing, for the next so many commands (for all if empty)",
        "dies": "answers nothing any more as soon as it has accepted a chassis control, which comes to nothing",
        "lost-answer": "does what it is told, and its answer to chassis control gets lost",
        "delay-off": "takes so many seconds to power off",
        "delay-on": "takes so many seconds to power on",
        "busy": "answers the next so many chassis commands with node busy (all of them if empty)",
        "password": "every account has this password instead of its own",
        "maxsess": "has no session slot left, for the next so many sessions (for all if empty)",
    }
)

DEAD = "dead"  # the value of `dies` from then on


class Faults:
    """The faults of one BMC, as files in a directory that may not exist yet."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def set(self, name: str, value: str = "") -> None:
        """Break it. Raises BadInput for a fault that no BMC here knows."""
        path = self._path(name)
        self.directory.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{name}")
        fresh.write_text(value, encoding="ascii")
        fresh.replace(path)

    def clear(self, name: str | None = None) -> None:
        """Heal one fault, or all of them."""
        for each in KNOWN if name is None else (name,):
            self._path(each).unlink(missing_ok=True)

    def active(self) -> dict[str, str]:
        """Every fault that is set now, with its value."""
        found = {name: self.value(name) for name in KNOWN}
        return {name: value for name, value in found.items() if value is not None}

    def value(self, name: str) -> str | None:
        """The value of a fault ("" when it needs none), or None when it is not set."""
        try:
            return self._path(name).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        """Whether the fault is set."""
        return self.value(name) is not None

    def seconds(self, name: str) -> float:
        """The value of a fault that is a duration; 0 when it is not set or no number."""
        try:
            return max(0.0, float(self.value(name) or 0))
        except ValueError:
            return 0.0

    def count(self, name: str) -> int:
        """The value of a fault that is a number; 0 when it is not set or no number."""
        text = self.value(name) or ""
        return int(text) if text.isdecimal() else 0

    def completion(self, name: str) -> int | None:
        """The completion code of a refusing fault, or None when it is not set."""
        text = self.value(name)
        if text is None:
            return None
        try:
            return int(text or "ff", 16) & 0xFF
        except ValueError:
            return 0xFF

    def dead(self) -> bool:
        """Whether it answers nothing at all, or has died of a command."""
        return self.has("drop") or self.value("dies") == DEAD

    def die(self) -> bool:
        """Whether it dies now."""
        dies = self.has("dies")
        if dies:
            self.set("dies", DEAD)
        return dies

    def next_code(self, name: str) -> int | None:
        """The first of a fault's completion codes, which is taken from them, or None when none is left."""
        first, *rest = (self.value(name) or "").split() or [""]
        if not first:
            return None
        if rest:
            self.set(name, " ".join(rest))
        else:
            self.clear(name)
        return int(first, 16) & 0xFF

    def spend(self, name: str) -> bool:
        """Whether a counted fault strikes now; counts it down, and heals it after the last time."""
        text = self.value(name)
        if not text:
            return text is not None
        left = int(text) - 1 if text.isdigit() else 0
        if left > 0:
            self.set(name, str(left))
        else:
            self.clear(name)
        return True

    def _path(self, name: str) -> Path:
        if name not in KNOWN:
            raise BadInput(f"a BMC has no fault {name!r}", hint="it knows " + ", ".join(KNOWN))
        return self.directory / name
