# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC with Redfish: sushy-tools' emulator behind an HTTPS proxy of our own, which breaks it in each way.

Power, accounts and resources are the emulator's; what the proxy adds are sessions, tasks, ETags and faults. A fault is
an entry of `faults`, read again for each request; see `Proxy` for what they mean.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.integration.fencing.certificates import Certificate

USER = "fencer"
SECOND = "fencer2"  # with the same password
# Blanks, quotes, a colon and more than Latin-1 are part of it; the bench gives one that fence_redfish can send, too.
PASSWORD = os.environ.get("BACKSTAY_BENCH_PASSWORD", "f p\"a's:€")
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
TOKEN = "t0ken-of-a-session"
SESSIONS = "/redfish/v1/SessionService/Sessions"
ACCOUNTS = "/redfish/v1/AccountService"
TASK = "/redfish/v1/TaskService/TaskMonitors/7"
ETAG = 'W/"12"'
OFF_FOR_GOOD = 60.0  # seconds that a fault may last; every test is over by then


def uuid_of(number: int) -> str:
    """The id of an emulated machine, which is its UUID as well."""
    return f"00000000-0000-4000-8000-{number:012d}"


@dataclass
class Emulator:
    """A running emulator; `port` on 127.0.0.1."""

    port: int
    handed_out: int = 0

    def ask(self, method: str, path: str, body: bytes = b"", account: str = BASIC) -> tuple[int, dict, bytes]:
        """One plain request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Authorization": account} if account else {}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def fresh(self) -> str:
        """The path of a machine that is on and that no test has used yet."""
        self.handed_out += 1
        return f"/redfish/v1/Systems/{uuid_of(self.handed_out - 1)}"


@contextlib.contextmanager
def emulator(directory: Path, systems: int, certificate: Certificate | None = None) -> Iterator[Emulator]:
    """sushy-tools' emulator as a process; with a certificate it speaks HTTPS itself."""
    import bcrypt

    directory.mkdir()
    secret = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (directory / "users").write_text(f"{USER}:{secret}\n{SECOND}:{secret}\n")
    argv = [sys.executable, "-m", "tests.integration.fencing.sushy_bmc", str(directory), str(systems)]
    argv += [str(certificate.path), str(certificate.key)] if certificate else []
    top = Path(__file__).resolve().parents[3]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True, cwd=top)
    try:
        word, _, port = process.stdout.readline().partition(" ")
        assert word == "listening", (directory / "log").read_text()
        yield Emulator(int(port))
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def extended(name: str, text: str) -> bytes:
    """An error as Redfish has it."""
    told = {"MessageId": f"Base.1.8.{name}", "Message": text}
    return json.dumps(
        {"error": {"code": f"Base.1.8.{name}", "message": text, "@Message.ExtendedInfo": [told]}}
    ).encode()


