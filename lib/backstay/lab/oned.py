# SPDX-License-Identifier: GPL-2.0-or-later
"""The stand-in for oned as a service: XML-RPC with a password, a state that outlives it, and faults.

`python3 -m backstay.lab.oned DIRECTORY PORT HOST...`. DIRECTORY holds `one_auth` (user:password), `state.json`, and the
faults, each a file: `hang` (takes connections, never answers), `slow` (seconds before an answer), `error` (answers with
an internal error), `version` (what it calls itself), `hooks` (commands), `restarts` (what it does not see any more it
starts elsewhere at once, as its hook for hosts in error does). `wishes` holds machines to be made: NAME HOST, one a
line. With a file `libvirt` its hosts are real (oned_libvirt). Without, DIRECTORY/hosts/HOST holds what runs there, one
number a line, and a host without that file does not answer. `interval` is how often a host is monitored, in seconds.
Source of methods and codes: OpenNebula's XML-RPC API.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from backstay.errors import BadInput
from backstay.host.durable import replace
from backstay.lab import oned_xml
from backstay.lab.oned_libvirt import Libvirt
from backstay.lab.oned_model import INTERNAL, Model, Refusal

VERSION = "7.2.0"
DENIED, UNKNOWN_METHOD, WRONG_PARAMETERS = 0x0100, -506, -501
SIGNATURES = {
    "one.system.version": "", "one.user.info": "i", "one.hookpool.info": "iii", "one.hostpool.info": "",
    "one.host.info": "i", "one.host.status": "ii", "one.vmpool.info": "iiii", "one.vmpool.infoextended": "iiii",
    "one.vm.info": "i", "one.vm.action": "si", "one.vm.recover": "ii", "one.vm.update": "is",
}  # fmt: skip
"""What each method needs after the session, a letter for each (i: integer, s: text); oned takes none without."""
TICK = 0.2  # seconds


class Files:
    """The world of the stand-in: hosts are files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def runs(self, host: str) -> frozenset[int] | None:
        """The machines that run on a host."""
        try:
            return frozenset(map(int, (self.directory / "hosts" / host).read_text().split()))
        except (OSError, ValueError):
            return None

    def boot(self, host: str, vm: int) -> bool:
        """Start a machine on a host, where it may run already."""
        there = self.runs(host)
        if there is None:
            return False
        text = "".join(f"{each}\n" for each in sorted(there | {vm}))
        replace(str(self.directory / "hosts" / host), text.encode())
        return True


