# SPDX-License-Identifier: GPL-2.0-or-later
"""The containers (libvirt's LXC driver) of this host: whose they are, whether they live, how they are ended.

Decides what counts as a process of a container: one in a control group that libvirt made for a container, in any
hierarchy. The controller (libvirt_lxc) puts itself there as well; before it has, its arguments tell it. A container
goes on when its controller is killed while libvirtd is away, and libvirt does not know it any more afterwards (seen
with 9.0): what is left then is the control group, and in it the name.

One process stands for a container: its init, because the kernel ends all others with it and lets it go only when they
are gone, whatever they wait for (pid_namespaces(7); zap_pid_ns_processes() of Linux). When there is no init, what is
left stands for it, the controller for one, and says so (`-lacks init`). Its arguments are written as an emulator's,
so that whoever reads those need not know what it is. The UUID is what libvirt wrote beside the name: the environment
of init has it too, but that belongs to whoever is root in there.
"""

from __future__ import annotations

import os

from backstay.host.dying import unescaped
from backstay.host.emulator import CONTROLLER, FROZEN, INIT, LACKS, TERMINATE, Emulators
from backstay.host.proc import Proc, Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Key = tuple[
        int, str
    ]  # the controller's pid when it began (libvirt's id of the domain), the name as a group has it
    Found = tuple[int, int, str, tuple[str, ...]]

RUN = "/run/libvirt/lxc"  # NAME.xml: libvirt's word about each container that it knows
GROUPS = "/sys/fs/cgroup"
PROGRAM = "libvirt_lxc"
BEGINNINGS = (("lxc-", ".libvirt-lxc"), ("machine-lxc-", ".scope"))  # without systemd's machined, and with it
# where a process waits whose control group (v1) is frozen, as by virsh suspend; with v2 in the other
REFRIGERATOR = "__refrigerator"
WAITS_FROZEN = (REFRIGERATOR, "do_freezer_trap")
LIMIT = 65536  # bytes


class Containers(Emulators):
    """The containers of one host, in the place of emulators."""

    __slots__ = ("_groups", "_run")
    by_pid = False  # init alone does not show whether its controller lives

    def __init__(
        self,
        proc: Proc | None = None,
        ask: Callable[[Callable[[], object], float], object] | None = None,
        run: str = RUN,
        groups: str = GROUPS,
    ) -> None:
        super().__init__(proc, ask)
        self._run = run
        self._groups = groups

    def signal(self, process: Process, number: int) -> bool:
        """Send a signal: SIGTERM to this process, any other to every process of its container; False when it is gone.

        A frozen container is let go on before: it could neither hear a signal nor die.
        """
        others = [] if number == TERMINATE else list(self._members(self._key(process.pid)))
        self._thaw(process.pid)
        sent = super().signal(process, number)
        for other in others:
            if other != process:
                super().signal(other, number)
        return sent

    def waits_for(self, process: Process) -> str:
        """Say where a container's process waits that cannot end; one that is frozen is let go on when it has to."""
        where = super().waits_for(process)
        return "" if REFRIGERATOR in where else where

    def _scan(self, past_blocked: bool = False) -> list[Found]:
        containers: dict[Key, list[Process]] = {}
        found: list[Found] = []
        for process in self._proc.all(past_blocked):
            key = self._key(process.pid) or _as_controller(process)
            if key is not None:
                containers.setdefault(key, []).append(process)
            elif not any(process.arguments) and len(self._pids(process.pid)) > 1:
                # it ends, and is in no group any more (v1), but was in some container
                found.append((process.pid, process.start, process.state, ()))
        known = dict(_known(self._run))
        return found + [self._container(key, members, known) for key, members in containers.items()]

    def _container(self, key: Key, members: Sequence[Process], known: dict[int, tuple[str, str]]) -> Found:
        name, uuid = known.get(key[0], ("", ""))
        if not bare(name).startswith(bare(key[1])):  # another container's, whose controller had the same pid
            name, uuid = "", ""
        # until it has become its own program, an init is a copy of the controller
        inner = {process for process in members if len(self._pids(process.pid)) > 1}
        controllers = [process for process in members if is_controller(process) and process not in inner]
        if not name:
            name = next((_named(process) for process in controllers), "") or key[1]
        inits = sorted((len(pids), place) for place, pids in enumerate(map(self._inside, members)) if pids)
        lead = members[inits[0][1]] if inits else (controllers or members)[0]
        arguments: tuple[str, ...] = ("-name", f"guest={name.replace(',', ',,')}")
        if uuid:
            arguments += ("-uuid", uuid)
        if not inits or not controllers:
            arguments += (LACKS, CONTROLLER if inits else INIT)
        if self._frozen(lead.pid):
            arguments += FROZEN
        return lead.pid, lead.start, lead.state, arguments

    def _inside(self, process: Process) -> tuple[str, ...]:
        """Give the pids of an init, from the outside in; nothing for any other process."""
        pids = self._pids(process.pid)
        return pids if len(pids) > 1 and pids[-1] == "1" else ()

    def _pids(self, pid: int) -> tuple[str, ...]:
        """Give a process's pids in its namespaces, this host's first."""
        said = self._proc.text(pid, "status").partition("\nNSpid:")[2]
        return tuple(said.partition("\n")[0].split())

    def _key(self, pid: int) -> Key | None:
        for line in self._proc.text(pid, "cgroup").splitlines():
            key = key_of(line.split(":", 2)[-1])
            if key is not None:
                return key
        return None

    def _members(self, key: Key | None) -> Iterator[Process]:
        """Give the processes of a container as they are now, without their arguments, which may not be readable."""
        for pid in self._proc.pids() if key is not None else ():
            if self._key(pid) == key:
                process = self._proc.look(pid, with_arguments=False)
                if process is not None:
                    yield process

    def _frozen(self, pid: int) -> bool:
        """Whether a process gets no time, as its control group says or the place where it waits.

        Both files tell of the groups above, too (cgroups(7), Documentation/admin-guide/cgroup-v2.rst of Linux).
        """
        for line in self._proc.text(pid, "cgroup").splitlines():
            number, kinds, path = (*line.split(":", 2), "", "")[:3]
            if kinds == "freezer" and _text(f"{self._groups}/freezer{path}/freezer.state").startswith("FR"):
                return True  # FROZEN or FREEZING; THAWED is the other one
            events = [f"{root}{path}/cgroup.events" for root in (self._groups, f"{self._groups}/unified")]
            if number == "0" and any("frozen 1" in _text(file) for file in events):
                return True
        return self._proc.text(pid, "wchan") in WAITS_FROZEN

    def _thaw(self, pid: int) -> None:
        for line in self._proc.text(pid, "cgroup").splitlines():
            _, kinds, path = (*line.split(":", 2), "", "")[:3]
            if kinds == "freezer" and key_of(path) is not None:
                try:
                    with open(f"{self._groups}/freezer{path}/freezer.state", "w") as state:  # noqa: PTH123
                        state.write("THAWED")
                except OSError:
                    return


