# SPDX-License-Identifier: GPL-2.0-or-later
"""The profile opennebula: oned, what belongs to it, what has to be there before it may start.

Decides which units, which questions, and what keeps oned from being started: an oned that finds no database makes an
empty cloud. Units that a host lacks are left out: the scheduler is a service up to version 6.10 and a part of oned from
7.0 on, Sunstone's web interface is `opennebula-sunstone` (Ruby) or `opennebula-fireedge`.
Source: OpenNebula's systemd units, oned.conf, fireedge-server.conf, sunstone-server.conf, onegate-server.conf and
oneflow-server.conf (5.12 to 7.2); its XML-RPC API.
"""

from __future__ import annotations

import re

from backstay.agents.frontend_profile import TCP, XMLRPC, Probe, Profile
from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from backstay.agents.frontend_profile import Say, World
    from backstay.host.clock import Deadline


NAME = "opennebula"
HOME = "/var/lib/one"
AUTH = f"{HOME}/.one/one_auth"
SQLITE = f"{HOME}/one.db"
SQLITE_BEGINS = b"SQLite format 3\0"
CONFIGURATION = "/etc/one/oned.conf"
ONED = "opennebula"
OTHERS = (
    "opennebula-scheduler", "opennebula-hem", "opennebula-ssh-socks-cleaner.timer", "opennebula-showback.timer",
    "opennebula-guacd", "opennebula-novnc", "opennebula-fireedge", "opennebula-sunstone", "opennebula-gate",
    "opennebula-flow", "opennebula-form",
)  # fmt: skip
AGENT = "opennebula-ssh-agent"  # oned takes its environment, so it comes first
# name, unit, configuration, port when that does not say
SERVICES = (
    ("FireEdge", "opennebula-fireedge.service", "/etc/one/fireedge-server.conf", 2616),
    ("Sunstone", "opennebula-sunstone.service", "/etc/one/sunstone-server.conf", 9869),
    ("OneGate", "opennebula-gate.service", "/etc/one/onegate-server.conf", 5030),
    ("OneFlow", "opennebula-flow.service", "/etc/one/oneflow-server.conf", 2474),
)
PORT = 2633
MYSQL_PORT = 3306
MYSQL_SOCKET = "/run/mysqld/mysqld.sock"
DATABASES = frozenset({"mariadb.service", "mysql.service", "mysqld.service"})  # as units of the role itself
MYSQL_GREETS = "_password"  # the name of its authentication ends its greeting
ITSELF = "{int:-1}"  # the user who asks; without a number oned answers "Not enough parameters"
ITS_OWN_HOOK = "host_error"
ANY = ("0.0.0.0", "::", "localhost", "")  # noqa: S104
HUNG, SLOW = 15.0, 5.0  # seconds for oned's answer: beyond the first it hangs, beyond the second it is slow
STORAGE_TIME = 20.0  # seconds for a file on storage


class OpenNebula(Profile):
    """The role as Profile has it, with a check of its storage and its database."""

    url: str
    database: Database

    def check(self, world: World, until: Deadline, say: Say) -> None:
        """Raise CannotAsk unless /var/lib/one can be used, has the credentials, and the database is there."""
        trouble = world.usable(HOME, min(STORAGE_TIME, until.left()))
        if trouble:
            raise CannotAsk(f"{HOME} cannot be used: {trouble}")
        if not world.beginning(AUTH, 1, min(STORAGE_TIME, until.left())):
            raise CannotAsk(f"there is no {AUTH}; is the storage of {HOME} mounted on this host?")
        if self.database.backend == "mysql" and DATABASES.intersection(self.units):
            say(f"{HOME} can be used; the database is a unit of the role, and is started before oned")
            return
        self.database.check(world, until)
        say(f"{HOME} can be used, {self.database.said} is there")

    @property
    def recovers_hosts(self) -> bool:
        """It knows what to do about a host that died."""
        return True

    def recover(self, host: str, fenced: float, world: World, until: Deadline, say: Say) -> str:
        """Have what ran there placed elsewhere, each machine by its state; see opennebula_recovery."""
        from backstay.agents import opennebula_recovery as way

        return way.recover(host, fenced, way.Oned(world, self.url, AUTH), world, until, say)

    def give_back(self, host: str, world: World, until: Deadline, say: Say) -> None:  # noqa: ARG002
        """Enable the host."""
        from backstay.agents import opennebula_recovery as way

        way.give_back(host, way.Oned(world, self.url, AUTH), say)

    def foresee(self, host: str, world: World, until: Deadline) -> list[str]:  # noqa: ARG002
        """Say what would become of each machine."""
        from backstay.agents import opennebula_recovery as way

        return way.foresee(host, world.clock(), way.Oned(world, self.url, AUTH))


