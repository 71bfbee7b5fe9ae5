# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenNebula's XML-RPC interface: one call, asked in a child that can be abandoned.

Decides what an answer means: every method answers with whether it succeeded, what it says, and a code.
Source: OpenNebula's XML-RPC API (codes 0x0100 to 0x8000).
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ABSENT = 0x0400
WRONG_STATE = 0x0800
SPARE = 0.5  # seconds that the child gets beyond the time for the answer, to say so itself


class Refused(CannotAsk):
    """It answered, and said no; `code` is its own."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def call(url: str, credentials: str, method: str, words: Sequence[object], timeout: float) -> str:
    """Give what a method says. `credentials` is a file with user:password. Raises CannotAsk and Refused."""
    succeeded, said, code = child.ask(
        lambda: _asked(url, credentials, method, words, timeout), timeout + SPARE
    )
    if succeeded:
        return str(said)
    if code is None:
        raise CannotAsk(f"OpenNebula at {url} cannot be asked: {said}")
    raise Refused(f"OpenNebula: {said}", int(code))


def _asked(
    url: str, credentials: str, method: str, words: Sequence[object], timeout: float
) -> tuple[bool, str, int | None]:
    import socket
    import xmlrpc.client

    socket.setdefaulttimeout(timeout)
    try:
        with open(credentials, encoding="utf-8") as file:  # noqa: PTH123
            session = file.read().strip()
        answer = getattr(xmlrpc.client.ServerProxy(url), method)(session, *words)
    except xmlrpc.client.Fault as fault:
        return False, f"{method}: {fault.faultString}", None
    except (xmlrpc.client.Error, OSError) as error:
        return False, getattr(error, "strerror", "") or str(error), None
    if not (isinstance(answer, list) and len(answer) >= 3):
        return False, f"{method} gave no answer of OpenNebula's", None
    return bool(answer[0]), str(answer[1]), int(answer[2])