class Everything(Containers):
    """The emulators and the containers of one host, for a domain of which nobody knows what it is."""

    __slots__ = ()

    def _scan(self, past_blocked: bool = False) -> list[Found]:
        found = super()._scan(past_blocked) + super(Containers, self)._scan(past_blocked)
        return list({one[0]: one for one in found}.values())


def key_of(path: str) -> Key | None:
    """Give whose container the control group of that path is, or None when it is no container's."""
    for part in map(unescaped, path.split("/")):
        for beginning, end in BEGINNINGS:
            if part.startswith(beginning) and part.endswith(end):
                number, _, name = part[len(beginning) : -len(end)].partition("-")
                return (int(number), name) if number.isdecimal() else None
    return None


def is_controller(process: Process) -> bool:
    """Whether the process is libvirt's own one beside a container."""
    return bool(process.arguments) and process.arguments[0].rpartition("/")[2] == PROGRAM


def bare(name: str) -> str:
    """Give a name without what a control group may leave out of it."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _as_controller(process: Process) -> Key | None:
    return (process.pid, _named(process)) if is_controller(process) else None


def _named(process: Process) -> str:
    words = process.arguments
    return words[words.index("--name") + 1] if "--name" in words[:-1] else ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read(LIMIT)
    except OSError:
        return ""


def _known(run: str) -> Iterator[tuple[int, tuple[str, str]]]:
    """Give what libvirt wrote: the controller's pid, name and UUID of each container that it knows."""
    try:
        names = [name for name in os.listdir(run) if name.endswith(".xml")]  # noqa: PTH208
    except OSError:
        return
    for name in names:
        text = _text(f"{run}/{name}")
        pid = text.partition("<domstatus ")[2].partition(">")[0].partition(" pid='")[2].partition("'")[0]
        uuid = text.partition("<domain ")[2].partition("<uuid>")[2].partition("</uuid>")[0]
        if pid.isdecimal():
            yield int(pid), (name[: -len(".xml")], uuid.strip().lower())
