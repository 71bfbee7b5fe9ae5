# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC with Redfish on loopback for as long as a rehearsal needs it: a thread and a directory, both gone afterwards.

Decides nothing about what an agent does with it. Its answers have the shape of DMTF's schemas (ServiceRoot,
ComputerSystem, Session, Task, ActionInfo, and Base of the message registries). Its certificate and its password exist
for this rehearsal alone, and nothing on the machine but this object knows that it is "off".
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from backstay.host.throw_away import Identity, identity

USER = "rehearsal"
NAME = "bmc.rehearsal.invalid"  # a name that no name service knows (RFC 2606)
ROOT = "/redfish/v1/"
SYSTEMS = "/redfish/v1/Systems"
SYSTEM = "/redfish/v1/Systems/rehearsal"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
INFO = f"{SYSTEM}/ResetActionInfo"
SESSIONS = "/redfish/v1/SessionService/Sessions"
MOVED = "/moved"
MONITOR = "/redfish/v1/TaskService/TaskMonitors/"
ALLOWED = ("On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "Nmi", "PushPowerButton")
WAYS = {"ForceOff": "Off", "On": "On", "ForceOn": "On"}
TASK_TIME = 0.7  # seconds that a task of it takes
PATIENCE = 30.0  # seconds for a request to arrive; every agent is gone by then

Reply = tuple[int, dict[str, str], object]


class LoopbackRedfish:
    """A running simulator: one system, one account. `ca`, `fingerprint` and `name` are its certificate's.

    Faults: `busy` (so many requests are put off), `codes` (HTTP statuses, with blanks, for as many resets), `full`
    (nobody more can log in, so many times), `fail-get`, `fail-set` and `fail-on` (an HTTP status; the last for on
    alone), `password` (it is another one), `silent` (a request is read and never answered), `dies` (silent as soon as
    it has accepted a reset), `ignore-set` (1: one command), `delay-off` (seconds), `task` (the TaskState of its end),
    `etag`, `action-info`, `only` and `only-info` (reset types, in the system or in its ActionInfo), `moved` (everything
    lies behind a redirection), `forget` (a session is not known any more when its first reset comes), `hang-up` (each
    connection is closed after one answer), `impostor` (somebody else's certificate).
    """

    def __init__(self, directory: Path, own: Identity, other: Identity) -> None:
        self.address = "127.0.0.1"
        self.user = USER
        self.password = f"{secrets.token_hex(6)} \"'#:="
        self.password_file = str(directory / "password")
        self.system = SYSTEM
        self.name = NAME
        self.ca = str(own.certificate)
        self.fingerprint = own.fingerprint
        self._contexts = (own.context(), other.context())
        self._lock = threading.Lock()
        self._faults: dict[str, str] = {}
        self._state, self._ends = "On", 0.0
        self._goal = ""
        self._commands: list[str] = []
        self._token = ""
        self._task, self._tasks = "", 0
        self._server = _Server(self)
        self.port = int(self._server.server_address[1])

    def power(self) -> str:
        """`on` or `off`; on its way it is still on."""
        with self._lock:
            return "off" if self._now() == "Off" else "on"

    def become(self, state: str) -> None:
        """Put the system into a state behind everybody's back."""
        with self._lock:
            self._state, self._goal, self._task, self._token = state.capitalize(), "", "", ""

    def commands(self) -> list[str]:
        """Every reset that it was sent, oldest first: `off`, `on`, or Redfish's word for another one."""
        with self._lock:
            return list(self._commands)

    def left(self) -> int:
        """How many sessions somebody opened and did not close."""
        with self._lock:
            return int(bool(self._token))

    def fault(self, name: str, value: str | None) -> None:
        """Break it, or heal it with None."""
        with self._lock:
            if value is None:
                self._faults.pop(name, None)
                if name == "dies":
                    self._faults.pop("silent", None)
            else:
                self._faults[name] = value

    def context(self) -> ssl.SSLContext:
        """The certificate that a new connection is shown."""
        with self._lock:
            return self._contexts["impostor" in self._faults]

    def silent(self) -> bool:
        """Whether requests are read and never answered."""
        with self._lock:
            return "silent" in self._faults

    def hangs_up(self) -> bool:
        """Whether each connection is closed after one answer."""
        with self._lock:
            return "hang-up" in self._faults

    def serve(self) -> None:
        """Answer until `close`."""
        self._server.serve_forever(0.1)

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Status, headers and what becomes JSON."""
        with self._lock:
            left = int(self._faults.get("busy", "0"))
            if left:
                self._faults["busy"] = str(left - 1)
                return _no(503, "ServiceTemporarilyUnavailable", {"Retry-After": "1"})
            if "moved" in self._faults and not path.startswith(MOVED):
                return 308, {"Location": f"{MOVED}{path}"}, None
            path = path.removeprefix(MOVED)
            if path.rstrip("/") == ROOT.rstrip("/"):
                return 200, {}, _ROOT
            if path == RESET and self._faults.pop("forget", None) is not None:
                self._token = ""
            if path.startswith(SESSIONS):
                return self._session(method, headers, body)
            if not self._known(headers):
                return _no(401, "NoValidSession")
            if path.startswith(MONITOR):
                return self._follow()
            if path == RESET and method == "POST":
                return self._reset(headers, body)
            return self._read(path)

    def _read(self, path: str) -> Reply:
        if path == SYSTEMS:
            return 200, {}, _COLLECTION
        if path == INFO:
            allowed = {"Name": "ResetType", "Required": True, "AllowableValues": self._allowed()}
            return 200, {}, {"@odata.id": INFO, "Id": "ResetActionInfo", "Parameters": [allowed]}
        if path != SYSTEM:
            return _no(404, "ResourceMissingAtURI")
        if "fail-get" in self._faults:
            return _no(int(self._faults["fail-get"]), "InsufficientPrivilege")
        reset: dict[str, object] = {"target": RESET}
        if {"action-info", "only-info"} & set(self._faults):
            reset["@Redfish.ActionInfo"] = INFO
        else:
            reset["ResetType@Redfish.AllowableValues"] = self._allowed()
        system = _SYSTEM | {"PowerState": self._now(), "Actions": {"#ComputerSystem.Reset": reset}}
        return 200, {"ETag": self._etag()}, system

    def _reset(self, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            kind = str(json.loads(body)["ResetType"])
        except (ValueError, KeyError, TypeError):
            return _no(400, "MalformedJSON")
        if "etag" in self._faults and headers.get("if-match") != self._etag():
            return _no(428, "PreconditionRequired")
        self._commands.append({"ForceOff": "off", "On": "on", "ForceOn": "on"}.get(kind, kind))
        code, _, rest = self._faults.get("codes", "").partition(" ")
        if code:
            self._faults["codes"] = rest
            # 409 passes only when the BMC says why; the others do without a word.
            return _no(int(code), "ResourceInUse" if code == "409" else "GeneralError")
        if "fail-set" in self._faults:
            return _no(int(self._faults["fail-set"]), "InsufficientPrivilege")
        if "fail-on" in self._faults and WAYS.get(kind) == "On":
            return _no(int(self._faults["fail-on"]), "InsufficientPrivilege")
        if kind not in self._allowed():
            return _no(400, "ActionParameterNotSupported")
        if "dies" in self._faults:
            self._faults["silent"] = self._faults.pop("dies")
            return 204, {}, None
        if "ignore-set" in self._faults:
            if self._faults["ignore-set"] == "1":
                del self._faults["ignore-set"]
            return 204, {}, None
        task = self._faults.get("task", "")
        seconds = TASK_TIME if task else float(self._faults.get("delay-off", "0"))
        if task in ("", "Completed"):
            self._goal, self._ends = WAYS.get(kind, self._state), time.monotonic() + seconds
        if not task:
            return 204, {}, None
        self._tasks += 1
        self._task, self._ends = task, time.monotonic() + TASK_TIME
        place = f"{MONITOR}{self._tasks}"
        # A service must name the place in a header (DSP0266); some do it in the body alone.
        if task == "Completed":
            return 202, {"Location": place}, _task("Running")
        return 202, {}, _task("Running") | {"@odata.id": place}

    def _follow(self) -> Reply:
        if time.monotonic() < self._ends:
            return 202, {}, _task("Running")
        return (200, {}, _task(self._task)) if self._task else _no(404, "ResourceMissingAtURI")

    def _session(self, method: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if method == "DELETE" and self._known(headers):
            self._token = ""
            return 204, {}, None
        left = int(self._faults.get("full", "0"))
        if left:
            self._faults["full"] = str(left - 1)
            return _no(503, "SessionLimitExceeded")
        password = self._faults.get("password", self.password)
        if method != "POST" or json.loads(body) != {"UserName": self.user, "Password": password}:
            return _no(401, "ResourceAtUriUnauthorized")
        self._token = secrets.token_hex(8)
        place = f"{SESSIONS}/1"
        return 201, {"X-Auth-Token": self._token, "Location": place}, {"@odata.id": place, "Id": "1"}

    def _known(self, headers: Mapping[str, str]) -> bool:
        password = self._faults.get("password", self.password)
        basic = base64.b64encode(f"{self.user}:{password}".encode()).decode()
        token = headers.get("x-auth-token", "")
        return headers.get("authorization", "") == f"Basic {basic}" or bool(token and token == self._token)

    def _now(self) -> str:
        if self._goal and time.monotonic() >= self._ends:
            self._state, self._goal = self._goal, ""
        return f"Powering{self._goal}" if self._goal and self._goal != self._state else self._state

    def _allowed(self) -> list[str]:
        only = self._faults.get("only") or self._faults.get("only-info")
        return only.split() if only else list(ALLOWED)

    def _etag(self) -> str:
        return f'W/"{len(self._commands)}-{self._now()}"'


def _task(state: str) -> dict[str, object]:
    failed = state not in ("Running", "Completed")
    told = [
        {"MessageId": "Base.1.8.InternalError", "Message": "The request failed due to an internal error."}
    ]
    return {"@odata.type": "#Task.v1_4_3.Task", "Id": "1", "Name": "Reset", "TaskState": state,
            "TaskStatus": "Critical" if failed else "OK", "Messages": told if failed else []}  # fmt: skip


def _no(status: int, name: str, headers: dict[str, str] | None = None) -> Reply:
    told = {
        "MessageId": f"Base.1.8.{name}",
        "Message": f"The rehearsal answers {name}.",
        "Severity": "Critical",
    }
    error = {"code": f"Base.1.8.{name}", "message": told["Message"], "@Message.ExtendedInfo": [told]}
    return status, headers or {}, {"error": error}


_ROOT = {
    "@odata.type": "#ServiceRoot.v1_5_0.ServiceRoot", "@odata.id": ROOT, "Id": "RootService", "Name": "Root Service",
    "RedfishVersion": "1.6.0", "Systems": {"@odata.id": SYSTEMS}, "Links": {"Sessions": {"@odata.id": SESSIONS}},
    "SessionService": {"@odata.id": "/redfish/v1/SessionService"},
}  # fmt: skip
_COLLECTION = {
    "@odata.type": "#ComputerSystemCollection.ComputerSystemCollection", "@odata.id": SYSTEMS, "Name": "Systems",
    "Members@odata.count": 1, "Members": [{"@odata.id": SYSTEM}],
}  # fmt: skip
_SYSTEM: dict[str, object] = {
    "@odata.type": "#ComputerSystem.v1_10_0.ComputerSystem", "@odata.id": SYSTEM, "Id": "rehearsal",
    "Name": "rehearsal", "SystemType": "Physical", "Status": {"State": "Enabled", "Health": "OK"},
}  # fmt: skip


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, bmc: LoopbackRedfish) -> None:
        super().__init__((bmc.address, 0), _Handler)
        self.bmc = bmc

    def get_request(self) -> tuple[socket.socket, object]:
        plain, place = self.socket.accept()
        plain.settimeout(PATIENCE)
        # The handshake is the handler's: a client that does not finish it holds nobody else up.
        tls = self.bmc.context().wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        return tls, place

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: an agent that does not like the certificate hangs up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing: the simulator remembers what it was asked."""

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if self.server.bmc.silent():
            self.rfile.read(1)  # until the agent has given it up
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, more, found = self.server.bmc.answer(self.command, self.path, headers, body)
        data = b"" if found is None else json.dumps(found).encode()
        self.send_response(status)
        for name, value in {"OData-Version": "4.0", "Content-Type": "application/json", **more}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        # Without a word about it: the next request on this connection is lost.
        self.close_connection = self.close_connection or self.server.bmc.hangs_up()

    do_GET = do_POST = do_DELETE = _answer


@contextlib.contextmanager
def simulator() -> Iterator[LoopbackRedfish]:
    """Run a BMC. Its password has a blank, a colon and quotes in it: an agent that damages those is found."""
    with tempfile.TemporaryDirectory(prefix="backstay-rehearsal-") as name:
        directory = Path(name)
        bmc = LoopbackRedfish(directory, identity(directory, "own", NAME), identity(directory, "other", NAME))
        file = Path(bmc.password_file)
        file.touch(mode=0o600)
        file.write_text(f"{bmc.password}\n", encoding="ascii")
        thread = threading.Thread(target=bmc.serve, name="redfish-rehearsal", daemon=True)
        thread.start()
        try:
            yield bmc
        finally:
            bmc.close()
            thread.join(PATIENCE)
