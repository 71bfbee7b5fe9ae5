# SPDX-License-Identifier: GPL-2.0-or-later
"""A profile that an admin wrote (TOML), or that the parameters of a resource make up, as a Profile.

Decides what a declaration may say. Every complaint names the key.

    units = ["database", "manager.service"]
    [[probes]]
    name = "manager"
    http = "http://127.0.0.1:8080/health"     # or tcp, xmlrpc (with method and words), command (a list of words)
    status = [200]
    text = "ready"                            # has to stand in the answer; `without` must not
    within = "3s"
    slow = "1s"                               # an answer later than that is degraded
    required = false
    [take]                                     # likewise: check, leave, recover, give_back
    commands = [["/usr/sbin/take-it", "now"]]
    within = "60s"
"""

from __future__ import annotations

import re

from backstay.agents.frontend_profile import (
    COMMAND,
    COMMAND_TIME,
    HTTP,
    KINDS,
    TCP,
    WITHIN,
    XMLRPC,
    Command,
    Probe,
    Profile,
)
from backstay.errors import BadInput
from backstay.ocf.parameters import UNITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}")  # systemd.unit(5)
PLACE = re.compile(r"\{[a-z_]+\}")
PLACES = {"recover": ("{host}", "{fenced}"), "give_back": ("{host}",)}
MEANT = {"status": (HTTP,), "insecure": (HTTP, XMLRPC), "method": (XMLRPC,), "words": (XMLRPC,)}
"""Keys of a probe that only some kinds have."""

STEPS = ("check", "take", "leave", "recover", "give_back")
KEYS = ("summary", "units", "not_at_boot", "probes", *STEPS)
PROBE_KEYS = (
    *KINDS,
    "name",
    "within",
    "required",
    "status",
    "text",
    "method",
    "words",
    "insecure",
    "slow",
    "without",
)


def parse(name: str, text: str) -> Profile:
    """Give the profile that a TOML text declares; raises BadInput."""
    import tomllib

    try:
        return _declared(name, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"the profile {name} is not TOML: {error}") from None
    except BadInput as error:
        raise BadInput(f"in the profile {name}, {error}") from None


def _declared(name: str, said: Mapping[str, Any]) -> Profile:
    _known(said, KEYS, "it")
    steps = {step: _commands(said.get(step, {}), step) for step in STEPS}
    probes = said.get("probes", [])
    if not isinstance(probes, list) or not all(isinstance(each, dict) for each in probes):
        raise BadInput("probes must be tables, each under [[probes]]")
    asked = [_probe(each, number) for number, each in enumerate(probes, 1)]
    _once([probe.name for probe in asked], "probe")
    return Profile(
        name,
        units=_units(said.get("units", []), "units"),
        not_at_boot=_units(said.get("not_at_boot", []), "not_at_boot"),
        probes=asked,
        checks=steps["check"],
        takes=steps["take"],
        leaves=steps["leave"],
        recovers=steps["recover"],
        gives_back=steps["give_back"],
    )


def short_probe(word: str, required: bool, within: float) -> Probe:
    """Give the probe that one word of a parameter means: a URL, tcp://host:port or command:/path; raises BadInput."""
    kind, _, rest = word.partition(":")
    if kind in ("http", "https") and rest.startswith("//") and len(rest) > 2:
        return Probe(word, HTTP, word, required=required, within=within)
    if kind == TCP and rest.startswith("//") and _is_port(rest.rpartition(":")[2]):
        return Probe(word, TCP, rest[2:], required=required, within=within)
    if kind == COMMAND and rest.startswith("/"):
        return Probe(word, COMMAND, words=[rest], required=required, within=within)
    raise BadInput(f"{word!r} is no probe: http://..., https://..., tcp://host:port or command:/path")