@dataclass
class Proxy:
    """One BMC: a machine of the emulator behind HTTPS, with faults.

    For every request: `hangup` (the connection is closed after it, without a word), `latency` (s), `drop`, `silent`, `drip` (bytes with pauses), `busy` (so many 503, or for ever),
    `status` (an HTTP status for GETs of the system), `move` (a Location for everything but what is below it, `moved`: with which status),
    `body` (an answer to GETs of the system).
    For a reset: `lie` (204 and nothing), `delay` (s until it is done; PoweringOff meanwhile), `refuse` (status, message
    id, words), `ignore` (no answer), `task` (ok or a TaskState in which it ends), `match` (428 without If-Match).
    For the system: `allow` (reset types), `info` (the same in an ActionInfo), `plain` (neither).
    For sessions: `full`, `forget` (once, at a reset, the token is not known any more).
    For the account: `role` (its name and privileges; without it the service shows no accounts, as the emulator's does).
    """

    emulator: Emulator
    system: str
    faults: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)  # how it was authenticated
    sessions: int = 0
    port: int = 0
    pending: str = ""
    task: str = "Running"
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def power(self) -> str:
        """What the machine says when nobody is in between."""
        return json.loads(self.emulator.ask("GET", self.system)[2])["PowerState"]

    def become(self, state: str) -> None:
        """Switch the machine behind everybody's back."""
        way = {"Off": "ForceOff", "On": "On"}[state]
        self.reset(json.dumps({"ResetType": way}).encode())
        assert self.power == state

    def reset(self, body: bytes) -> tuple[int, dict, bytes]:
        """Let the emulator do it."""
        return self.emulator.ask("POST", f"{self.system}/Actions/ComputerSystem.Reset", body)

    def resets(self) -> int:
        """How many resets were asked for."""
        return sum(method == "POST" and path.endswith("Reset") for method, path in self.requests)

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict, bytes] | None:
        """Status, headers and body; None for no answer at all."""
        if "busy" in self.faults:
            left = self.faults["busy"]
            if left.isdigit():
                self.faults["busy"] = str(max(0, int(left) - 1))
            if left != "0":
                return (
                    503,
                    {"Retry-After": "1"},
                    extended("ServiceTemporarilyUnavailable", "Come back later."),
                )
        if path.startswith(SESSIONS):
            return self._session(method, path, headers, body)
        if path == TASK:
            return self._task()
        if "move" in self.faults and not path.startswith("/moved"):
            return (
                int(self.faults.get("moved", "308")),
                {"Location": self.faults["move"].format(path=path)},
                b"",
            )
        path = path.removeprefix("/moved")
        account = headers.get("authorization", "")
        self.kinds.add(account.split(" ")[0] or ("token" if "x-auth-token" in headers else "nothing"))
        if headers.get("x-auth-token") == TOKEN and self.sessions:
            if method == "POST" and self.faults.pop("forget", None) is not None:
                self.sessions -= 1
                return 401, {}, extended("NoValidSession", "There is no valid session.")
            account = BASIC
        if method == "POST" and path.endswith("/ComputerSystem.Reset"):
            return self._reset(account, headers, body)
        return self._read(method, path, account)

    def _read(self, method: str, path: str, account: str) -> tuple[int, dict, bytes]:
        if "role" in self.faults and path.startswith(ACCOUNTS):
            return self._account(path)
        if path.endswith("/ResetActionInfo"):
            listed = {"Name": "ResetType", "AllowableValues": self.faults["info"].split()}
            return 200, {}, json.dumps({"Parameters": [{"Name": "Other"}, listed]}).encode()
        if path == self.system and "status" in self.faults:
            return int(self.faults["status"]), {}, extended("InternalError", "It broke; timed out.")
        if path == self.system and "body" in self.faults:
            return 200, {}, self.faults["body"].encode()
        status, _, text = self.emulator.ask(method, path, account=account)
        if path == "/redfish/v1/" and "role" in self.faults:
            root = json.loads(text) | {"AccountService": {"@odata.id": ACCOUNTS}}
            return status, {}, json.dumps(root).encode()
        if path != self.system or status != 200:
            return status, {}, text
        found = json.loads(text)
        found["PowerState"] = self.pending or found["PowerState"]
        action = found["Actions"]["#ComputerSystem.Reset"]
        if "allow" in self.faults:
            action["ResetType@Redfish.AllowableValues"] = self.faults["allow"].split()
        elif {"info", "plain"} & set(self.faults):
            del action["ResetType@Redfish.AllowableValues"]
            if "info" in self.faults:
                action["@Redfish.ActionInfo"] = f"{self.system}/ResetActionInfo"
        return 200, {"ETag": ETAG}, json.dumps(found).encode()

    def _account(self, path: str) -> tuple[int, dict, bytes]:
        name, *privileges = self.faults["role"].split()
        found = {
            ACCOUNTS: {"Accounts": {"@odata.id": f"{ACCOUNTS}/Accounts"}},
            f"{ACCOUNTS}/Accounts": {"Members": [{"@odata.id": f"{ACCOUNTS}/Accounts/{id}"} for id in ("root", "2")]},
            f"{ACCOUNTS}/Accounts/2": {
                "UserName": USER, "RoleId": name, "Links": {"Role": {"@odata.id": f"{ACCOUNTS}/Roles/{name}"}},
            },
            f"{ACCOUNTS}/Roles/{name}": {"Id": name, "AssignedPrivileges": privileges},
        }.get(path)  # fmt: skip
        if found is None:  # somebody else's account
            return 403, {}, extended("InsufficientPrivilege", "No.")
        return 200, {}, json.dumps(found).encode()

    def _reset(self, account: str, headers: dict[str, str], body: bytes) -> tuple[int, dict, bytes] | None:
        if account != BASIC:
            return 401, {}, extended("NoValidSession", "There is no valid session.")
        if "ignore" in self.faults:
            return None
        if "lie" in self.faults:
            return 204, {}, b""
        if "refuse" in self.faults:
            status, name, text = self.faults["refuse"].split(" ", 2)
            return int(status), {}, extended(name, text)
        if "match" in self.faults and headers.get("if-match") != ETAG:
            return 428, {}, extended("PreconditionRequired", "An ETag is needed.")
        if "delay" in self.faults:
            self.pending = "PoweringOff"
            threading.Thread(target=self._later, args=(body,), daemon=True).start()
            return 204, {}, b""
        if "task" in self.faults:
            threading.Thread(target=self._work, args=(body,), daemon=True).start()
            return 202, {"Location": f"https://bmc.internal{TASK}"}, b"{}"
        return self.reset(body)

    def _later(self, body: bytes) -> None:
        if not self.ended.wait(float(self.faults["delay"])):
            self.reset(body)
            self.pending = ""

    def _work(self, body: bytes) -> None:
        if not self.ended.wait(0.7):
            if self.faults["task"] == "ok":
                self.reset(body)
            self.task = "Completed" if self.faults["task"] == "ok" else self.faults["task"]

    def _task(self) -> tuple[int, dict, bytes]:
        told = [{"MessageId": "Base.1.8.InternalError", "Message": "The power supply would not let go."}]
        found = {"TaskState": self.task, "Messages": [] if self.task in ("Running", "Completed") else told}
        return 202 if self.task == "Running" else 200, {}, json.dumps(found).encode()

    def _session(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict, bytes]:
        if method == "POST":
            if "full" in self.faults:
                return 503, {}, extended("SessionLimitExceeded", "No more sessions.")
            if json.loads(body) != {"UserName": USER, "Password": PASSWORD}:
                return 401, {}, extended("ResourceAtUriUnauthorized", "No.")
            self.sessions += 1
            return 201, {"X-Auth-Token": TOKEN, "Location": f"{SESSIONS}/1"}, b"{}"
        if method == "DELETE" and headers.get("x-auth-token") == TOKEN:
            self.sessions -= 1
            return 204, {}, b""
        return 404, {}, b""


