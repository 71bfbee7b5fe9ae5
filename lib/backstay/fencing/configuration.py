# SPDX-License-Identifier: GPL-2.0-or-later
"""What a CIB says about fencing: devices, whom they fence, where they may run, levels, and the cluster's timeouts.

Decides how Pacemaker reads it (host lists and maps, levels, constraints); what a resource is given is primitives.py's.
Never whether it is any good: that is completeness.py's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lxml import etree

from backstay.fencing.places import never_on
from backstay.fencing.primitives import agents_own, layers, pairs, pairs_of, ruled, ruled_of
from backstay.fencing.primitives import read as read_primitive

TIMEOUT = re.compile(r"pcmk_\w+_timeout")
REMOTES = "configuration/resources//primitive[@class='ocf'][@provider='pacemaker'][@type='remote']"
PRIORITIES = "configuration//meta_attributes/nvpair[@name='priority']"
_UNITS = MappingProxyType(
    {"ms": 0.001, "msec": 0.001, "": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hr": 3600}
)
_TIME = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*")
_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class Device:
    """One stonith resource. `targets` is None when only the device itself could say whom it fences.

    `options` is everything that was configured, by name; `never_on` the hosts where it must not run; `monitored`
    the interval of its monitor in seconds (0: none). `ruled` are names of options, and `target-role`, that depend on a
    rule, with the set that has it: everything else here is as where none of these rules holds.
    """

    name: str
    agent: str
    options: Mapping[str, str]
    targets: tuple[str, ...] | None
    never_on: frozenset[str] = frozenset()
    monitored: float = 0.0
    monitor_timeout: float = 20.0
    enabled: bool = True
    ruled: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def parameters(self) -> dict[str, str]:
        """What the agent itself is given."""
        return agents_own(self.options)

    def seconds(self, name: str) -> float | None:
        """One of its own times; None when it is not set or no time."""
        return seconds(self.options.get(name, ""))

    def limit(self, action: str) -> float | None:
        """The seconds after which Pacemaker ends an action of the agent (pcmk_ACTION_timeout); None when not set.

        Seen with Pacemaker 2.1.5: only the digits at the front count, so `2min` is two seconds.
        """
        text = self.options.get(f"pcmk_{action}_timeout")
        return None if text is None else whole_seconds(text)

    def misread_limits(self) -> Iterator[tuple[str, str, float, float]]:
        """Each limit that Pacemaker takes for another time: name, text, what it means, what it is taken for."""
        for name, text in sorted(self.options.items()):
            if TIMEOUT.fullmatch(name):
                meant, taken = seconds(text), whole_seconds(text)
                if meant is not None and meant != taken:
                    yield name, text, meant, taken

    def delay(self, target: str) -> float:
        """The seconds that it always waits before it fences a host; pcmk_delay_base may name them by host."""
        text = self.options.get("pcmk_delay_base", "")
        base = seconds(dict(_mapped(text)).get(target, "")) if ":" in text else seconds(text)
        return (base or 0.0) + (self.seconds("delay") or 0.0)

    def alias(self, target: str) -> str:
        """What the agent calls a host (pcmk_host_map), or the host's own name."""
        return dict(_mapped(self.options.get("pcmk_host_map", ""))).get(target, target)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a fencing topology: all `devices` must succeed. `target` is a host, a pattern or an attribute.

    `having` are the hosts that have the attribute.
    """

    target: str
    index: int
    devices: tuple[str, ...]
    having: frozenset[str] = frozenset()

    def is_for(self, host: str) -> bool:
        """Whether it is for a host."""
        if not self.target.startswith("@"):
            return self.target == host or host in self.having
        try:
            return re.search(self.target[1:], host) is not None
        except re.error:
            return False


@dataclass(frozen=True, slots=True)
class Fencing:
    """Everything about fencing in one CIB. `hosts` are the full members, `remotes` the hosts that run pacemaker-remoted
    alone: those never fence, and are fenced as everybody else.

    `prioritised`: some resource has a priority, so that priority-fencing-delay has something to go by. `ruled` are the
    properties that depend on a rule.
    """

    hosts: tuple[str, ...]
    devices: tuple[Device, ...]
    levels: tuple[Level, ...]
    properties: Mapping[str, str]
    prioritised: bool = True
    remotes: tuple[str, ...] = ()
    ruled: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def everybody(self) -> tuple[str, ...]:
        """Each host that may have to be fenced."""
        return (*self.hosts, *self.remotes)

    def losing(self, after: Fencing) -> tuple[str, ...]:
        """The hosts of both that some device can fence here, and none can in `after`."""
        if any(device.enabled and device.targets is None for device in after.devices):
            return ()  # one that finds out by itself whom it can fence
        there = [host for host in self.everybody if host in after.everybody]
        return tuple(host for host in there if self.devices_of(host) and not after.devices_of(host))

    @property
    def watchdog_timeout(self) -> float:
        """For how many seconds an unseen host's watchdog is waited for; 0: it is not, -1: Pacemaker chooses."""
        text = self.properties.get("stonith-watchdog-timeout", "").strip()
        return -1.0 if text.startswith("-") else self.seconds("stonith-watchdog-timeout", 0.0)

    def flag(self, name: str, default: bool) -> bool:
        """A cluster property that is a yes or no."""
        return yes(self.properties.get(name, ""), default)

    def seconds(self, name: str, default: float) -> float:
        """A cluster property that is a time."""
        found = seconds(self.properties.get(name, ""))
        return default if found is None else found

    def levels_of(self, host: str) -> tuple[Level, ...]:
        """The levels of a host, in the order in which they are tried: those for its name, or else of one other kind."""
        fitting = [level for level in self.levels if level.is_for(host)]
        kind = next((level.target for level in fitting if level.target != host), host)
        kind = host if any(level.target == host for level in fitting) else kind
        found = [level for level in fitting if level.target == kind]
        return tuple(sorted(found, key=lambda level: level.index))

    def devices_of(self, host: str) -> tuple[Device, ...]:
        """The devices that can fence a host, as far as the configuration says it."""
        return tuple(each for each in self.devices if each.enabled and host in (each.targets or ()))