class Database:
    """Where oned keeps what it knows: `backend` as oned.conf has it, `target` for a question over the network."""

    __slots__ = ("backend", "target")

    def __init__(self, backend: str = "sqlite", target: str = "") -> None:
        self.backend = backend
        self.target = target

    @property
    def said(self) -> str:
        """Its name for the admin."""
        return f"the database at {self.target}" if self.target else f"the database {SQLITE}"

    def check(self, world: World, until: Deadline) -> None:
        """Raise CannotAsk when it is not there."""
        if self.backend == "sqlite":
            if world.beginning(SQLITE, len(SQLITE_BEGINS), min(STORAGE_TIME, until.left())) != SQLITE_BEGINS:
                raise CannotAsk(
                    f"there is no database {SQLITE}; is its storage mounted on this host? oned would begin an empty one"
                )
        elif self.backend == "mysql":
            asked = Probe("database", TCP, self.target, text=MYSQL_GREETS)
            (answer,) = world.ask([asked], until.left())
            if answer.trouble:
                raise CannotAsk(f"the database at {self.target} cannot be reached: {answer.trouble}")


def make(configuration: Callable[[str], str]) -> OpenNebula:
    """Give the profile for this host; `configuration` reads a file, empty when there is none."""
    told = uncommented(configuration(CONFIGURATION))
    url = f"http://{_host(_value(told, 'LISTEN_ADDRESS'))}:{_value(told, 'PORT') or PORT}/RPC2"
    # The answer of an authenticated method, which also needs the database: a process or a port proves neither.
    probes = [
        Probe("oned", XMLRPC, url, method="one.user.info", words=[f"{{file:{AUTH}}}", ITSELF],
              text="<USER>",
              within=HUNG, slow=SLOW)
    ]  # fmt: skip
    # The manager's own way to deal with a host in error acts on hosts that are not proven dead.
    everything = [f"{{file:{AUTH}}}", "{int:-2}", "{int:-1}", "{int:-1}"]
    probes.append(
        Probe("no hook for hosts in error (ft/host_error.rb)", XMLRPC, url, method="one.hookpool.info",
              words=everything, without=ITS_OWN_HOOK, within=HUNG, required=False)
    )  # fmt: skip
    for name, unit, file, port in SERVICES:
        target = _target(configuration(file), port)
        probes.append(Probe(name, TCP, target, required=False, unit=unit))
    profile = OpenNebula(NAME, units=[AGENT, ONED, *OTHERS], if_installed=[AGENT, *OTHERS], probes=probes)
    profile.url = url
    profile.database = database_of(told)
    return profile


def database_of(told: str) -> Database:
    """Give the database that oned.conf names."""
    section = re.search(r"^\s*DB\s*=\s*\[(.*?)\]", told, re.DOTALL | re.MULTILINE)
    said = section.group(1) if section else ""
    backend = (_value(said, "BACKEND") or "sqlite").lower()
    if backend != "mysql":
        return Database(backend)
    host, port = _value(said, "SERVER"), int(_value(said, "PORT") or 0)
    if host in ("localhost", "") and not port:
        return Database(backend, MYSQL_SOCKET)
    return Database(backend, f"{_host(host)}:{port or MYSQL_PORT}")


def uncommented(text: str) -> str:
    """Give a configuration without its comments."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _value(told: str, name: str) -> str:
    found = re.search(rf"(?:^|[,\[])\s*{name}\s*=\s*\"?([^\",\s\]]*)", told, re.MULTILINE)
    return found.group(1) if found else ""


def _host(given: str) -> str:
    return "127.0.0.1" if given in ANY else f"[{given}]" if ":" in given else given


def _target(told: str, port: int) -> str:
    """Give where a web service takes connections: `:host:` and `:port:`, or the same without the first colon."""
    said = dict(re.findall(r"^:?(host|port):\s*['\"]?([^'\"\s#]*)", told, re.MULTILINE))
    return f"{_host(said.get('host', ''))}:{said.get('port') or port}"
