# SPDX-License-Identifier: GPL-2.0-or-later
"""The power of a machine, as its BMC switches it: behind one protocol, slow or lying when a fault says so.

Decides when a command takes effect; never what a command is allowed to do. Commands run one after another in a
thread of their own, so that the BMC goes on answering while a machine dies. The newest command wins over one
that still waits: off during a delayed on means off.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from backstay.errors import BackstayError

OFF, ON, CYCLE, RESET, SOFT = 0, 1, 2, 3, 5
WORDS = {OFF: "off", ON: "on", CYCLE: "cycle", RESET: "reset", SOFT: "soft"}

# A host that boots within 3 s of its death rejoins before the fencing notice reaches it, and stays out: real
# firmware is slower than that, so the lab's is, too.
FIRMWARE = 12.0  # seconds between power on and the first instruction of the system


class Chassis(Protocol):
    """A machine's power supply."""

    def is_on(self) -> bool:
        """Whether the machine has power now."""

    def off(self) -> None:
        """Take the power away; returns when the machine is dead."""

    def on(self) -> None:
        """Give power; returns when the system has begun to boot."""

    def reset(self) -> None:
        """Start again without a visible loss of power."""


class FileChassis:
    """A chassis that is one file with `on` or `off` in it: for tests and rehearsals without a machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            self._write("on")

    def is_on(self) -> bool:
        return self.path.read_text(encoding="ascii").strip() == "on"

    def off(self) -> None:
        self._write("off")

    def on(self) -> None:
        self._write("on")

    def reset(self) -> None:
        self._write("on")

    def _write(self, state: str) -> None:
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.write_text(state + "\n", encoding="ascii")
        fresh.replace(self.path)


class Switch:
    """Applies chassis commands after a delay, in one thread; says "on" from the moment a power on is accepted.

    `firmware` seconds pass between that moment and `chassis.on()`: a BMC reports power, not a booted system.
    `note(event, command)` hears of each effect.
    """

    def __init__(
        self, chassis: Chassis, note: Callable[[str, str], None] = lambda *_: None, *, firmware: float = 0.0
    ) -> None:
        self._chassis = chassis
        self._note = note
        self._firmware = firmware
        self._changed = threading.Condition()
        self._plan: list[tuple[float, str]] = []  # (monotonic time, what), in order
        self._powered = False  # power on was given, the system has not begun to boot
        self._dying = False  # power is being taken away, and not everything is dead yet
        threading.Thread(target=self._work, name="chassis", daemon=True).start()

    def is_on(self) -> bool:
        """What Get Chassis Status says; "off" only when the machine is dead to the last process."""
        return self._powered or self._dying or self._chassis.is_on()

    def command(self, operation: int, *, delay_off: float = 0.0, delay_on: float = 0.0) -> bool:
        """Take a chassis command, to be carried out in the background; False when there is no such command."""
        word = WORDS.get(operation)
        if word is None:
            return False
        if word == "on" and self._powered:
            return True  # on its way already; starting to count again would only make it later
        if word == "off" and [what for _, what in self._plan] == ["off"]:
            return True  # likewise: a command that is repeated does not begin to wait anew
        now = time.monotonic()
        steps = {
            "off": [(delay_off, "off")],
            "soft": [(delay_off, "off")],
            "on": [] if self.is_on() else [(delay_on, "power"), (delay_on + self._firmware, "on")],
            "cycle": self._off_and_on(delay_off, 1.0 + delay_on),
            "reset": self._off_and_on(0.0, 0.0) if self._firmware else [(0.0, "reset")],
        }[word]
        with self._changed:
            self._plan = [(now + after, what) for after, what in steps]
            self._changed.notify()
        return True

    def _off_and_on(self, before: float, pause: float) -> list[tuple[float, str]]:
        dark = before + pause
        return [(before, "off"), (dark, "power"), (dark + self._firmware, "on")]

    def _work(self) -> None:
        while True:
            what = self._next()
            try:
                self._apply(what)
            except (BackstayError, OSError) as problem:
                # The BMC must outlive a machine that cannot be switched, and say so in its log.
                self._powered = False
                self._note("failed", f"{what}: {problem}")
            else:
                self._note("chassis", what)

    def _apply(self, what: str) -> None:
        if what == "power":
            self._powered = True
            return
        self._dying = what == "off"
        try:
            {"off": self._chassis.off, "on": self._chassis.on, "reset": self._chassis.reset}[what]()
        finally:
            self._dying = False
        self._powered = False

    def _next(self) -> str:
        with self._changed:
            while True:
                if not self._plan:
                    self._changed.wait()
                    continue
                left = self._plan[0][0] - time.monotonic()
                if left <= 0:
                    return self._plan.pop(0)[1]
                self._changed.wait(left)
