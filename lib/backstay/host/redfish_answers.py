# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Redfish service's answers mean: power states, what may be reset how, tasks, refusals and their reasons.

Decides without asking anything. Sources: Redfish Specification (DSP0266), the schemas ComputerSystem, ActionInfo and
Task, and the message registry Base.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote, urlsplit

from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.https import Answer

Json = Mapping[str, object]

STATES: Mapping[str, Power] = MappingProxyType(
    {
        "On": Power.ON,
        "Off": Power.OFF,
        "PoweringOn": Power.CHANGING,
        "PoweringOff": Power.CHANGING,
        "Paused": Power.ON,
    }
)
# Ways to a state, best first. Never a graceful one: a host that is fenced does not listen any more.
RESETS: Mapping[Power, tuple[str, ...]] = MappingProxyType(
    {Power.OFF: ("ForceOff",), Power.ON: ("On", "ForceOn")}
)
ACTION = "#ComputerSystem.Reset"
LONGEST = 120  # characters of what a BMC says that are repeated
LATEST = 5.0  # seconds that a BMC may ask for before it is asked again: a host has to die meanwhile

FULL = frozenset({"SessionLimitExceeded", "CreateLimitReachedForResource"})
STATE = frozenset({"InvalidOperationForSystemState", "ResourceInStandby", "PowerStateError"})
BUSY = frozenset(
    {"ServiceTemporarilyUnavailable", "ResourceInUse", "ServiceShuttingDown", "OperationTimeout"}
)
LOGIN = frozenset({"UnauthorizedLoginAttempt", "ResourceAtUriUnauthorized"})
ROLE = frozenset({"InsufficientPrivilege"})
FAILED_TASKS = frozenset({"Exception", "Killed", "Cancelled", "Cancelling"})
ENDED_TASKS = frozenset({"Completed"}) | FAILED_TASKS
GONE = (404, 410)
UNQUOTED = "%/?:@!$&'()*+,;=~"  # RFC 3986; what is quoted already stays


@dataclass(frozen=True, slots=True)
class Reset:
    """How a system is reset: where to, and the allowed types, or where they are listed, or neither."""

    target: str
    allowed: tuple[str, ...] | None = None
    info: str = ""


def document(answer: Answer) -> Json | None:
    """The JSON object that an answer holds, or None."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def power(system: Json) -> Power | Trouble:
    """The power state of a system. Only `Off` is off; a state that is missing for the moment is a passing trouble."""
    state = system.get("PowerState")
    found = STATES.get(state) if isinstance(state, str) else None
    said = "no PowerState" if state is None else f"PowerState {state!r:.40}"
    return found or Trouble(Kind.BLANK, None, said)


def reset(system: Json) -> Reset | Trouble:
    """How a system is reset."""
    action = _object(_object(system.get("Actions")).get(ACTION))
    told = action.get("target")
    target = path_of(told) if isinstance(told, str) else ""
    if not target:
        return Trouble(Kind.OFFER, None, "offers no ComputerSystem.Reset; see what its account may do there")
    allowed = action.get("ResetType@Redfish.AllowableValues")
    info = action.get("@Redfish.ActionInfo")
    return Reset(target, _strings(allowed), path_of(info) if isinstance(info, str) else "")


def allowed_by(info: Json) -> tuple[str, ...] | None:
    """The reset types that an ActionInfo lists, or None when it lists none."""
    parameters = info.get("Parameters")
    for parameter in parameters if isinstance(parameters, list) else []:
        if _object(parameter).get("Name") == "ResetType":
            return _strings(_object(parameter).get("AllowableValues"))
    return None


def choose_type(wanted: Power, allowed: Sequence[str] | None) -> str | Trouble:
    """The reset type for a state; without a list of allowed ones the best is tried."""
    ways = RESETS[wanted]
    if allowed is None:
        return ways[0]
    found = next((way for way in ways if way in allowed), None)
    offered = ", ".join(allowed) or "nothing"
    words = f"offers no {' and no '.join(ways)} (but {offered:.100}); it cannot be used for fencing"
    return found or Trouble(Kind.OFFER, None, words)


def members(collection: Json) -> list[str]:
    """The paths of a collection's members."""
    listed = collection.get("Members")
    found = [_object(member).get("@odata.id") for member in (listed if isinstance(listed, list) else [])]
    return [path_of(path) for path in found if isinstance(path, str)]


def choose_system(paths: Sequence[str], plug: str) -> str | Trouble:
    """The one system of a service; of several the one whose id is the plug, never a guess."""
    if len(paths) == 1:
        return paths[0]
    named = [path for path in paths if plug and path.rstrip("/").rpartition("/")[2] == plug]
    if len(named) == 1:
        return named[0]
    if not paths:
        return Trouble(Kind.OFFER, None, "has no system; set systems_uri if it hides one")
    base = paths[0].rstrip("/").rpartition("/")[0]
    ids = ", ".join(path.rstrip("/").rpartition("/")[2] for path in paths)
    shown = ids if len(ids) <= LONGEST else f"{ids[:LONGEST]}..."
    return Trouble(
        Kind.OFFER, None, f"has {len(paths)} systems ({shown}); set systems_uri to {base}/ and one of them"
    )


def link(resource: Json, *names: str) -> str:
    """The path that a resource links to under these names, or nothing."""
    found: object = resource
    for name in names:
        found = _object(found).get(name)
    path = _object(found).get("@odata.id")
    return path_of(path) if isinstance(path, str) else ""


