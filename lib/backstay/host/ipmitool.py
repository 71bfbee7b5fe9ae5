# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a BMC through ipmitool, and tells exactly what kept it from answering.

Decides what ipmitool's output means; never what to do about it. The password travels in the environment of the
child (IPMITOOL_PASSWORD), never in an argument list; suite, role, retries and a deadline are given for every call,
because ipmitool's own defaults negotiate (10 s and more against some BMCs) and wait up to 20 s.

The messages were recorded from ipmitool 1.8.19. It runs with `-vv`, which makes it say why a session was refused, and
show each answer of the BMC to the opening of one.

Nothing counts that was not said inside a session. When all its attempts to open one end for want of time, ipmitool
1.8.19 goes on as if there were one (ipmi_lanplus_open, after its loop): the commands go out unsigned, and an answer to
the opening that comes so late passes for the answer to a command. Seen: "Chassis Power is off" and exit code 0 of a
host that was on, and "Insufficient privilege level" about an account that has the role. The proof of a session is the
RAKP 4 message, which is shown on standard output; ipmitool goes on from it only when its signature fits.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from backstay.host.bmc import NO_WAY, Kind, Power, Trouble
from backstay.host.process import Completed, ProcessTimedOut, ToolMissing, run

RETRIES = 2  # a dead BMC costs seconds * RETRIES * (RETRIES + 1): measured


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach a BMC and as whom. `seconds` is the wait for each packet; password and key are never shown.

    `key` is the BMC's Kg as os.fsdecode gives its bytes; `target` an IPMB address behind the BMC (ipmitool's -t).
    """

    address: str
    user: str
    password: str = field(repr=False)
    port: int = 623
    suite: int = 17
    role: str = "OPERATOR"
    seconds: int = 1
    path: str = "/usr/bin/ipmitool"
    key: str = field(default="", repr=False)
    target: str = ""


# ipmitool's words for completion codes (IPMI 2.0, table 5-2); anything else it prints as "Unknown (0x..)".
CODES: Mapping[str, int] = MappingProxyType(
    {
        "Node busy": 0xC0,
        "Invalid command": 0xC1,
        "Invalid command on LUN": 0xC2,
        "Timeout": 0xC3,
        "Out of space": 0xC4,
        "Reservation cancelled or invalid": 0xC5,
        "Request data truncated": 0xC6,
        "Request data length invalid": 0xC7,
        "Request data field length limit exceeded": 0xC8,
        "Parameter out of range": 0xC9,
        "Cannot return number of requested data bytes": 0xCA,
        "Requested sensor, data, or record not found": 0xCB,
        "Invalid data field in request": 0xCC,
        "Command illegal for specified sensor or record type": 0xCD,
        "Command response could not be provided": 0xCE,
        "Cannot execute duplicated request": 0xCF,
        "SDR Repository in update mode": 0xD0,
        "Device firmeware in update mode": 0xD1,
        "Device firmware in update mode": 0xD1,
        "BMC initialization in progress": 0xD2,
        "Destination unavailable": 0xD3,
        "Insufficient privilege level": 0xD4,
        "Command not supported in present state": 0xD5,
        "Cannot execute command, command disabled": 0xD6,
        "Unspecified error": 0xFF,
    }
)

# What a BMC answers while a session is opened (RMCP+ status codes, IPMI 2.0 table 13-15, in ipmitool's words).
_SESSION_REFUSED: tuple[tuple[str, Kind], ...] = (
    ("insufficient resources", Kind.SESSIONS),
    ("unauthorized name", Kind.USER),
    ("invalid name length", Kind.USER),
    ("invalid role", Kind.ROLE),
    ("unauthorized role", Kind.ROLE),
    ("no matching", Kind.SUITE),
    ("algorithm", Kind.SUITE),
    ("integrity check value", Kind.PASSWORD),
    ("unauthorized GUID", Kind.UNCLEAR),
)

# No answer came in time to a packet of the opening of a session.
_TIMED_OUT = ("Timeout in open session response", "no response from RAKP")

# An answer came when nobody waited for it any more; what comes after it may be the answer to an earlier packet, and
# then nothing in it fits.
_LATE = ("Received an Unexpected", "Request Match NOT FOUND")

_REFUSED = re.compile(
    r"^(?:Set Chassis Power Control to \S+|Get Chassis Power Status) failed: (.+)$"
    r"|^Unable to send RAW command \(.*rsp=(0x[0-9a-f]+)\)",
    re.MULTILINE,
)
_NO_REPLY = re.compile(r"^Unable to (?:set Chassis Power Control|get Chassis Power Status)", re.MULTILINE)
_STATUS = re.compile(r"^Chassis Power is (on|off)$", re.MULTILINE)
_CONTROL = re.compile(r"^Chassis Power Control: (Down/Off|Up/On|Cycle)$", re.MULTILINE)
_BYTES = re.compile(r"^(?: [0-9a-f]{2}){16}$")
_SHOWN = "<<"  # how a line of a message begins that `-vv` shows
_SESSION = re.compile(
    r"^<<RAKP 4 MESSAGE$\n(?:^<<  (?!RMCP).*$\n)*^<<  RMCP\+ status +: no errors$", re.MULTILINE
)
_HANDSHAKE = re.compile(
    r"(?:Error in open session response message|RAKP [24] message indicates an error) : (.+)"
)
_PRIVILEGE = re.compile(r"^Set Session Privilege Level to \S+ failed(?:: (.+))?$", re.MULTILINE)
_UNKNOWN = re.compile(r"\(0x([0-9a-f]{1,2})\)", re.IGNORECASE)
# What `-v` and `-vv` add to standard error. Among it are the keys of the session, as bytes in rows.
_VERBOSE = re.compile(
    r"(?:[0-9a-f]{2} )*[0-9a-f]{2}$|[<>]{2}|ipmitool version|Loading IANA|Running Get|Acquire IPMB|Discovered IPMB"
    r"|Invalid completion code|Get HPM|IPM Controller|Iana: |Error response 0x|Local RqAddr|Interface address|RAW R"
    r"|Retry lanplus|session integrity key|Generated |IPMIv2 / RMCP\+ SESSION|Closed? Session"
    r"|Set Session Privilege Level to \S+$"
)


def read_status(done: Completed, waited: float, patience: float) -> Power | Trouble:
    """What a `chassis power status` told. `waited` and `patience` (s) tell silence from a quick refusal."""
    found = _STATUS.findall(done.stdout)
    if done.returncode == 0 and len(found) == 1 and in_session(done):
        return Power(found[0])
    return read_trouble(done, waited, patience)


def read_control(verb: str, done: Completed, waited: float, patience: float) -> Trouble | None:
    """None when a `chassis power` off, on or cycle was accepted (which is no proof of anything), else why not."""
    said = {"off": "Down/Off", "on": "Up/On", "cycle": "Cycle"}[verb]
    if done.returncode == 0 and _CONTROL.findall(done.stdout) == [said] and in_session(done):
        return None
    return read_trouble(done, waited, patience)


def read_guid(done: Completed, waited: float, patience: float) -> bytes | Trouble:
    """The 16 bytes of a Get System GUID in the order in which the BMC sent them; makers do not agree on one."""
    lines = [line for line in done.stdout.splitlines() if not line.startswith(_SHOWN)]
    said = " ".join(" ".join(lines).split())
    if done.returncode == 0 and _BYTES.match(f" {said}") and in_session(done):
        return bytes.fromhex(said)
    return read_trouble(done, waited, patience)


def read_trouble(done: Completed, waited: float, patience: float) -> Trouble:
    """Why ipmitool failed. The order matters: the last thing that a call got to is the one that tells."""
    text = done.stderr
    said = last_words(done)
    if not in_session(done):
        if any(words in text for words in _TIMED_OUT):  # whatever comes after that is the answer to nothing
            return Trouble(Kind.SLOW, None, said)
        if done.returncode == 0:
            return Trouble(Kind.UNCLEAR, None, f"{said!r} without showing that it had opened a session")
    refused = _REFUSED.search(text)
    if refused:
        return Trouble(Kind.REFUSED, int(refused[2], 16) if refused[2] else completion_code(refused[1]), said)
    if _NO_REPLY.search(text):
        return Trouble(Kind.UNANSWERED, None, said)
    if "Address lookup for" in text:
        return Trouble(Kind.NAME, None, said)
    if NO_WAY in text:
        return Trouble(Kind.SILENT, None, NO_WAY)
    return Trouble(_session_trouble(text, waited < patience), None, said)


def in_session(done: Completed) -> bool:
    """Whether the BMC has opened a session: the call would not have gone on from any other end of its handshake."""
    return bool(_SESSION.search(done.stdout))


def _session_trouble(text: str, quick: bool) -> Kind:
    if "is not what we requested" in text:  # a BMC that answers with the one suite that it has
        return Kind.SUITE
    handshake = _HANDSHAKE.search(text)
    if handshake:
        return next((kind for words, kind in _SESSION_REFUSED if words in handshake[1]), Kind.SESSION)
    late = any(words in text for words in _LATE)
    if "HMAC is invalid" in text or "integrity check value is invalid" in text:
        return Kind.SLOW if late else Kind.PASSWORD
    if "RAKP 4 message has invalid integrity check value" in text:  # RAKP 2 fitted: so does the password
        return Kind.SLOW if late else Kind.KEY
    privilege = _PRIVILEGE.search(text)
    if privilege:
        return Kind.ROLE if privilege[1] or quick else Kind.UNANSWERED
    if "Unable to establish" in text:
        return Kind.SESSION if quick else Kind.SILENT
    return Kind.UNCLEAR


def completion_code(words: str) -> int | None:
    """The completion code that ipmitool means; None for words that no known version prints."""
    unknown = _UNKNOWN.search(words)
    if unknown:
        return int(unknown[1], 16)
    return CODES.get(words.strip())


def last_words(done: Completed) -> str:
    """The line of ipmitool's output that an admin would want: the last one that `-vv` did not add."""
    answer = [line.strip() for line in done.stdout.splitlines() if not line.startswith(_SHOWN)]
    besides = [line.strip() for line in done.stderr.splitlines()]
    telling = [line for line in answer if line]
    telling += [line for line in besides if line and not _VERBOSE.match(line)]
    return telling[-1] if telling else f"nothing (exit code {done.returncode})"


