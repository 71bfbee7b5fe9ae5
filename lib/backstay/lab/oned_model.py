# SPDX-License-Identifier: GPL-2.0-or-later
"""A stand-in for OpenNebula's oned: its hosts, its virtual machines, and what becomes of them as time passes.

Behaves as the documented manager does where it matters to a frontend role: a host that cannot be monitored is in error
and what ran there is UNKNOWN, one that is offline is not looked at at all (and what ran there stays RUNNING), a machine
that a monitored host does not have is POWEROFF, a machine with RESCHED is placed elsewhere when it is UNKNOWN or
POWEROFF. Decides nothing else; touches nothing but through its World.
Source: OpenNebula 7 (Host.cc, InformationManager.cc, LifeCycleActions.cc, LifeCycleStates.cc), vm_states.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

INIT, MONITORED, ERROR, DISABLED, OFFLINE = 0, 2, 3, 4, 8
PENDING, ACTIVE, STOPPED, SUSPENDED, POWEROFF = 1, 3, 4, 5, 8
LCM_INIT, PROLOG, BOOT, RUNNING, MIGRATE = 0, 1, 2, 3, 4
SAVE_SUSPEND, SHUTDOWN, UNKNOWN, HOTPLUG, SHUTDOWN_POWEROFF = 6, 12, 16, 17, 18
BOOT_POWEROFF, BOOT_FAILURE, PROLOG_FAILURE = 20, 36, 39
PROLOG_MIGRATE_POWEROFF, PROLOG_MIGRATE_UNKNOWN, PROLOG_MIGRATE_UNKNOWN_FAILURE = 43, 60, 61
BY_MONITOR, BY_MIGRATION, BY_USER = 44, 1, 19
BOOTS = (BOOT, BOOT_POWEROFF, BOOT_FAILURE)
FAILURE, SUCCESS, RETRY, DELETE, RECREATE = range(5)


class World(Protocol):
    """What lies outside of the manager: whether a host answers, which machines run there, and how one is started."""

    def now(self) -> float: ...
    def runs(self, host: str) -> frozenset[int] | None:
        """The machines that run on a host; None when it does not answer."""

    def boot(self, host: str, vm: int) -> bool: ...


@dataclass
class Place:
    """One record of a machine's history; `since` in seconds since the epoch."""

    host: int
    since: int
    action: int = 0
    driver: str = "shared"


@dataclass
class Vm:
    """A machine; its last place is where it is."""

    number: int
    name: str
    state: int = PENDING
    lcm: int = LCM_INIT
    resched: int = 0
    places: list[Place] = field(default_factory=list)
    user: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> int:
        """Where it is; -1 for nowhere."""
        return self.places[-1].host if self.places and self.state not in (PENDING, STOPPED) else -1

    def be(self, state: int, lcm: int = LCM_INIT) -> None:
        """Change its state."""
        self.state, self.lcm = state, lcm


@dataclass
class Host:
    """A host; `seen` is when it was last monitored."""

    number: int
    name: str
    state: int = INIT
    seen: float = 0.0


