# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a BMC through Redfish, and tells exactly what kept it from answering.

Decides which requests a question takes; what an answer means is redfish_answers.py's, what to do about it power.py's.
The account travels in a header (or once, in a login, when sessions are wished for); `hide` hears of every form that
it has before anything is traced. A command that was accepted with a task is followed by each later look.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from backstay.host import redfish_answers as answers
from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.clock import Deadline
from backstay.host.https import Answer
from backstay.host.redfish_answers import Json

ROOT = "/redfish/v1/"
SESSIONS = "/redfish/v1/SessionService/Sessions"
REDIRECTIONS = (301, 302, 307, 308)
FARTHEST = 3  # redirections
PAGES = 16  # of a collection
CLOSING = 2.0  # seconds for a logout
HEADERS = {"Accept": "application/json", "OData-Version": "4.0"}


class Wire(Protocol):
    """The way to one server."""

    host: str
    port: int

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Answer | Trouble:
        """Send one request."""

    def close(self) -> None:
        """End the connection."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks. `session`: by a session that is opened and closed, in place of name and password each time."""

    user: str
    password: str = field(repr=False)
    session: bool = False

    @property
    def basic(self) -> str:
        """Name and password as HTTP Basic has them (RFC 7617), without the word Basic."""
        text = f"{self.user}:{self.password}".encode("utf-8", "surrogateescape")
        return base64.b64encode(text).decode("ascii")


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look: the service root, the system (or a collection of systems) if it is known, and the plug."""

    root: str = ROOT
    system: str = ""
    plug: str = ""


class Redfish:
    """One system behind one BMC. To be closed, so that no session is left behind."""

    def __init__(
        self,
        wire: Wire,
        account: Account,
        places: Places,
        hide: Callable[[str], None] = lambda _: None,
        trace: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._wire = wire
        self._account = account
        self._places = places
        self._hide = hide
        self._trace = trace
        self._path = ""  # of the system, once it is known
        self._system: Json | None = None  # as it was last seen
        self._etag = ""
        self._wanted: Power | None = None
        self._task = ""
        self._token = ""
        self._session = ""
        self._trusted = False  # something that needs an account was answered
        hide(account.basic)

    def power(self, timeout: float) -> Power | Trouble:
        """Ask whether the system is on; the failure of a task that was to change it is told as a trouble."""
        deadline = Deadline(timeout)
        system = self._look(deadline)
        state = system if isinstance(system, Trouble) else answers.power(system)
        if not self._task or state is self._wanted or isinstance(state, Trouble):
            return state
        return self._follow(deadline) or state

    def switch(self, wanted: Power, timeout: float) -> Trouble | None:
        """Ask for power on or a hard power off; None when the BMC accepted, which proves nothing yet."""
        deadline = Deadline(timeout)
        system = self._system or self._look(deadline)
        self._system = None  # what is allowed may depend on the state
        found = system if isinstance(system, Trouble) else answers.reset(system)
        if isinstance(found, Trouble):
            return found
        way = answers.choose_type(wanted, found.allowed or self._listed(found.info, deadline))
        if isinstance(way, Trouble):
            return way
        return self._reset(found.target, way, wanted, deadline)

    def system(self, deadline: Deadline) -> Json | Trouble:
        """Give the system as it is now."""
        return self._look(deadline)

    def read(self, path: str, deadline: Deadline) -> Json | Trouble:
        """Give any resource."""
        return self._get(path, deadline)

    @property
    def user(self) -> str:
        """Who asks."""
        return self._account.user

    @property
    def root(self) -> str:
        """The path of the service root."""
        return self._places.root

    def close(self) -> None:
        """Log out, if there is a session, and hang up; never raises, never takes longer than a moment."""
        if self._session and self._token:
            ended = self._send("DELETE", self._session, None, Deadline(CLOSING))
            if isinstance(ended, Trouble):
                self._trace(f"the session could not be closed: {ended.said}")
        self._session = self._token = ""
        self._wire.close()

    def _reset(self, target: str, way: str, wanted: Power, deadline: Deadline) -> Trouble | None:
        body = {"ResetType": way}
        answer = self._call("POST", target, body, deadline)
        if isinstance(answer, Answer) and answer.status in (412, 428):
            self._look(deadline)
            answer = self._call("POST", target, body, deadline, {"If-Match": self._etag or "*"})
        if isinstance(answer, Trouble):
            return answer
        if answer.status >= 300:
            return answers.refusal(answer, f"POST {target}", self._trusted)
        self._wanted = wanted
        self._task = answers.task_of(answer) if answer.status == 202 else ""
        return None

    def _listed(self, info: str, deadline: Deadline) -> tuple[str, ...] | None:
        """The reset types of an ActionInfo; one that cannot be read must not keep a host alive."""
        listed = self._get(info, deadline) if info else {}
        return None if isinstance(listed, Trouble) else answers.allowed_by(listed)

    def _follow(self, deadline: Deadline) -> Trouble | None:
        """The failure of the task, if that is what became of it."""
        answer = self._call("GET", self._task, None, deadline)
        end = False if isinstance(answer, Trouble) else answers.task_end(answer)
        if end:
            self._task = ""
        return end if isinstance(end, Trouble) else None

    def _look(self, deadline: Deadline) -> Json | Trouble:
        """The system as it is now."""
        self._system = None
        if not self._path:
            found = self._find(deadline)
            if isinstance(found, Trouble):
                return found
        system = self._system or self._get(self._path, deadline)
        self._system = None if isinstance(system, Trouble) else system
        return system

    def _find(self, deadline: Deadline) -> Trouble | None:
        """Find out which system it is; a resource that was read on the way and is the system is kept."""
        place = answers.path_of(self._places.system) if self._places.system else ""
        if not place:
            root = self._get(self._places.root, deadline)
            if isinstance(root, Trouble):
                return root
            place = answers.link(root, "Systems")
            if not place:
                return Trouble(Kind.OFFER, None, "has no list of systems; set systems_uri if it hides one")
        found = self._get(place, deadline)
        if isinstance(found, Trouble):
            return found
        if "Members" not in found:
            self._path, self._system = place, found
            return None
        paths = self._members(found, deadline)
        path = paths if isinstance(paths, Trouble) else answers.choose_system(paths, self._places.plug)
        if isinstance(path, Trouble):
            return path
        self._path = path
        return None

    def _members(self, first: Json, deadline: Deadline) -> list[str] | Trouble:
        """All members of a collection, of every page: one that was not read might be the second system."""
        page, paths = first, answers.members(first)
        for _ in range(PAGES):
            following = page.get("Members@odata.nextLink")
            if not isinstance(following, str):
                return paths
            fetched = self._get(answers.path_of(following), deadline)
            if isinstance(fetched, Trouble):
                return fetched
            page = fetched
            paths += answers.members(page)
        return Trouble(Kind.OFFER, None, "lists its systems without an end; set systems_uri")

    def _get(self, path: str, deadline: Deadline) -> Json | Trouble:
        answer = self._call("GET", path, None, deadline)
        if isinstance(answer, Trouble):
            return answer
        if answer.status != 200:
            return answers.refusal(answer, f"GET {path}", self._trusted)
        found = answers.document(answer)
        if found is None:
            return Trouble(Kind.BLANK if not answer.body else Kind.UNCLEAR, 200, f"no JSON object at {path}")
        self._etag = answer.headers.get("etag", "") or str(found.get("@odata.etag") or "")
        return found

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, str] | None,
        deadline: Deadline,
        more: Mapping[str, str] | None = None,
    ) -> Answer | Trouble:
        """One request with the account; a session that the BMC has forgotten is opened anew, once."""
        fresh = self._account.session and not self._token
        refused = self._login(deadline) if fresh else None
        if refused:
            return refused
        answer = self._send(method, path, body, deadline, more)
        if isinstance(answer, Answer) and answer.status == 401 and self._token and not fresh:
            self._token = self._session = ""
            return self._login(deadline) or self._send(method, path, body, deadline, more)
        if isinstance(answer, Answer) and answer.status < 300 and path != self._places.root:
            self._trusted = True
        return answer

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, str] | None,
        deadline: Deadline,
        more: Mapping[str, str] | None = None,
    ) -> Answer | Trouble:
        """One request, redirections within the server followed; without a session yet, it is anonymous."""
        headers = HEADERS | self._credentials() | dict(more or {})
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        for _ in range(FARTHEST):
            begun = deadline.left()
            answer = self._wire.ask(method, path, headers, data, deadline)
            told = answer.said if isinstance(answer, Trouble) else f"HTTP {answer.status}"
            self._trace(f"{method} {path}: {told} after {begun - deadline.left():.2f} s")
            if isinstance(answer, Trouble) or answer.status not in REDIRECTIONS:
                return answer
            place = answers.redirected(answer, self._wire.host, self._wire.port)
            if isinstance(place, Trouble):
                return place
            path = place
        return Trouble(Kind.OFFER, None, f"redirects without an end ({path:.80}); correct systems_uri")

    def _credentials(self) -> dict[str, str]:
        if self._account.session:
            return {"X-Auth-Token": self._token} if self._token else {}
        return {"Authorization": f"Basic {self._account.basic}"}

    def _login(self, deadline: Deadline) -> Trouble | None:
        root = self._send("GET", self._places.root, None, deadline)
        if isinstance(root, Trouble):
            return root
        place = answers.link(answers.document(root) or {}, "Links", "Sessions") or SESSIONS
        login = {"UserName": self._account.user, "Password": self._account.password}
        answer = self._send("POST", place, login, deadline)
        if isinstance(answer, Trouble):
            return answer
        if answer.status >= 300:
            return answers.refusal(answer, f"POST {place}", trusted=False)
        self._token = answer.headers.get("x-auth-token", "")
        self._hide(self._token)
        self._session = answers.task_of(answer)
        if not self._token:
            return Trouble(Kind.UNCLEAR, answer.status, "a login without a token")
        return None