class Ipmitool:
    """One BMC. Every call is one session that ipmitool opens and closes; `trace` hears of each call."""

    def __init__(self, login: Login, trace: Callable[[str], None] = lambda _: None) -> None:
        self._login = login
        self._trace = trace

    def power(self, timeout: float) -> Power | Trouble:
        """Ask whether the chassis is on; an answer or a trouble after `timeout` seconds at the latest."""
        done = self._call(("chassis", "power", "status"), timeout)
        return done if isinstance(done, Trouble) else read_status(*done, self._login.seconds)

    def switch(self, wanted: Power, timeout: float) -> Trouble | None:
        """Ask for power on or a hard power off; None when the BMC accepted, which proves nothing yet."""
        return self._control(wanted.value, timeout)

    def cycle(self, timeout: float) -> Trouble | None:
        """Ask for off and on again in one command; None when the BMC accepted, which proves nothing yet."""
        return self._control("cycle", timeout)

    def guid(self, timeout: float) -> bytes | Trouble:
        """Ask which machine this is (Get System GUID, IPMI 2.0 section 22.14)."""
        done = self._call(("raw", "0x06", "0x37"), timeout)
        return done if isinstance(done, Trouble) else read_guid(*done, self._login.seconds)

    def _control(self, verb: str, timeout: float) -> Trouble | None:
        done = self._call(("chassis", "power", verb), timeout)
        return done if isinstance(done, Trouble) else read_control(verb, *done, self._login.seconds)

    def argv(self, words: Sequence[str]) -> list[str]:
        """The argument list of a call: everything but the password and the key."""
        login = self._login
        how = ["-vv", "-I", "lanplus", "-C", str(login.suite), "-L", login.role.upper()]
        bounds = ["-N", str(login.seconds), "-R", str(RETRIES)]
        where = ["-H", login.address, "-p", str(login.port), "-U", login.user, "-E"]
        where += [*(["-K"] if login.key else []), *(["-t", login.target] if login.target else [])]
        return [login.path, *how, *bounds, *where, *words]

    def _call(self, words: Sequence[str], timeout: float) -> tuple[Completed, float] | Trouble:
        argv = self.argv(words)
        secrets = {"IPMITOOL_PASSWORD": self._login.password}
        if self._login.key:
            secrets["IPMI_KGKEY"] = self._login.key
        begin = time.monotonic()
        try:
            done = run(argv, timeout=timeout, environment=secrets, leashed=True)
        except ProcessTimedOut:
            self._trace(f"{' '.join(argv)}: killed after {timeout:.1f} s")
            return Trouble(Kind.CUT, None, f"no complete answer within {timeout:.1f} s")
        except ToolMissing as missing:
            return Trouble(Kind.TOOL, None, str(missing))
        waited = time.monotonic() - begin
        self._trace(f"{' '.join(argv)}: exit code {done.returncode} after {waited:.2f} s: {last_words(done)}")
        return done, waited
