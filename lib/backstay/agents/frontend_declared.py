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

from backstay.agents.frontend_profile import (
    COMMAND,
    COMMAND_TIME,
    HTTP,
    KINDS,
    TCP,
    WITHIN,
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
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"the profile {name} is not TOML: {error}") from None
    _known(said, KEYS, f"the profile {name}")
    steps = {step: _commands(said.get(step, {}), step) for step in STEPS}
    probes = said.get("probes", [])
    if not isinstance(probes, list) or not all(isinstance(each, dict) for each in probes):
        raise BadInput("probes must be tables, each under [[probes]]")
    return Profile(
        name,
        units=_texts(said.get("units", []), "units"),
        not_at_boot=_texts(said.get("not_at_boot", []), "not_at_boot"),
        probes=[_probe(each, number) for number, each in enumerate(probes, 1)],
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
    if kind == TCP and not _is_port(str(target).rpartition(":")[2]):
        raise BadInput(f"tcp of {name} must be host:port")
    if kind in (HTTP, "xmlrpc") and not str(target).startswith(("http://", "https://")):
        raise BadInput(f"{kind} of {name} must begin with http:// or https://")
    if kind == "xmlrpc" and not said.get("method"):
        raise BadInput(f"{name} needs the method that is called")
    status = said.get("status", [])
    if not isinstance(status, list) or not all(isinstance(code, int) for code in status):
        raise BadInput(f"status of {name} must be a list of numbers")
    return Probe(
        name,
        kind,
        "" if kind == COMMAND else str(target),
        within=_seconds(said.get("within", WITHIN), f"within of {name}"),
        required=_boolean(said.get("required", True), f"required of {name}"),
        status=status,
        text=str(said.get("text", "")),
        without=str(said.get("without", "")),
        method=str(said.get("method", "")),
        words=words,
        insecure=_boolean(said.get("insecure", False), f"insecure of {name}"),
        slow=_seconds(said["slow"], f"slow of {name}") if "slow" in said else 0.0,
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
    codes = said.get("codes", [0])
    for words in commands:
        argv = _texts(words, f"commands of {step}")
        if not argv or not argv[0].startswith("/"):
            raise BadInput(f"each command of {step} begins with an absolute path")
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
