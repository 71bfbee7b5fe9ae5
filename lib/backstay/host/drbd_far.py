# SPDX-License-Identifier: GPL-2.0-or-later
"""One DRBD resource on one host of the cluster, asked and changed by ssh, or here.

Decides nothing. One shell script looks at everything, so that a look costs one connection, and needs nothing of
Backstay on the other side. What changes something does it once and says what came of it. Source: drbdsetup(8),
drbdmeta(8), drbdadm(8) of drbd-utils 9.22; lvs(8), lvextend(8); virsh(1) of libvirt 9.0.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backstay.errors import CannotAsk
from backstay.host import far
from backstay.host.drbd import QUIET, version_in
from backstay.host.drbd_state import State
from backstay.host.drbd_state import read as read_state
from backstay.host.ssh import Host

FOLDER = "/etc/drbd.d"
LOOK_TIME, TOOL, EXTEND = 60.0, 120.0, 300.0  # seconds
ADDRESS = re.compile(r"\b(ipv[46])[:\s]+\[?([0-9A-Fa-f.:]+?)\]?:([0-9]+)(?=[;\s])")

# $1 resource, $2 v08 or v09; then for each volume: number, minor, device.
LOOK = r"""
say() { printf '%s %s\n' "$1" "$2"; }
export LC_ALL=C DRBD_DONT_WARN_ON_VERSION_MISMATCH=1
resource=$1 metadata=$2
shift 2
file="/etc/drbd.d/$resource.res"
[ -f "$file" ] && say file "$(base64 -w0 "$file")"
if [ -e /proc/drbd ]; then
    say version "$(cat /sys/module/drbd/version 2>/dev/null || head -n1 /proc/drbd)"
    said=$(drbdsetup events2 --now --statistics "$resource") || exit 1
    say events "$(printf '%s\n' "$said" | base64 -w0)"
    say show "$(drbdsetup show "$resource" 2>/dev/null | base64 -w0)"
else
    say version "$(modinfo --field version drbd 2>/dev/null)"
fi
while [ "$#" -ge 3 ]; do
    say "size.$1" "$(blockdev --getsize64 "$3" 2>/dev/null)"
    say "holds.$1" "$(wipefs --no-act --noheadings --output TYPE "$3" 2>/dev/null | sort -u | tr '\n' ' ')"
    say "uuid.$1" "$(drbdmeta "$2" "$metadata" --node-id=0 "$3" internal get-gi 2>/dev/null </dev/null)"
    say "volume.$1" "$(lvs --noheadings --nosuffix --units b --options vg_free,vg_extent_size "$3" 2>/dev/null)"
    shift 3
done
say end yes
"""

# $1 domain, $2 the number of the device: what the domain has of it, as libvirt knows it.
GUEST = r"""
virsh="timeout 20 virsh --quiet --connect qemu:///system"
case $($virsh domstate "$1" 2>/dev/null) in running|paused) ;; *) exit 0 ;; esac
$virsh domblklist "$1" --details | while read -r _ _ target source; do
    [ "$(readlink -f "$source")" = "/dev/drbd$2" ] || continue
    printf '%s %s\n' "$target" "$($virsh domblkinfo "$1" "$target" | sed -n 's/^Capacity: *//p')"
done
"""


Address = tuple[str, str, str]
"""One end of a connection: family, address, port."""


@dataclass(frozen=True, slots=True)
class Below:
    """What lies below a volume on a host: size in bytes, other signatures on it, UUID of DRBD's metadata, LVM's words.

    `room` is None where it is no logical volume.
    """

    size: int
    holds: str
    uuid: int
    room: int | None
    extent: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a host said. `addresses` are all that its kernel has in the resource's connections, its own among them."""

    file: str | None
    version: tuple[int, ...]
    state: State | None
    addresses: tuple[Address, ...]
    below: Mapping[int, Below]