class Handler(BaseHTTPRequestHandler):
    """Carries requests to a Proxy and its answers back, as badly as its faults want."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy
    timeout = OFF_FOR_GOOD

    def log_message(self, *_: object) -> None:
        """Nothing: the proxy remembers what was asked."""

    def _carry(self) -> None:
        proxy = self.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        proxy.requests.append((self.command, self.path))
        headers = {name.lower(): value for name, value in self.headers.items()}
        proxy.ended.wait(float(proxy.faults.get("latency", "0")))
        answer = None
        if "drop" not in proxy.faults and "silent" not in proxy.faults:
            answer = proxy.answer(self.command, self.path, headers, body)
        if answer is None:
            if "drop" not in proxy.faults:
                proxy.ended.wait(OFF_FOR_GOOD)
            self.close_connection = True
            return
        status, more, text = answer
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}"]
        lines += [f"{name}: {value}" for name, value in more.items()]
        self._write("\r\n".join([*lines, "", ""]).encode() + text)
        self.close_connection = self.close_connection or "hangup" in proxy.faults

    def _write(self, data: bytes) -> None:
        if "drip" not in self.proxy.faults:
            self.wfile.write(data)
            return
        with contextlib.suppress(OSError):
            for byte in data:
                self.wfile.write(bytes([byte]))
                if self.proxy.ended.wait(float(self.proxy.faults["drip"])):
                    return

    do_GET = do_POST = do_DELETE = _carry


class Server(ThreadingHTTPServer):
    """Each connection has a thread, the TLS handshake included, so that a bad one holds up nobody."""

    daemon_threads = True

    def __init__(self, handler: type[Handler], context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._context = context

    def finish_request(self, request, client_address) -> None:
        with contextlib.suppress(OSError):
            tls = self._context.wrap_socket(request, server_side=True)
            with contextlib.closing(tls):
                self.RequestHandlerClass(tls, client_address, self)

    def handle_error(self, *_: object) -> None:
        """A client that went away is what some tests are about."""


@contextlib.contextmanager
def proxied(emulated: Emulator, certificate: Certificate, **faults: str) -> Iterator[Proxy]:
    """A BMC of its own for one test: a fresh machine behind a proxy with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    proxy = Proxy(emulated, emulated.fresh(), dict(faults))
    server = Server(type("Bound", (Handler,), {"proxy": proxy}), context)
    proxy.port = server.server_address[1]
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield proxy
    finally:
        proxy.ended.set()
        server.shutdown()
        server.server_close()


def wait_until(seen, seconds: float = 5.0) -> bool:
    """Whether something became true in time."""
    end = time.monotonic() + seconds
    while not seen() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(seen())