class Refusal(Exception):
    """What oned answers instead: a code of its interface and a sentence."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


ABSENT, WRONG_STATE, INTERNAL = 0x0400, 0x0800, 0x2000


class Model:
    """Everything that the manager knows. `interval` is how often a host is monitored, in seconds."""

    def __init__(self, world: World, hosts: Iterable[str] = (), interval: float = 180.0) -> None:
        self.world = world
        self.interval = interval
        self.hosts = [Host(number, name) for number, name in enumerate(hosts)]
        self.vms: list[Vm] = []

    def place(self, name: str, host: str, driver: str = "shared") -> Vm:
        """Have a machine that runs on a host."""
        place = Place(self.named(host).number, int(self.world.now()), driver=driver)
        vm = Vm(len(self.vms), name, ACTIVE, RUNNING, places=[place])
        self.vms.append(vm)
        return vm

    def named(self, name: str) -> Host:
        """A host by its name."""
        return next(host for host in self.hosts if host.name == name)

    def on(self, host: int) -> list[Vm]:
        """The machines that are on a host, by its last place, or that leave it."""
        return [vm for vm in self.vms if vm.host == host or (_leaves(vm) and vm.places[-2].host == host)]

    # ---- what is asked of it

    def host(self, number: int) -> Host:
        """A host by its number."""
        if not 0 <= number < len(self.hosts):
            raise Refusal(ABSENT, f"Error getting host [{number}].")
        return self.hosts[number]

    def vm(self, number: int) -> Vm:
        """A machine by its number."""
        if not 0 <= number < len(self.vms):
            raise Refusal(ABSENT, f"Error getting virtual machine [{number}].")
        return self.vms[number]

    def status(self, number: int, status: int) -> None:
        """Enable (0), disable (1) a host or take it off line (2). One that was off line is looked at at once."""
        host = self.host(number)
        if status not in (0, 1, 2):
            raise Refusal(INTERNAL, "Wrong status code")
        if host.state == OFFLINE or status == 0:
            host.seen = 0.0
        host.state = (INIT, DISABLED, OFFLINE)[status]

    def act(self, action: str, number: int) -> None:
        """Carry out one of one.vm.action's actions, as far as they are known here."""
        vm = self.vm(number)
        placed = vm.state == POWEROFF or (vm.state == ACTIVE and vm.lcm in (RUNNING, UNKNOWN))
        if action in ("resched", "unresched") and placed:
            vm.resched = int(action == "resched")
        elif action == "resume" and vm.state == POWEROFF:
            vm.be(ACTIVE, BOOT_POWEROFF)
        elif action == "poweroff-hard" and placed and vm.state == ACTIVE:
            vm.places[-1].action = BY_USER
            vm.be(ACTIVE, SHUTDOWN_POWEROFF)
        else:
            raise Refusal(WRONG_STATE, f"This action is not available for state {vm.state}")

    def recover(self, number: int, operation: int) -> None:
        """Say how a driver's operation ended that nobody will answer any more, or make the machine anew."""
        vm = self.vm(number)
        if operation == RECREATE and vm.state == ACTIVE:
            vm.be(PENDING)
            return
        if vm.state != ACTIVE or operation not in (FAILURE, SUCCESS):
            raise Refusal(WRONG_STATE, f"Could not perform a recover operation on VM {number}")
        if operation == SUCCESS:
            self._succeeded(vm)
        else:
            _failed(vm)

    def _succeeded(self, vm: Vm) -> None:
        if vm.lcm in BOOTS or vm.lcm == MIGRATE:
            vm.be(ACTIVE, RUNNING)
        elif vm.lcm in (PROLOG_MIGRATE_UNKNOWN, PROLOG_MIGRATE_UNKNOWN_FAILURE):
            vm.be(ACTIVE, BOOT)
        elif vm.lcm in (SHUTDOWN_POWEROFF, PROLOG_MIGRATE_POWEROFF):
            vm.be(POWEROFF)
        elif vm.lcm == UNKNOWN:
            vm.be(ACTIVE, RUNNING)

    # ---- what happens by itself

    def tick(self) -> None:
        """Let time pass: monitoring, placement, and one step of what is under way."""
        now = self.world.now()
        for host in self.hosts:
            if host.state != OFFLINE and now - host.seen >= self.interval:
                host.seen = now
                self._monitor(host)
        for vm in self.vms:
            self._step(vm)
        self._place()

    def _monitor(self, host: Host) -> None:
        running = self.world.runs(host.name)
        if running is None:
            host.state = host.state if host.state == DISABLED else ERROR
            for vm in self.vms:
                if vm.host == host.number and (vm.state, vm.lcm) == (ACTIVE, RUNNING):
                    vm.be(ACTIVE, UNKNOWN)
                    vm.resched = 0
            return
        host.state = host.state if host.state == DISABLED else MONITORED
        for vm in self.vms:
            if vm.host != host.number:
                continue
            if vm.number in running and (vm.state == POWEROFF or vm.lcm == UNKNOWN):
                vm.be(ACTIVE, RUNNING)
            elif vm.number not in running and vm.state == ACTIVE and vm.lcm in (RUNNING, UNKNOWN):
                vm.places[-1].action = BY_MONITOR
                vm.be(POWEROFF)

    def _step(self, vm: Vm) -> None:
        if vm.state != ACTIVE:
            return
        name = self.hosts[vm.host].name
        alive = vm.lcm in (PROLOG, BOOT, BOOT_POWEROFF) and self.world.runs(name) is not None
        if vm.lcm == PROLOG_MIGRATE_UNKNOWN:
            vm.be(ACTIVE, BOOT)
        elif vm.lcm == PROLOG_MIGRATE_POWEROFF:
            vm.be(POWEROFF)
        elif vm.lcm == PROLOG and alive:
            vm.be(ACTIVE, BOOT)
        elif vm.lcm in (BOOT, BOOT_POWEROFF) and alive:
            vm.be(ACTIVE, RUNNING if self.world.boot(name, vm.number) else BOOT_FAILURE)

    def _place(self) -> None:
        """Find a place for what is pending or to be placed anew: the monitored host with the fewest machines."""
        for vm in self.vms:
            if not (vm.state == PENDING or vm.resched):
                continue
            fit = [host for host in self.hosts if host.state == MONITORED and host.number != vm.host]
            if not fit or (vm.resched and (vm.state, vm.lcm) == (ACTIVE, RUNNING)):
                continue
            best = min(fit, key=lambda host: len(self.on(host.number)))
            lcm = {PENDING: PROLOG, POWEROFF: PROLOG_MIGRATE_POWEROFF}.get(vm.state, PROLOG_MIGRATE_UNKNOWN)
            driver = vm.places[-1].driver if vm.places else "shared"
            vm.places.append(Place(best.number, int(self.world.now()), BY_MIGRATION, driver))
            vm.be(ACTIVE, lcm)
            vm.resched = 0

    def restart_what_is_missed(self) -> None:
        """Do as the manager's hook for hosts in error does, and as one does who believes what it shows."""
        for vm in self.vms:
            action = vm.places[-1].action if vm.places else 0
            if vm.lcm == UNKNOWN or (vm.state, action) == (POWEROFF, BY_MONITOR):
                vm.resched = 1
            elif (vm.state, action) == (POWEROFF, BY_MIGRATION):
                vm.be(ACTIVE, BOOT_POWEROFF)

    # ---- kept

    def kept(self) -> dict[str, Any]:
        """Everything, to be written down."""
        return {"hosts": [asdict(host) for host in self.hosts], "vms": [asdict(vm) for vm in self.vms]}

    def restore(self, said: dict[str, Any]) -> None:
        """Know again what was written down."""
        self.hosts = [Host(**host) for host in said["hosts"]]
        self.vms = [Vm(**{**vm, "places": [Place(**place) for place in vm["places"]]}) for vm in said["vms"]]


def _leaves(vm: Vm) -> bool:
    return vm.state == ACTIVE and vm.lcm == MIGRATE and len(vm.places) > 1


def _failed(vm: Vm) -> None:
    if vm.lcm == MIGRATE:
        vm.places.pop()
        vm.be(ACTIVE, RUNNING)
    elif vm.lcm in (SAVE_SUSPEND, HOTPLUG, SHUTDOWN, SHUTDOWN_POWEROFF):
        vm.be(ACTIVE, RUNNING)
    elif vm.lcm == BOOT:
        vm.be(ACTIVE, BOOT_FAILURE)
    elif vm.lcm == BOOT_POWEROFF:
        vm.be(POWEROFF)
    elif vm.lcm == PROLOG:
        vm.be(ACTIVE, PROLOG_FAILURE)
    elif vm.lcm == PROLOG_MIGRATE_UNKNOWN:
        vm.be(ACTIVE, PROLOG_MIGRATE_UNKNOWN_FAILURE)