def look(host: Host, resource: str, generation: int, volumes: Sequence[tuple[int, int, str]]) -> Seen:
    """Look at everything; `volumes` are numbers, minors and devices. Raises CannotAsk."""
    words = [str(word) for volume in volumes for word in volume]
    argv = ["sh", "-s", "--", resource, f"v{generation:02}", *words]
    return read(host.name, resource, host.check(argv, timeout=LOOK_TIME, stdin=LOOK))


def read(name: str, resource: str, text: str) -> Seen:
    """What the script said; CannotAsk when it did not come to its end."""
    said = {key: value.strip() for key, _, value in (line.partition(" ") for line in text.splitlines())}
    if said.get("end") != "yes":
        raise CannotAsk(f"{name} did not tell everything of {resource}")
    numbers = [int(key.partition(".")[2]) for key in said if key.startswith("size.")]
    return Seen(
        _text(said["file"]) if "file" in said else None,
        version_in(said.get("version", "")),
        read_state(_text(said["events"]), resource) if "events" in said else None,
        tuple((m[1], m[2], m[3]) for m in ADDRESS.finditer(_text(said.get("show", "")))),
        {number: _below(said, number) for number in numbers},
    )


def _below(said: Mapping[str, str], number: int) -> Below:
    volume = said.get(f"volume.{number}", "").split()
    holds = [word for word in said.get(f"holds.{number}", "").split() if word != "drbd"]
    return Below(
        int(said.get(f"size.{number}") or 0),
        ", ".join(holds),
        int(said.get(f"uuid.{number}", "").partition(":")[0] or "0", 16),
        int(volume[0]) if len(volume) == 2 else None,
        int(volume[1]) if len(volume) == 2 else 1,
    )


def _text(said: str) -> str:
    return base64.b64decode(said).decode("utf-8", "replace")


def write(host: Host, resource: str, text: str) -> None:
    """Replace the resource's file there."""
    far.write(host, f"{FOLDER}/{resource}.res", text.encode())


def put_aside(host: Host, resource: str) -> None:
    """Rename the resource's file there, so that nobody reads it any more."""
    far.put_aside(host, f"{FOLDER}/{resource}.res")


def adm(host: Host, *words: str) -> None:
    """Have drbdadm do something there that has to succeed; CannotAsk with its last words. It is never answered."""
    _do(host, "drbdadm", *words)


def part(host: Host, one: Address, other: Address) -> None:
    """End a connection of DRBD 8.4, by the addresses of its two ends, whatever the configuration says."""
    _do(host, "drbdsetup", "disconnect", _end(one), _end(other))


def forget(host: Host, resource: str, number: int) -> None:
    """End a connection of DRBD 9 and forget that peer, so that its place in the metadata is free."""
    for verb in ("disconnect", "del-peer", "forget-peer"):
        _do(host, "drbdsetup", verb, resource, str(number))


def _do(host: Host, *argv: str) -> None:
    done = host(argv, timeout=TOOL, environment=QUIET)
    if not done.ok:
        raise CannotAsk(f"{host.name}: {argv[0]} {argv[1]}: {done.complaint()}")


def _end(address: Address) -> str:
    family, text, port = address
    return f"{family}:[{text}]:{port}" if family == "ipv6" else f"{family}:{text}:{port}"


def extend(host: Host, device: str, size: int) -> None:
    """Make a logical volume that big, in bytes, rounded up to what its volume group has for a unit."""
    host.check(["lvextend", "--size", f"{size}b", device], timeout=EXTEND)


def guest(host: Host, domain: str, minor: int) -> tuple[str, int] | None:
    """The target of a running domain's disk, and how many bytes it has for the guest; None when it has none there."""
    said = host.check(["sh", "-s", "--", domain, str(minor)], timeout=LOOK_TIME, stdin=GUEST).split()
    return (said[0], int(said[1])) if len(said) >= 2 and said[1].isdecimal() else None


def tell_guest(host: Host, domain: str, target: str, size: int) -> None:
    """Let a running domain see that its disk has that many bytes."""
    argv = ["virsh", "--quiet", "--connect", "qemu:///system", "blockresize", domain, target, f"{size}B"]
    host.check(argv, timeout=TOOL)