def yes(text: str, default: bool) -> bool:
    """A yes or no as Pacemaker reads it; `default` where nothing is said."""
    word = text.strip().lower()
    return word in ("true", "yes", "on", "y", "1") if word else default


def seconds(text: str) -> float | None:
    """A time as Pacemaker writes it: `20`, `20s`, `2min`, `500ms`; None for anything else."""
    match = _TIME.fullmatch(text.lower())
    factor = _UNITS.get(match[2]) if match else None
    return None if match is None or factor is None else float(match[1]) * factor


def whole_seconds(text: str) -> float:
    """A text as C's atoi() reads it."""
    digits = re.match(r"\s*[+-]?[0-9]+", text)
    return float(digits[0]) if digits else 0.0


def read(cib: etree._Element) -> Fencing:
    """What the CIB says."""
    nodes = cib.iterfind("configuration/nodes/node")
    hosts = tuple(
        sorted(n.get("uname", "") for n in nodes if n.get("type", "member") in ("member", "normal"))
    )
    resources = cib.find("configuration/resources")
    primitives = [] if resources is None else resources.iter("primitive")
    properties = pairs(cib, cib.iterfind("configuration/crm_config/cluster_property_set"))
    everywhere = yes(properties.get("symmetric-cluster", ""), default=True)
    found = (_device(cib, primitive, hosts, everywhere) for primitive in primitives)
    devices = tuple(device for device in found if device)
    levels = cib.iterfind("configuration/fencing-topology/fencing-level")
    remotes = tuple(sorted(each.get("id", "") for each in cib.iterfind(REMOTES)))
    # A CIB that was only rendered has no hosts yet: they are those that its devices are for.
    named = {target for device in devices for target in device.targets or ()} - set(remotes)
    return Fencing(
        hosts or tuple(sorted(named)),
        devices,
        tuple(_level(cib, level) for level in levels),
        MappingProxyType(properties),
        any(pair.get("value", "0") not in ("", "0") for pair in cib.iterfind(PRIORITIES)),
        remotes,
        MappingProxyType(ruled(cib, cib.iterfind("configuration/crm_config/cluster_property_set"))),
    )


def _device(
    cib: etree._Element, primitive: etree._Element, hosts: tuple[str, ...], everywhere: bool
) -> Device | None:
    found = read_primitive(cib, primitive)
    if found.standard != "stonith":
        return None
    metas, metas_ruled = (of(cib, primitive, "meta_attributes") for of in (pairs_of, ruled_of))
    depends = {name: place for name, place in metas_ruled.items() if name == "target-role"} | dict(
        found.ruled
    )
    operations = (op for layer in layers(cib, primitive) for op in layer.iterfind("operations/op"))
    ops = [op for op in operations if op.get("name") == "monitor"]
    return Device(
        found.name,
        found.kind,
        MappingProxyType(dict(found.options)),
        targets_of(found.options),
        never_on(cib, primitive, hosts, everywhere),
        max((seconds(op.get("interval", "0")) or 0.0 for op in ops), default=0.0),
        min((seconds(op.get("timeout", "")) or 20.0 for op in ops), default=20.0),
        metas.get("target-role", "Started").lower() != "stopped",
        MappingProxyType(depends),
    )


def targets_of(options: Mapping[str, str]) -> tuple[str, ...] | None:
    """Whom a device fences by its list and map; None when it has neither, or asks the device all the same."""
    check = options.get("pcmk_host_check", "")
    listed = [name for name in _SEPARATORS.split(options.get("pcmk_host_list", "")) if name]
    mapped = [name for name, _ in _mapped(options.get("pcmk_host_map", ""))]
    if check in ("dynamic-list", "status", "none") or not (listed or mapped):
        return None
    return tuple(dict.fromkeys(listed or mapped))


def _mapped(text: str) -> Iterator[tuple[str, str]]:
    """The pairs of `n1:1;n2:2,3` (blanks and semicolons separate)."""
    for pair in re.split(r"[\s;]+", text):
        name, colon, alias = pair.replace("=", ":").partition(":")
        if colon and name:
            yield name, alias


def _level(cib: etree._Element, element: etree._Element) -> Level:
    pattern, attribute = element.get("target-pattern"), element.get("target-attribute", "")
    value = element.get("target-value", "")
    target = element.get("target") or (f"@{pattern}" if pattern else f"{attribute}={value}")
    devices = tuple(name.strip() for name in element.get("devices", "").split(",") if name.strip())
    index = element.get("index", "")
    having = frozenset(_having(cib, attribute, value)) if attribute else frozenset()
    return Level(target, int(index) if index.isdecimal() else 0, devices, having)


def _having(cib: etree._Element, attribute: str, value: str) -> Iterator[str]:
    """The hosts with that value of a node attribute, whether it stays or ends with the membership."""
    for path in (
        "configuration/nodes/node/instance_attributes",
        "status/node_state/transient_attributes/instance_attributes",
    ):
        for each in cib.iterfind(path):
            pair = next((one for one in each.iterfind("nvpair") if one.get("name") == attribute), None)
            owner = next(each.iterancestors("node", "node_state"))
            if pair is not None and pair.get("value") == value:
                yield owner.get("uname", "")