class Oned:
    """The service: one model, one lock, what is asked of it and what it writes down."""

    def __init__(self, directory: Path, hosts: Sequence[str], interval: float) -> None:
        self.directory = directory
        world = Libvirt(directory) if (directory / "libvirt").exists() else Files(directory)
        self.model = Model(world, hosts, interval)
        self.lock = threading.Lock()
        self.calls: list[tuple[object, ...]] = []
        with suppress(FileNotFoundError):
            self.model.restore(json.loads((directory / "state.json").read_text()))

    def fault(self, name: str) -> str | None:
        """What a fault says; None when it is not there."""
        try:
            return (self.directory / name).read_text().strip()
        except OSError:
            return None

    def tick(self) -> None:
        """Let time pass, and write down what is known now."""
        with self.lock:
            self._wishes()
            self.model.tick()
            if self.fault("restarts") is not None:
                self.model.restart_what_is_missed()
            replace(str(self.directory / "state.json"), json.dumps(self.model.kept()).encode())

    def _wishes(self) -> None:
        wished = self.fault("wishes")
        if wished:
            (self.directory / "wishes").unlink()
            for line in wished.splitlines():
                name, host = line.split()[:2]
                vm = self.model.place(name, host)
                self.model.world.boot(host, vm.number)

    def answer(self, method: str, words: Sequence[Any]) -> list[object]:
        """Answer a call as oned does: whether, what, and a code; raises the fault of a call that lacks something."""
        session, *given = words or [""]
        if str(session) != self.fault("one_auth"):
            return [False, f"[{method}] User couldn't be authenticated, aborting call.", DENIED, -1]
        if self.fault("error") is not None:
            return [False, f"[{method}] Error connecting to the database.", INTERNAL, -1]
        given = list(_fitting(method, given))
        with self.lock:
            try:
                said = self.methods()[method](*given)
            except Refusal as refusal:
                return [False, f"[{method}] {refusal}", refusal.code, -1]
        if method.rpartition(".")[2] not in ("info", "infoextended", "version"):
            with (self.directory / "calls").open("a") as calls:
                calls.write(json.dumps([method, *given]) + "\n")
        return [True, said, 0, -1]

    def methods(self) -> dict[str, Callable[..., object]]:
        """What can be asked."""
        model = self.model

        def done(deed: Callable[..., None], number: int) -> Callable[..., int]:
            def do(*words: Any) -> int:
                deed(*words)
                return int(words[number])

            return do

        return {
            "one.system.version": lambda: self.fault("version") or VERSION,
            "one.user.info": lambda *_: oned_xml.user(),
            "one.hookpool.info": lambda *_: oned_xml.hooks((self.fault("hooks") or "").split()),
            "one.hostpool.info": lambda: oned_xml.hosts(model),
            "one.host.info": lambda number, *_: oned_xml.host(model, model.host(number)),
            "one.host.status": done(model.status, 0),
            "one.vmpool.info": lambda _filter, _first, _last, state, *_: oned_xml.vms(model, state),
            "one.vmpool.infoextended": lambda _filter, _first, _last, state, *_: oned_xml.vms_extended(
                model, state
            ),
            "one.vm.info": lambda number, *_: oned_xml.vm(model, model.vm(number)),
            "one.vm.action": done(model.act, 1),
            "one.vm.recover": done(model.recover, 0),
            "one.vm.update": done(self._update, 0),
        }

    def _update(self, number: int, template: str, _merge: int) -> None:
        pairs = (line.partition("=") for line in template.splitlines() if "=" in line)
        self.model.vm(number).user.update({name.strip(): value.strip(' "') for name, _, value in pairs})


def _fitting(method: str, given: Sequence[Any]) -> Sequence[Any]:
    """Give the parameters of a call when they are what the method needs."""
    if method not in SIGNATURES:
        raise xmlrpc.client.Fault(UNKNOWN_METHOD, f"Method '{method}' not defined")
    needed = SIGNATURES[method]
    if len(given) < len(needed):
        raise xmlrpc.client.Fault(WRONG_PARAMETERS, "Not enough parameters")
    for kind, word in zip(needed, given, strict=False):
        if not isinstance(word, int if kind == "i" else str):
            raise xmlrpc.client.Fault(WRONG_PARAMETERS, f"{word!r} is not what {method} needs there")
    return given


def handler_of(oned: Oned) -> type[BaseHTTPRequestHandler]:
    """The handler of a server's requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server wants
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            while oned.fault("hang") is not None:
                time.sleep(TICK)
            slow = oned.fault("slow")
            if slow is not None:
                time.sleep(float(slow))
            words, method = xmlrpc.client.loads(body.decode())
            try:
                text = xmlrpc.client.dumps((oned.answer(str(method), words),), methodresponse=True)
            except xmlrpc.client.Fault as fault:
                text = xmlrpc.client.dumps(fault)
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def server_of(oned: Oned, port: int, address: str = "127.0.0.1") -> ThreadingHTTPServer:
    """A server that is bound, and not serving yet; port 0 is any that is free."""
    server = ThreadingHTTPServer((address, port), handler_of(oned))
    server.daemon_threads = True
    return server


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM."""
    if len(arguments) < 2:
        raise BadInput("the stand-in for oned needs a directory, a port and the names of its hosts")
    directory, port, *hosts = arguments
    oned = Oned(Path(directory), hosts, float((Path(directory) / "interval").read_text()))
    server = server_of(oned, int(port), "0.0.0.0")  # noqa: S104  (as the real one)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ends.append(number))
    while not ends:
        oned.tick()
        time.sleep(TICK)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