def _probe(said: Mapping[str, Any], number: int) -> Probe:
    name = str(said.get("name", f"probe {number}"))
    _known(said, PROBE_KEYS, name)
    kinds = [kind for kind in KINDS if kind in said]
    if len(kinds) != 1:
        raise BadInput(f"{name} has one of {', '.join(KINDS)}")
    kind, target = kinds[0], said[kinds[0]]
    words = _texts(target if kind == COMMAND else said.get("words", []), f"words of {name}")
    if kind == COMMAND and not (words and words[0].startswith("/")):
        raise BadInput(f"the command of {name} begins with an absolute path")
    if kind != COMMAND and not isinstance(target, str):
        raise BadInput(f"{kind} of {name} must be a text")
    if kind == TCP and not (_is_port(str(target).rpartition(":")[2]) and str(target).rpartition(":")[0]):
        raise BadInput(f"tcp of {name} must be host:port")
    if kind in (HTTP, XMLRPC) and not str(target).startswith(("http://", "https://")):
        raise BadInput(f"{kind} of {name} must begin with http:// or https://")
    if kind in (HTTP, XMLRPC) and not str(target).partition("://")[2].partition("/")[0]:
        raise BadInput(f"{kind} of {name} names no host")
    idle = [key for key in said if key in MEANT and kind not in MEANT[key]]
    if idle:
        raise BadInput(f"{idle[0]} of {name} means nothing with {kind}")
    if kind == XMLRPC and not said.get("method"):
        raise BadInput(f"{name} needs the method that is called")
    within = _seconds(said.get("within", WITHIN), f"within of {name}")
    slow = _seconds(said["slow"], f"slow of {name}") if "slow" in said else 0.0
    if slow >= within:
        raise BadInput(
            f"slow of {name} must be less than within: what is not answered by then counts as no answer"
        )
    return Probe(
        name,
        kind,
        "" if kind == COMMAND else str(target),
        within=within,
        required=_boolean(said.get("required", True), f"required of {name}"),
        status=_numbers(said.get("status", []), f"status of {name}", 100, 599),
        text=_text(said, "text", name),
        without=_text(said, "without", name),
        method=_text(said, "method", name),
        words=words,
        insecure=_boolean(said.get("insecure", False), f"insecure of {name}"),
        slow=slow,
    )


def _commands(said: Any, step: str) -> list[Command]:
    if not isinstance(said, dict):
        raise BadInput(f"[{step}] must be a table with commands")
    _known(said, ("commands", "within", "codes"), step)
    commands = said.get("commands", [])
    if not isinstance(commands, list):
        raise BadInput(f"commands of {step} must be lists of words")
    found = []
    within = _seconds(said.get("within", COMMAND_TIME), f"within of {step}")
    codes = _numbers(said.get("codes", [0]), f"codes of {step}", 0, 255)
    if not commands and said:
        raise BadInput(f"[{step}] has no commands")
    for words in commands:
        argv = _texts(words, f"commands of {step}")
        if not argv or not argv[0].startswith("/"):
            raise BadInput(f"each command of {step} begins with an absolute path")
        unknown = [word for word in argv if PLACE.fullmatch(word) and word not in PLACES.get(step, ())]
        if unknown:
            there = " and ".join(PLACES.get(step, ())) or "no such word"
            raise BadInput(f"{unknown[0]} in a command of {step} stands for nothing; there is {there}")
        found.append(Command(argv, within, codes))
    return found


def _known(said: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    wrong = [key for key in said if key not in keys]
    if wrong:
        raise BadInput(f"{where} has no key {wrong[0]!r}; there are {', '.join(keys)}")


def _texts(said: Any, where: str) -> list[str]:
    if not isinstance(said, list) or not all(isinstance(each, str) and each for each in said):
        raise BadInput(f"{where} must be a list of texts")
    return said


def _text(said: Mapping[str, Any], key: str, where: str) -> str:
    value = said.get(key, "")
    if not isinstance(value, str):
        raise BadInput(f"{key} of {where} must be a text")
    return value


def _numbers(said: Any, where: str, least: int, most: int) -> list[int]:
    if not isinstance(said, list) or not all(type(each) is int and least <= each <= most for each in said):
        raise BadInput(f"{where} must be a list of numbers from {least} to {most}")
    return said


def _units(said: Any, where: str) -> list[str]:
    units = _texts(said, where)
    wrong = [unit for unit in units if not UNIT.fullmatch(unit)]
    if wrong:
        raise BadInput(f"{wrong[0]!r} among {where} is no name of a systemd unit")
    _once(units, "unit")
    return units


def _once(names: Sequence[str], what: str) -> None:
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise BadInput(f"the {what} {twice[0]} stands there twice")


def _boolean(said: Any, where: str) -> bool:
    if not isinstance(said, bool):
        raise BadInput(f"{where} must be true or false")
    return said


def _seconds(said: Any, where: str) -> float:
    if isinstance(said, int | float) and not isinstance(said, bool):
        value = float(said)
    else:
        number = str(said).rstrip("abcdefghijklmnopqrstuvwxyz")
        try:
            value = float(number) * UNITS[str(said)[len(number) :]]
        except (ValueError, KeyError):
            raise BadInput(f"{where} must be a time such as 5s") from None
    if not 0.0 < value < 1e5:
        raise BadInput(f"{where} must be a time above zero")
    return value


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 65536
