# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameters of a fence agent: one declaration gives metadata, command line, standard input and defaults.

Decides which value a parameter has. A value that cannot be right is an error while somebody configures or watches
the device, and a warning with the default in its place while a host has to be fenced: a typing error in a
comfort setting must not keep a host alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from backstay.errors import BadInput

TRUE = frozenset({"1", "yes", "on", "true"})
FALSE = frozenset({"0", "no", "off", "false"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `kind` is a content type of metadata.rng; numbers lie between `least` and `most`.

    `option` is its letter on the command line, `old` the name that it had in older agents (still accepted).
    """

    name: str
    shortdesc: str
    kind: str = "string"
    default: str = ""
    option: str = ""
    old: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False
    secret: bool = False
    least: float = 0
    most: float = 3600

    @property
    def long(self) -> str:
        """Its long option, without dashes."""
        return self.name.replace("_", "-")

    def problem(self, value: str) -> str:
        """What is wrong with a value, in words that follow "must be", or nothing."""
        if self.kind == "boolean":
            return "" if value.strip().lower() in TRUE | FALSE else "1 or 0"
        if self.kind == "select":
            return "" if value.strip().lower() in self.choices else " or ".join(self.choices)
        if self.kind in ("integer", "second"):
            return "" if self._in_range(value) else f"a number from {self.least:g} to {self.most:g}"
        return "without a NUL byte" if "\0" in value else ""

    def _in_range(self, value: str) -> bool:
        try:
            number = int(value) if self.kind == "integer" else float(value)
        except ValueError:
            return False
        return self.least <= number <= self.most


class Values:
    """What an agent was given, by the parameters' own names; text that is not declared is kept as well."""

    def __init__(self, given: Mapping[str, str], parameters: Iterable[Parameter]) -> None:
        self._declared = {parameter.name: parameter for parameter in parameters}
        self._given = dict(given)
        for parameter in self._declared.values():
            if parameter.old in given and parameter.name not in given:
                self._given[parameter.name] = given[parameter.old]
        self.missing = tuple(self._find_missing())
        self.wrong = tuple(self._find_wrong())

    def text(self, name: str) -> str:
        """The value as it was given, or the default; "" for a name that is neither."""
        declared = self._declared.get(name)
        return self._given.get(name, "") or (declared.default if declared else "")

    def word(self, name: str) -> str:
        """A name, an address or a choice: without blanks around it, choices in lower case."""
        text = self._usable(name).strip()
        return text.lower() if self._declared[name].kind == "select" else text

    def flag(self, name: str) -> bool:
        """A yes or no."""
        return self._usable(name).strip().lower() in TRUE

    def number(self, name: str) -> float:
        """A number; seconds where it is a time."""
        return float(self._usable(name))

    def require_sound(self) -> None:
        """Raise BadInput with everything that is missing or wrong."""
        if self.missing or self.wrong:
            raise BadInput("; ".join(self.missing + self.wrong), hint="see the agent's metadata")

    def require(self, name: str) -> str:
        """The value of a parameter that nothing goes without; raises BadInput when there is none."""
        value = self.word(name)
        if not value:
            raise BadInput(f"{name} is not given")
        return value

    def secrets(self) -> tuple[str, ...]:
        """Every value that must not be seen."""
        return tuple(filter(None, (self.text(p.name) for p in self._declared.values() if p.secret)))

    def _usable(self, name: str) -> str:
        declared, value = self._declared[name], self.text(name)
        return declared.default if declared.problem(value) else value

    def _find_missing(self) -> Iterable[str]:
        for name, declared in self._declared.items():
            if declared.required and not self.text(name).strip():
                yield f"{name} is not given"

    def _find_wrong(self) -> Iterable[str]:
        for name, declared in self._declared.items():
            value = self.text(name)
            expected = declared.problem(value) if value else ""
            if expected:
                shown = "this one" if declared.secret else repr(value)
                yield f"{name} must be {expected}, not {shown}"


SCRIPT_TIME = 5.0  # seconds that a password_script has
PASSWORD_ELSEWHERE = (
    Parameter(
        "password_script",
        f"Program that prints the password, in {SCRIPT_TIME:g} s at most",
        option="S",
        old="passwd_script",
    ),
    Parameter("password_file", "File whose first line is the password"),
)
"""Ways to keep the password out of the cluster configuration."""

PLUG = (
    Parameter("plug", "Host behind this BMC, as the cluster calls it", option="n", old="port"),
    Parameter("port_as_ip", "plug is the address of the BMC, and overrides ip", "boolean", "0"),
)

TIMES = (
    Parameter(
        "power_timeout", "Seconds for a power command to take effect", "second", "20", least=1, most=600
    ),
    Parameter(
        "login_timeout",
        "Seconds without any result until a BMC counts as dead",
        "second",
        "10",
        least=1,
        most=120,
    ),
    Parameter(
        "stonith_status_sleep", "Seconds between two looks at the power", "second", "0.5", least=0.1, most=10
    ),
    Parameter("power_wait", "Seconds between seen off and on in a reboot", "second", "0", most=120),
    Parameter("delay", "Seconds to wait before off or reboot", "second", "0", most=600),
)
"""How long a power-off may take, whatever protocol asks for it (fencing/power.py)."""

HOW_LONG = (
    "Every action ends by itself: off and on within login_timeout plus power_timeout plus delay (30 s by default), "
    f"reboot within 16 s more (plus power_wait), and with a password_script each within {SCRIPT_TIME:g} s more, so the "
    "pcmk_off_timeout and pcmk_reboot_timeout of larger settings must be larger."
)
"""The same in words (the numbers: completeness_devices.py, worst_cases)."""

IGNORED: Mapping[str, str] = MappingProxyType(
    {
        "debug": "verbose goes to standard error, which Pacemaker logs",
        "debug_file": "as debug",
        "disable_timeout": "every action ends by itself",
        "plug_separator": "an action concerns one host",
        "retry_on": "login_timeout and power_timeout say how long it goes on",
        "shell_timeout": "every call ends within login_timeout or power_timeout",
        "verbose_level": "verbose says everything that there is",
    }
)
"""Parameters of other agents that are accepted and change nothing, and why."""

WORDS = (
    Parameter("verbose", "Say on standard error what is done", "boolean", "0", option="v"),
    Parameter("quiet", "Print nothing on standard output", "boolean", "0", option="q"),
)
