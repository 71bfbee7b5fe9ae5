# SPDX-License-Identifier: GPL-2.0-or-later
"""How an admin writes limits of a guest: rates, sizes and percentages, for all disks or interfaces or for named ones.

Decides syntax and units. Every parser raises ValueError with a complaint that says what is expected and what is wrong.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Values = dict[str, int]

EVERY = ""  # stands for each disk, or each interface, that is not named
BYTES = {
    "B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}  # fmt: skip
BITS = {"bit": 1, "kbit": 1000, "Mbit": 1000**2, "Gbit": 1000**3}
PERIOD = 100_000  # microseconds in which a CPU quota is counted
UNLIMITED = -1  # of a CPU quota
KINDS = ("total", "read", "write")
DIRECTIONS = {"in": "inbound", "out": "outbound"}
DISK_EXAMPLE = "must be like 50MiB/s, or vda=50MiB/s,300iops vdb=read:10MB/s"
NETWORK_EXAMPLE = "must be like 100Mbit/s, or 52:54:00:12:34:56=100Mbit/s 1=in:10MB/s,out:2MB/s"
CPU_EXAMPLE = "must be a percentage of one host CPU such as 150%"
MEMORY_EXAMPLE = "must be a size such as 512MiB or 2GiB"


def disk(given: str) -> dict[str, Values]:
    """Parse limit_disk into {target: {family field: value}}; raises ValueError with a complaint."""
    found: dict[str, Values] = {}
    for target, rates in _items(given, DISK_EXAMPLE):
        values = found.setdefault(target, {})
        for rate in rates:
            _unmixed(values, _disk_rate(rate), rate)
    return found


def _disk_rate(rate: str) -> tuple[str, int]:
    kind, colon, amount = rate.rpartition(":")
    kind = kind if colon else "total"
    if kind in KINDS:
        if amount.endswith("iops"):
            return f"{kind}_iops_sec", _whole(amount[:-4], rate, DISK_EXAMPLE)
        if amount.endswith("/s"):
            return f"{kind}_bytes_sec", _sized(amount[:-2], BYTES, rate, DISK_EXAMPLE)
    raise ValueError(f"{DISK_EXAMPLE}; {rate!r} is no rate (50MiB/s, 300iops, read:10MB/s, write:100iops)")


def _unmixed(values: Values, new: tuple[str, int], rate: str) -> None:
    """Add a rate; libvirt takes either a total or reads and writes, and each once."""
    name, value = new
    kind, _, family = name.partition("_")
    same = [other for other in values if other.endswith(family)]
    if name in values or (same and (kind == "total" or f"total_{family}" in values)):
        raise ValueError(f"{DISK_EXAMPLE}; {rate!r} says twice what another rate of that disk says")
    values[name] = value


def network(given: str) -> dict[str, Values]:
    """Parse limit_network into {interface: {inbound or outbound: kB/s}}; raises ValueError with a complaint."""
    found: dict[str, Values] = {}
    for interface, rates in _items(given, NETWORK_EXAMPLE):
        values = found.setdefault(interface.lower(), {})
        for rate in rates:
            direction, colon, amount = rate.rpartition(":")
            ways = [DIRECTIONS.get(direction, "")] if colon else list(DIRECTIONS.values())
            if "" in ways or not amount.endswith("/s"):
                raise ValueError(f"{NETWORK_EXAMPLE}; {rate!r} is no rate (100Mbit/s, in:10MB/s)")
            speed = max(1, _bits(amount[:-2], rate) // 8000)
            for way in ways:
                if way in values:
                    raise ValueError(f"{NETWORK_EXAMPLE}; {rate!r} says twice what another rate of it says")
                values[way] = speed
    return found


def _bits(amount: str, rate: str) -> int:
    units = BITS | {unit: 8 * size for unit, size in BYTES.items()}
    return _sized(amount, units, rate, NETWORK_EXAMPLE)


def cpu(given: str) -> int:
    """Parse limit_cpu into microseconds of CPU time in each PERIOD; raises ValueError with a complaint."""
    percent = given.removesuffix("%")
    if not given.endswith("%") or not percent.isdecimal() or not 1 <= int(percent) <= 100_000:
        raise ValueError(CPU_EXAMPLE)
    return int(percent) * PERIOD // 100


def memory(given: str) -> int:
    """Parse limit_memory into KiB; raises ValueError with a complaint."""
    return max(1, _sized(given, BYTES, given, MEMORY_EXAMPLE) >> 10)


def _items(given: str, example: str) -> list[tuple[str, list[str]]]:
    items = []
    for word in given.split():
        target, equals, rates = word.rpartition("=")
        if (equals and not target) or not rates or not all(rates.split(",")):
            raise ValueError(f"{example}; {word!r} is incomplete")
        items.append((target, rates.split(",")))
    return items


def _sized(amount: str, units: Mapping[str, int], rate: str, example: str) -> int:
    number = amount.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = amount[len(number) :]
    if unit not in units:
        raise ValueError(f"{example}; the unit of {rate!r} is none of {', '.join(units)}")
    try:
        value = int(float(number) * units[unit])
    except (ValueError, OverflowError):
        raise ValueError(f"{example}; {rate!r} has no number") from None
    if not 0 < value < 1 << 60:
        raise ValueError(f"{example}; {rate!r} must be above zero and below 1 EiB")
    return value


def _whole(digits: str, rate: str, example: str) -> int:
    if not digits.isdecimal() or not 0 < int(digits) < 1 << 60:
        raise ValueError(f"{example}; {rate!r} needs a whole number above zero")
    return int(digits)


def complaint(parse: str, given: str) -> str:
    """Say what is wrong with a value for the parser of that name; empty when nothing is."""
    try:
        {"disk": disk, "network": network, "cpu": cpu, "memory": memory}[parse](given)
    except ValueError as wrong:
        return str(wrong)
    return ""
