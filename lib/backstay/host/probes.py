# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions to services: HTTP, TCP, XML-RPC, a command; all at once, each in a child with its own deadline.

Decides what counts as an answer. Nothing heavy is imported in the process that asks: the children do that.
"""

from __future__ import annotations

import time

from backstay.errors import CannotAsk
from backstay.host import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Protocol
    from urllib.request import BaseHandler

    class Probe(Protocol):
        """What is asked (agents.frontend_profile.Probe)."""

        name: str
        kind: str
        target: str
        within: float
        required: bool
        status: tuple[int, ...]
        text: str
        method: str
        words: tuple[str, ...]
        insecure: bool
        slow: float
        without: str


LARGEST = 1 << 20  # bytes of an answer that are looked at
SPARE = 1.0  # seconds that a child gets beyond the deadline of what it asks, to say so itself
FILE, NUMBER = "{file:", "{int:"


class Answer:
    """How a probe was answered: `trouble` is empty when it was; `late` (not in time) and `slow` say how."""

    __slots__ = ("late", "name", "required", "seconds", "slow", "trouble")

    def __init__(
        self, name: str, required: bool, trouble: str = "", seconds: float = 0.0, late: bool = False
    ) -> None:
        self.name = name
        self.required = required
        self.trouble = trouble
        self.seconds = seconds
        self.late = late
        self.slow = False

    def __repr__(self) -> str:
        return f"Answer({self.name}: {self.trouble or 'good'}, {self.seconds:.3f} s)"


def ask(probes: Sequence[Probe], at_most: float) -> tuple[Answer, ...]:
    """Ask all, and give the answers in the same order. Takes as long as the slowest, `at_most` seconds at most."""
    began = time.monotonic()
    pending = [child.Pending(_question(probe)) for probe in probes]
    try:
        return tuple(
            _answer(probe, each, began, min(probe.within + SPARE, at_most))
            for probe, each in zip(probes, pending, strict=True)
        )
    finally:
        for each in pending:
            each.abandon()


def _answer(probe: Probe, pending: child.Pending, began: float, within: float) -> Answer:
    late = Answer(
        probe.name, probe.required, f"no answer within {min(within, probe.within):g} s", within, True
    )
    if not pending.wait(max(began + within - time.monotonic(), 0.0)):
        return late
    try:
        trouble, seconds, timed_out = pending.answer()
    except CannotAsk as error:
        return Answer(probe.name, probe.required, str(error), time.monotonic() - began)
    if timed_out:
        late.trouble = trouble or late.trouble
        return late
    answer = Answer(probe.name, probe.required, trouble, seconds)
    answer.slow = 0.0 < probe.slow < seconds
    return answer


def _question(probe: Probe) -> Callable[[], tuple[str, float, bool]]:
    ways = {"http": _http, "tcp": _tcp, "xmlrpc": _xmlrpc, "command": _command}
    way = ways[probe.kind]

    def question() -> tuple[str, float, bool]:
        began = time.monotonic()
        try:
            trouble = way(probe)
        except TimeoutError as late:
            said = "" if late.errno or str(late).endswith("timed out") else str(late)
            return said, time.monotonic() - began, True
        except OSError as error:
            trouble = error.strerror or str(error)
        return trouble, time.monotonic() - began, False

    return question


def _word(word: str) -> str:
    """Give a word, or the content of the file that it names: secrets stand in files, never in a profile."""
    if not (word.startswith(FILE) and word.endswith("}")):
        return word
    with open(word[len(FILE) : -1], encoding="utf-8") as file:  # noqa: PTH123
        return file.read().strip()


def _value(word: str) -> str | int:
    """Give what a word stands for in a call: a number, the content of a file, or itself."""
    digits = word.removeprefix(NUMBER).removesuffix("}")
    return int(digits) if word.startswith(NUMBER) and digits.removeprefix("-").isdecimal() else _word(word)


def _http(probe: Probe) -> str:
    import urllib.error
    import urllib.request

    class Quiet(urllib.request.HTTPRedirectHandler):
        """An answer that leads elsewhere is an answer."""

        def redirect_request(self, *_: object, **__: object) -> None:
            return None

    handlers: list[urllib.request.BaseHandler] = [Quiet(), urllib.request.ProxyHandler({})]
    if probe.insecure:
        handlers.append(_unchecked())
    opener = urllib.request.build_opener(*handlers)
    request = urllib.request.Request(probe.target, headers={"User-Agent": "backstay"})  # noqa: S310  (from the admin)
    try:
        with opener.open(request, timeout=probe.within) as said:
            status, body = said.status, said.read(LARGEST)
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read(LARGEST)
    except urllib.error.URLError as error:
        if isinstance(error.reason, OSError):
            raise error.reason from None
        return str(error.reason)
    good = status in probe.status if probe.status else 200 <= status < 400
    if not good:
        return f"HTTP status {status}"
    return _lacks(probe, body.decode("utf-8", "replace"))


def _unchecked() -> BaseHandler:
    import ssl
    import urllib.request

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib.request.HTTPSHandler(context=context)


def _tcp(probe: Probe) -> str:
    with _connected(probe.target, probe.within) as connection:
        if not probe.text:
            return ""
        connection.settimeout(probe.within)
        said = b""
        while probe.text.encode() not in said and len(said) < LARGEST:
            part = connection.recv(4096)
            if not part:
                break
            said += part
    return _lacks(probe, said.decode("utf-8", "replace"))


def _connected(target: str, within: float) -> socket.socket:
    """Connect to host:port, or to the socket at a path."""
    import socket

    if not target.startswith("/"):
        host, _, port = target.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), within)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(within)
    connection.connect(target)
    return connection


def _xmlrpc(probe: Probe) -> str:
    import socket
    import urllib.parse
    import xmlrpc.client

    socket.setdefaulttimeout(probe.within)
    address = urllib.parse.urlsplit(probe.target)
    # One that hangs still takes connections; one that is down does not.
    socket.create_connection((address.hostname or "", address.port or 80), probe.within).close()
    try:
        server = xmlrpc.client.ServerProxy(probe.target, allow_none=True)
        said = getattr(server, probe.method)(*map(_value, probe.words))
    except TimeoutError:
        raise TimeoutError(
            f"it hangs: takes connections and gives no answer within {probe.within:g} s"
        ) from None
    except xmlrpc.client.Fault as fault:
        return f"fault {fault.faultCode}: {fault.faultString}"
    except xmlrpc.client.ProtocolError as error:
        return f"HTTP status {error.errcode}"
    except xmlrpc.client.Error as error:
        return f"no XML-RPC: {error}"
    if isinstance(said, list) and len(said) > 1 and said[0] is False:
        return f"it says no: {said[1]}"  # OpenNebula's way: whether it succeeded, then what it says
    return _lacks(probe, str(said))


def _command(probe: Probe) -> str:
    from backstay.host.process import ProcessTimedOut, ToolMissing, run

    try:
        done = run([_word(word) for word in probe.words], timeout=probe.within)
    except ProcessTimedOut:
        raise TimeoutError from None
    except ToolMissing as missing:
        return str(missing)
    if done.returncode not in (probe.status or (0,)):
        return f"exit code {done.returncode}: {done.complaint()}"
    return _lacks(probe, done.stdout)


def _lacks(probe: Probe, said: str) -> str:
    if probe.without and probe.without in said:
        return f"its answer has {probe.without!r}"
    if not probe.text or probe.text in said:
        return ""
    shown = " ".join(said.split())[:60]
    return f"its answer has no {probe.text!r}: {shown!r}"