def path_of(uri: str) -> str:
    """The path (and query) of a URI, nothing of one that is none (a name in brackets): a host is fenced all the same.

    A BMC may call itself by another name; the same one is asked all the same.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    return quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=UNQUOTED)


def redirected(answer: Answer, host: str, port: int) -> str | Trouble:
    """Where a redirection leads; only to the same server, because elsewhere nobody may have the password."""
    location = answer.headers.get("location", "")
    try:
        parts = urlsplit(location)
        same = (parts.scheme or "https").lower() == "https"
        if parts.netloc:
            same = same and parts.hostname == host.lower() and (parts.port or 443) == port
    except ValueError:
        same = False
    if location and same:
        return path_of(location)
    where = f"to {location:.80}" if location else "nowhere"
    return Trouble(Kind.OFFER, answer.status, f"sends requests {where}; correct ip, ipport or systems_uri")


def task_of(answer: Answer) -> str:
    """The path where an accepted command can be followed, or nothing."""
    location = answer.headers.get("location", "")
    if location:
        return path_of(location)
    task = document(answer) or {}
    path = task.get("@odata.id") or task.get("TaskMonitor")
    return path_of(path) if isinstance(path, str) else ""


def task_end(answer: Answer) -> Trouble | bool:
    """What became of a task: its failure, or whether it has ended (well, or where nobody can see it any more)."""
    if answer.status == 202:
        state = (document(answer) or {}).get("TaskState")
        return _failed_task(answer, state) if state in FAILED_TASKS else False
    if answer.status >= 500 or answer.status == 429:
        return False
    if answer.status in (401, 403, *GONE):
        return True
    if answer.status >= 400:
        return _failed_task(answer, f"HTTP {answer.status}")
    state = (document(answer) or {}).get("TaskState")
    if state in FAILED_TASKS:
        return _failed_task(answer, state)
    return state is None or state in ENDED_TASKS


def _failed_task(answer: Answer, state: object) -> Trouble:
    task = document(answer) or {}
    listed = task.get("Messages")
    words = _words(listed if isinstance(listed, list) else []) or reason(answer)[1]
    return Trouble(Kind.TASK, None, f"{state}: {words}" if words else str(state))


def refusal(answer: Answer, asked: str, trusted: bool) -> Trouble:
    """Why a request was refused. `asked` is its method and path; `trusted`: the account was accepted before."""
    status = answer.status
    ids, words = reason(answer)
    told = next((name for name in ids if name != "GeneralError"), "")
    said = f"HTTP {status}" + (f", {told}" if told else "") + (f": {words}" if words else "")
    after = retry_after(answer)
    kind = _kind(status, frozenset(ids), trusted)
    if kind is Kind.REFUSED and BUSY & set(ids):
        return Trouble(kind, 503, said, after)  # by whatever status it is said: it passes
    if kind is Kind.REFUSED and status == 404:
        return Trouble(
            Kind.OFFER, status, f"has nothing at {asked.split()[-1]} ({said}); correct systems_uri"
        )
    if (
        kind is Kind.REFUSED
        and status >= 500
        and status not in (501, 502, 503, 504)
        and asked.startswith("GET")
    ):
        return Trouble(Kind.BLANK, status, said, after)
    return Trouble(kind, status, said, after)


def _kind(status: int, ids: frozenset[str], trusted: bool) -> Kind:
    if FULL & ids:
        return Kind.SESSIONS
    if ROLE & ids:
        return Kind.ROLE
    if LOGIN & ids or status == 401:
        return Kind.ROLE if trusted else Kind.PASSWORD
    if status == 403:
        return Kind.ROLE
    if (STATE & ids or status == 409) and not BUSY & ids:
        return Kind.NOT_NOW
    return Kind.REFUSED


def reason(answer: Answer) -> tuple[tuple[str, ...], str]:
    """The names of the messages in an answer, without their registry, and the most telling words."""
    error = _object((document(answer) or {}).get("error"))
    listed = error.get("@Message.ExtendedInfo")
    messages = [_object(message) for message in (listed if isinstance(listed, list) else [listed])]
    ids = [message.get("MessageId") or message.get("MessageID") for message in messages] + [error.get("code")]
    names = tuple(str(name).rpartition(".")[2] for name in ids if name)
    general = error.get("message")
    return names, _words(messages) or _tidy(general if isinstance(general, str) else "")


def retry_after(answer: Answer) -> float:
    """The seconds that a BMC wants to be left alone, as far as that can be granted."""
    text = answer.headers.get("retry-after", "").strip()
    return min(float(text), LATEST) if text.isdecimal() else 0.0


def _words(messages: Sequence[object]) -> str:
    said = [_object(message).get("Message") for message in messages]
    return next((_tidy(text) for text in said if isinstance(text, str) and text.strip()), "")


def _tidy(text: str) -> str:
    """Foreign words in one line, and none that Pacemaker would take for a lapse of time or a missing action."""
    line = " ".join(text.split())[:LONGEST].rstrip(" .")
    for word, other in (
        ("imed out", "ook too long"),
        ("imeout", "ime-out"),
        ("nsupported action", "n action that it does not have"),
    ):
        line = line.replace(word, other)
    return line.replace("Took", "took").replace(";", ",")


def _object(found: object) -> Json:
    return found if isinstance(found, dict) else {}


def _strings(found: object) -> tuple[str, ...] | None:
    return tuple(str(each) for each in found) if isinstance(found, list) and found else None
