# SPDX-License-Identifier: GPL-2.0-or-later
"""Live limits of a guest: what has to be set for what the admin wrote. Pure: no effects, only tables.

Decides for each thing that can be limited (a family: the bytes of one disk, its operations, the CPU time, the CPU
shares, the memory, one direction of one network interface) whether it is set, lifted back to what the definition says,
or left alone. What Backstay never limited is never touched, so an admin's `virsh blkdeviotune`
stays. What it did limit is written into the metadata of the running domain, which travels with it to other hosts.
"""

from __future__ import annotations

from xml.etree import ElementTree

from backstay.agents.domain_rates import (
    BYTES,
    DIRECTIONS,
    EVERY,
    KINDS,
    PERIOD,
    UNLIMITED,
    cpu,
    disk,
    memory,
    network,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Values = dict[str, int]

PARAMETERS = ("limit_disk", "limit_cpu", "cpu_shares", "limit_memory", "limit_network")
NAMESPACE = "urn:backstay:limits"


class Wanted:
    """What the parameters say, parsed. `untouched` are the parameters whose value was wrong: what they limit stays."""

    __slots__ = ("cpu", "disk", "memory", "network", "shares", "untouched")

    def __init__(
        self,
        *,
        limit_disk: str = "",
        limit_cpu: str = "",
        cpu_shares: int = 0,
        limit_memory: str = "",
        limit_network: str = "",
        wrong: Mapping[str, str] | None = None,
    ) -> None:
        self.disk = disk(limit_disk)
        self.cpu = cpu(limit_cpu) if limit_cpu else 0
        self.shares = cpu_shares
        self.memory = memory(limit_memory) if limit_memory else 0
        self.network = network(limit_network)
        self.untouched = {name: text for name, text in (wrong or {}).items() if name in PARAMETERS}

    @property
    def empty(self) -> bool:
        """Whether there is nothing to limit."""
        return not (self.disk or self.cpu or self.shares or self.memory or self.network or self.untouched)


# ---- what a definition, or the running domain, says


class Interface:
    """A network interface: MAC address and name on the host (either may be empty), bandwidth as libvirt names it."""

    __slots__ = ("mac", "name", "values")

    def __init__(self, mac: str, name: str, values: Values) -> None:
        self.mac = mac
        self.name = name
        self.values = values


class Shape:
    """The parts of a domain's XML that can be limited. `memory` is in KiB, `shares` and `quota` are 0 when not set.

    `applied` are the families that Backstay limited, each with a number that it wants to remember of it.
    """

    __slots__ = ("applied", "disks", "interfaces", "memory", "period", "quota", "shares")

    def __init__(self, xml: str | bytes) -> None:
        """Read the XML; raises ValueError when it is none."""
        try:
            root = ElementTree.fromstring(xml)
        except ElementTree.ParseError as error:
            raise ValueError(str(error)) from None
        self.disks: dict[str, Values] = {}
        for one in root.iterfind("devices/disk"):
            target = one.find("target")
            if target is not None:
                tune = one.find("iotune")
                self.disks[target.get("dev", "")] = _numbers(tune)
        self.interfaces = [_interface(one) for one in root.iterfind("devices/interface")]
        tuned = _numbers(root.find("cputune"))
        self.shares = tuned.get("shares", 0)
        self.quota = tuned.get("global_quota", UNLIMITED)
        self.period = tuned.get("global_period", PERIOD)
        self.memory = _memory(root)
        self.applied: dict[str, int] = {}
        record = root.find(f"metadata/{{{NAMESPACE}}}limits")
        for word in (record.get("applied", "") if record is not None else "").split():
            family, _, number = word.rpartition("=")
            self.applied[family] = int(number) if number.lstrip("-").isdecimal() else 0


def _numbers(element: ElementTree.Element | None) -> Values:
    found = {}
    for one in element if element is not None else ():
        text = (one.text or "").strip()
        if text.lstrip("-").isdecimal():
            found[one.tag] = int(text)
    return found


def _interface(one: ElementTree.Element) -> Interface:
    values = {}
    for way in DIRECTIONS.values():
        element = one.find(f"bandwidth/{way}")
        for name, value in (element.attrib if element is not None else {}).items():
            if value.isdecimal():
                values[f"{way}.{name}"] = int(value)
    mac, target = one.find("mac"), one.find("target")
    address = mac.get("address", "").lower() if mac is not None else ""
    return Interface(address, target.get("dev", "") if target is not None else "", values)


def _memory(root: ElementTree.Element) -> int:
    element = root.find("currentMemory")
    if element is None:
        element = root.find("memory")
    if element is None or not (element.text or "").strip().isdecimal():
        return 0
    unit = element.get("unit", "KiB")
    short = {
        "b": 1,
        "bytes": 1,
        "KB": 1000,
        "k": 1 << 10,
        "K": 1 << 10,
        "M": 1 << 20,
        "G": 1 << 30,
        "T": 1 << 40,
    }
    return int(element.text or "0") * (BYTES | short).get(unit, 1 << 10) >> 10


# ---- what follows


class Step:
    """One call to libvirt: `what` (disk, cpu, memory, interface) of `which` gets `values`.

    When it succeeds, the `families` count as limited by Backstay, or as not any more when it `lifts`.
    """

    __slots__ = ("families", "lifts", "values", "what", "which")

    def __init__(self, what: str, which: str, values: Values, families: Values, lifts: bool) -> None:
        self.what = what
        self.which = which
        self.values = values
        self.families = families
        self.lifts = lifts

    def __repr__(self) -> str:
        return f"Step({'lift ' if self.lifts else ''}{self.what} {self.which} {self.values})"


class Plan:
    """What to do: `steps`, and `troubles` that need no libvirt to be known."""

    __slots__ = ("steps", "troubles")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.troubles: list[str] = []


def plan(wanted: Wanted, live: Shape, definition: Shape | None, shares_now: int = 0) -> Plan:
    """Decide every step from the running domain to what is wanted.

    `definition` is what limits are lifted back to, None when it cannot be read; `shares_now` are the CPU shares that
    the domain has now, 0 when that is not known.
    """
    made = Plan()
    made.troubles += wanted.untouched.values()
    deciders = zip(PARAMETERS, (_disks, _cpu, _shares, _memory_step, _interfaces), strict=True)
    for parameter, decide in deciders:
        if parameter not in wanted.untouched:
            decide(made, wanted, live, definition, shares_now)
    return made


def _lost(made: Plan, parameter: str) -> None:
    made.troubles.append(f"{parameter} cannot be lifted, because the definition cannot be read")


def _disks(made: Plan, wanted: Wanted, live: Shape, definition: Shape | None, _shares: int) -> None:
    strangers = [target for target in wanted.disk if target not in live.disks and target != EVERY]
    if strangers:
        made.troubles.append(
            f"limit_disk names {', '.join(strangers)}, and the disks are {', '.join(live.disks) or 'none'}"
        )
    for target in live.disks:
        values = wanted.disk.get(target, wanted.disk.get(EVERY, {}))
        for family in ("bytes_sec", "iops_sec"):
            mine = {name: value for name, value in values.items() if name.endswith(family)}
            key = f"disk:{target}:{family}"
            if mine:
                made.steps.append(Step("disk", target, _tune(mine, family), {key: 0}, False))
            elif key in live.applied and definition is None:
                _lost(made, "limit_disk")
            elif key in live.applied and definition is not None:
                old = definition.disks.get(target, {})
                made.steps.append(Step("disk", target, _tune(old, family), {key: 0}, True))


def _tune(values: Values, family: str) -> Values:
    """Give every field of a family, because libvirt keeps a burst that is not named beside a new limit."""
    names = [f"{kind}_{family}{most}" for kind in KINDS for most in ("", "_max")]
    lengths = {name: value for name, value in values.items() if name.endswith(f"{family}_max_length")}
    return {name: values.get(name, 0) for name in names} | lengths


def _cpu(made: Plan, wanted: Wanted, live: Shape, definition: Shape | None, _shares: int) -> None:
    if wanted.cpu:
        values = {"global_period": PERIOD, "global_quota": wanted.cpu}
        made.steps.append(Step("cpu", "", values, {"cpu": 0}, False))
    elif "cpu" in live.applied and definition is None:
        _lost(made, "limit_cpu")
    elif "cpu" in live.applied and definition is not None:
        values = {"global_period": definition.period, "global_quota": definition.quota}
        made.steps.append(Step("cpu", "", values, {"cpu": 0}, True))


def _shares(made: Plan, wanted: Wanted, live: Shape, definition: Shape | None, shares_now: int) -> None:
    if wanted.shares:
        before = live.applied.get("shares", shares_now)
        made.steps.append(Step("cpu", "", {"cpu_shares": wanted.shares}, {"shares": before}, False))
    elif "shares" in live.applied:
        back = (definition.shares if definition is not None else 0) or live.applied["shares"]
        if back:
            made.steps.append(Step("cpu", "", {"cpu_shares": back}, {"shares": 0}, True))
        else:
            _lost(made, "cpu_shares")


def _memory_step(made: Plan, wanted: Wanted, live: Shape, definition: Shape | None, _shares: int) -> None:
    if wanted.memory:
        made.steps.append(Step("memory", "", {"kib": wanted.memory}, {"memory": 0}, False))
    elif "memory" in live.applied:
        if definition is None or not definition.memory:
            _lost(made, "limit_memory")
        else:
            made.steps.append(Step("memory", "", {"kib": definition.memory}, {"memory": 0}, True))


def _interfaces(made: Plan, wanted: Wanted, live: Shape, definition: Shape | None, _shares: int) -> None:
    known = {EVERY}
    for place, one in enumerate(live.interfaces):
        names = (one.mac, one.name.lower(), str(place))
        known.update(names)
        named = [wanted.network[name] for name in names if name and name in wanted.network]
        values = named[0] if named else wanted.network.get(EVERY, {})
        for way in DIRECTIONS.values():
            key = f"net:{one.mac}:{way}"
            if way in values:
                rate = _bandwidth(way, {f"{way}.average": values[way]})
                made.steps.append(Step("interface", one.mac, rate, {key: 0}, False))
            elif key in live.applied and definition is None:
                _lost(made, "limit_network")
            elif key in live.applied and definition is not None:
                old = definition.interfaces[place].values if place < len(definition.interfaces) else {}
                made.steps.append(Step("interface", one.mac, _bandwidth(way, old), {key: 0}, True))
    strangers = [name for name in wanted.network if name not in known]
    if strangers:
        there = ", ".join(one.mac for one in live.interfaces) or "none"
        made.troubles.append(f"limit_network names {', '.join(strangers)}, and the interfaces are {there}")


def _bandwidth(way: str, values: Values) -> Values:
    return {f"{way}.{name}": values.get(f"{way}.{name}", 0) for name in ("average", "peak", "burst")}


def record(applied: Mapping[str, int], done: list[Step]) -> str:
    """Give the families that are limited after these steps, as they are written into the domain's metadata."""
    now = dict(applied)
    for step in done:
        for family, number in step.families.items():
            if step.lifts:
                now.pop(family, None)
            else:
                now[family] = number
    return " ".join(f"{family}={number}" for family, number in sorted(now.items()))
