# SPDX-License-Identifier: GPL-2.0-or-later
"""The questions of a role to real services: what each kind takes for an answer, and that each has a deadline of its own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server, socket
from typing import Any

import pytest

from backstay.agents.frontend_profile import COMMAND, HTTP, TCP, XMLRPC, Probe
from backstay.host.probes import Answer, ask
from tests.integration.fencing.certificates import Authority

SAID = "the page is ready"


class Page(BaseHTTPRequestHandler):
    """/page has a text, /moved leads elsewhere, everything else is not there."""

    def do_GET(self) -> None:
        status = {"/page": 200, "/moved": 302}.get(self.path, 404)
        self.send_response(status)
        self.send_header("Content-Length", str(len(SAID)))
        self.end_headers()
        self.wfile.write(SAID.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same with a certificate of somebody whom this machine does not know."""
    made = Authority(tmp_path_factory.mktemp("tls"), "authority").certificate("n1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.path, made.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def deaf() -> Iterator[str]:
    """A service that is stopped: the kernel takes connections for it, and it never says a word."""
    with create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def nobody() -> str:
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"


def answer(kind: str, target: str = "", **given: Any) -> Answer:
    (said,) = ask([Probe("it", kind, target, **{"within": 10.0, **given})], 30.0)
    return said


@pytest.mark.parametrize(
    ("path", "given", "trouble"),
    [
        ("page", {}, ""),
        ("page", {"text": "is ready"}, ""),
        ("page", {"text": "is gone"}, "its answer has no 'is gone': 'the page is ready'"),
        ("page", {"without": "ready"}, "its answer has 'ready'"),
        ("page", {"status": [204]}, "HTTP status 200"),
        ("moved", {}, ""),
        ("moved", {"status": [302]}, ""),
        ("other", {}, "HTTP status 404"),
        ("other", {"status": [200, 404]}, ""),
    ],
)
def test_http_is_its_status_and_its_text(page: str, path: str, given: dict[str, Any], trouble: str) -> None:
    assert answer(HTTP, f"http://{page}/{path}", **given).trouble == trouble


def test_a_certificate_counts_unless_nobody_asked_for_it(secure: str) -> None:
    assert "certificate verify failed" in answer(HTTP, f"https://{secure}/page").trouble
    assert answer(HTTP, f"https://{secure}/page", insecure=True, text="ready").trouble == ""


def test_tcp_takes_a_connection_and_may_have_to_greet(page: str, nobody: str, tmp_path: Path) -> None:
    assert answer(TCP, page).trouble == ""
    assert answer(TCP, nobody).trouble == "Connection refused"
    with create_server(("127.0.0.1", 0)) as listening:
        greeted = threading.Thread(target=lambda: listening.accept()[0].sendall(b"5.5.5-10.11 ready\n"))
        greeted.start()
        assert answer(TCP, f"127.0.0.1:{listening.getsockname()[1]}", text="ready").trouble == ""
        greeted.join()


def test_a_command_is_its_exit_code_and_what_it_says() -> None:
    assert answer(COMMAND, words=["/bin/true"]).trouble == ""
    assert answer(COMMAND, words=["/bin/sh", "-c", "echo no >&2; exit 3"]).trouble == "exit code 3: no"
    assert answer(COMMAND, words=["/bin/sh", "-c", "exit 3"], status=[3]).trouble == ""
    assert "has no 'up'" in answer(COMMAND, words=["/bin/echo", "down"], text="up").trouble


def test_what_is_down_is_told_apart_from_what_hangs(deaf: str, nobody: str) -> None:
    """Whoever only connects takes a stopped service for a good one."""
    assert answer(TCP, deaf).trouble == ""
    for kind, target in ((HTTP, f"http://{deaf}/"), (HTTP, f"https://{deaf}/"), (XMLRPC, f"http://{deaf}/")):
        hung = answer(kind, target, within=0.5, insecure=True, method="any")
        assert hung.late, hung
        assert "no answer within 0.5 s" in hung.trouble
        down = answer(kind, target.replace(deaf, nobody), insecure=True, method="any")
        assert (down.late, down.trouble) == (False, "Connection refused")
    greeting = answer(TCP, deaf, within=0.5, text="ready")
    assert (greeting.late, greeting.trouble) == (True, "no answer within 0.5 s")
    sleeping = answer(COMMAND, words=["/bin/sleep", "60"], within=0.5)
    assert (sleeping.late, sleeping.trouble) == (True, "no answer within 0.5 s")


def test_each_has_a_deadline_of_its_own_and_none_waits_for_another(page: str, deaf: str) -> None:
    asked = [
        Probe("hung", HTTP, f"http://{deaf}/", within=1.0),
        Probe("hung longer", HTTP, f"http://{deaf}/", within=2.0),
        Probe("good", HTTP, f"http://{page}/page", within=60.0),
        Probe("slow", COMMAND, words=["/bin/sleep", "0.5"], within=60.0, slow=0.1),
    ]
    said = ask(asked, 60.0)
    assert [(each.late, each.slow) for each in said] == [
        (True, False), (True, False), (False, False), (False, True),
    ]  # fmt: skip
    assert "1 s" in said[0].trouble
    assert "2 s" in said[1].trouble
