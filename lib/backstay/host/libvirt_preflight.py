# SPDX-License-Identifier: GPL-2.0-or-later
"""What a running domain needs, and what libvirt on another host says about having it.

Decides nothing: every fact is one word, which agents.domain_preflight judges. Asks only what libvirt's API answers
without touching anything. What that does not answer is taken from what the target's own agent has told: where shared
storage is mounted there, and which lock manager is at work (host.surroundings). Whether a file can be opened there is
libvirt's own question, which it asks before the first page of memory is sent: it names the file that is missing.
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host import libvirt, surroundings
from backstay.host.child import Broke, NoAnswer, ask
from backstay.host.libvirt import in_child
from backstay.host.surroundings import Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from backstay.host.libvirt import Virt
    from backstay.host.surroundings import Mounted

FITS, MISFIT, PRESENT, INACTIVE, ABSENT, UNKNOWN = (
    "fits",
    "misfit",
    "present",
    "inactive",
    "absent",
    "unknown",
)
EMULATOR, DEFINITION, CPU, NETWORK, DEVICE, POOL, DISK, MOUNT, LOCK = (
    "emulator", "definition", "CPU", "network", "network device", "storage pool", "disk", "mount", "lock manager",
)  # fmt: skip


class Fact:
    """One thing that the target was asked for: its kind, its name, one of the words above, libvirt's own sentence."""

    __slots__ = ("kind", "name", "text", "word")

    def __init__(self, kind: str, name: str, word: str, text: str = "") -> None:
        self.kind = kind
        self.name = name
        self.word = word
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fact) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"Fact({self.kind} {self.name}: {self.word} {self.text!r})"


class Needs:
    """What a domain that runs here needs of a host, in plain values; `trouble` says why it is not known.

    `memory` is what it may use at most and `resident` what it uses now, in bytes (0: not known). `cpu` is the element
    of its definition; `checked` says that libvirt on the target will insist on it. `devices` are bridges and network
    cards with whether libvirt's own interface list must have them. `volumes` are pairs of pool and volume. `insists`
    says that an admin wants no guest to run without a lock.
    """

    __slots__ = (
        "arch", "checked", "cpu", "definition", "devices", "emulator", "host", "insists", "machine", "memory",
        "networks", "paths", "resident", "trouble", "type", "volumes",
    )  # fmt: skip

    def __init__(self, trouble: str = "", **facts: Any) -> None:
        self.trouble = trouble
        self.host: str = facts.get("host", "")
        self.definition: str = facts.get("definition", "")
        self.type: str = facts.get("type", "")
        self.emulator: str = facts.get("emulator", "")
        self.arch: str = facts.get("arch", "")
        self.machine: str = facts.get("machine", "")
        self.cpu: str = facts.get("cpu", "")
        self.checked: bool = facts.get("checked", False)
        self.insists: bool = facts.get("insists", False)
        self.memory: int = facts.get("memory", 0)
        self.resident: int = facts.get("resident", 0)
        self.networks: tuple[str, ...] = facts.get("networks", ())
        self.devices: tuple[tuple[str, bool], ...] = facts.get("devices", ())
        self.volumes: tuple[tuple[str, str], ...] = facts.get("volumes", ())
        self.paths: tuple[str, ...] = facts.get("paths", ())


class Offer:
    """What the libvirt at a target answered; `trouble` says why it did not, `host` is its own UUID for its host.

    `available` is the memory that is free or only used for caches, in bytes (0: not known).
    """

    __slots__ = ("available", "facts", "host", "trouble")

    def __init__(
        self, trouble: str = "", host: str = "", available: int = 0, facts: tuple[Fact, ...] = ()
    ) -> None:
        self.trouble = trouble
        self.host = host
        self.available = available
        self.facts = facts


class Preflight:
    """Asks the libvirt here (`uri`) and the one at the target (`remote`). No method raises for what libvirt does.

    `insists`: an admin wants no guest to run without a lock.
    """

    __slots__ = ("_insists", "_remote", "_uri")

    def __init__(self, uri: str, remote: str, insists: bool = False) -> None:
        self._insists = insists
        self._uri = uri
        self._remote = remote

    def needs(self, uuid: str, timeout: float) -> Needs:
        """Say what the domain needs."""
        told = _asked(self._uri, lambda virt: _needs(virt, uuid), timeout)
        return Needs(told) if isinstance(told, str) else Needs(insists=self._insists, **told)

    def offer(self, needs: Needs, timeout: float) -> Offer:
        """Say what the target has of it, its storage aside."""
        told = _asked(self._remote, lambda virt: _offer(virt, needs), timeout)
        return Offer(told) if isinstance(told, str) else _offered(told)

    def storage(self, needs: Needs, timeout: float) -> Offer:
        """Say what the target's storage pools know of its disks; asked apart, since storage may hang."""
        if not needs.volumes and not needs.paths:
            return Offer()
        told = _asked(self._remote, lambda virt: {"facts": [*_storage(virt, needs)]}, timeout)
        return Offer(told) if isinstance(told, str) else _offered(told)

    def around(self, needs: Needs, target: str, timeout: float) -> Offer:
        """Say what the agent on the host `target` told of its mounts and its lock manager, as far as that matters."""
        from backstay.host.elsewhere import lock_manager

        there, manager = _told(target, timeout / 2), lock_manager(self._uri)
        known = Surroundings("", None) if there is None else there
        facts = []
        for names, ours in _lying(needs.paths, timeout / 2):
            word, text = surroundings.disk(names, ours, known.mounts)
            facts.append(Fact(MOUNT, names[0], word, text))
        word, text = surroundings.lock(manager, known.lock)
        if there is None and manager:
            word, text = UNKNOWN, f"here {manager}"
        return Offer(facts=(*facts, Fact(LOCK, manager, word, text)))


def _told(target: str, timeout: float) -> Surroundings | None:
    """Give what the target told last; None when it told nothing, or nobody can be asked."""
    from backstay.host.attributes import Attributes

    try:
        text = Attributes().values(surroundings.ATTRIBUTE, timeout).get(target)
    except CannotAsk:
        return None
    return None if text is None else surroundings.read(text)


def _lying(paths: tuple[str, ...], timeout: float) -> list[tuple[tuple[str, ...], tuple[Mounted, ...]]]:
    """Give each path, with the one that it leads to where that is another, and the mounts here."""
    import os

    mounts = surroundings.here("").mounts or ()
    try:  # a path on storage that hangs cannot be followed
        real = ask(lambda: tuple(map(os.path.realpath, paths)), timeout)
    except CannotAsk:
        real = paths
    return [(tuple(dict.fromkeys(names)), mounts) for names in zip(paths, real, strict=True)]


def _asked(uri: str, question: Any, timeout: float) -> Any:
    """Give what the question gave, or the sentence that says why there is nothing."""
    try:
        told = ask(lambda: in_child(uri, lambda virt: {"told": question(virt)}), timeout)
    except (NoAnswer, Broke) as silence:
        return str(silence)
    return told["told"] if "told" in told else told["text"] or libvirt.REFUSED


def _offered(told: dict[str, Any]) -> Offer:
    facts = tuple(Fact(*fact) for fact in told.pop("facts"))
    return Offer(facts=facts, **told)


# ---- in the child: what the domain needs


def _needs(virt: Virt, uuid: str) -> Any:
    from xml.etree import ElementTree as ET

    domain = virt.domain(uuid, "")
    if domain is None:
        return "libvirt does not know it"
    definition = domain.XMLDesc(virt.module.VIR_DOMAIN_XML_MIGRATABLE)
    top = ET.fromstring(definition)
    cpu = top.find("cpu")
    kind = top.find("os/type")
    return {
        "host": _host(virt),
        "definition": definition,
        "type": top.get("type", ""),
        "emulator": top.findtext("devices/emulator", ""),
        "arch": "" if kind is None else kind.get("arch", ""),
        "machine": "" if kind is None else kind.get("machine", ""),
        "cpu": "" if cpu is None or cpu.find("model") is None else ET.tostring(cpu, encoding="unicode"),
        "checked": cpu is not None and cpu.get("check") in ("partial", "full"),
        # pages of huge tables are not part of what a host reports as free
        "memory": 0 if top.find("memoryBacking/hugepages") is not None else domain.maxMemory() * 1024,
        "resident": _resident(virt, domain),
        **_network_needs(virt, top),
        **_disk_needs(top),
    }


def _resident(virt: Virt, domain: Any) -> int:
    try:
        return int(domain.memoryStats().get("rss", 0)) * 1024
    except virt.module.libvirtError:
        return 0


def _network_needs(virt: Virt, top: Any) -> dict[str, Any]:
    networks, devices = [], []
    for card in top.iterfind("devices/interface"):
        source = card.find("source")
        if source is None:
            continue
        if card.get("type") == "network" and source.get("network"):
            networks.append(source.get("network"))
        elif card.get("type") == "bridge" and source.get("bridge"):
            # a bridge of Open vSwitch need not be a device of the kernel
            devices.append((source.get("bridge"), card.find("virtualport") is None))
        elif card.get("type") == "direct" and source.get("dev"):
            devices.append((source.get("dev"), True))
    # A libvirt that does not list what the guest uses here (in a container it sees another host's devices) is no
    # reason to believe that the target's list is complete.
    listed = [(name, certain and _device(virt, name, True)[2] == PRESENT) for name, certain in devices]
    return {"networks": tuple(dict.fromkeys(networks)), "devices": tuple(dict.fromkeys(listed))}


def _disk_needs(top: Any) -> dict[str, Any]:
    volumes, paths = [], []
    for disk in top.iterfind("devices/disk"):
        source = disk.find("source")
        if source is None or disk.get("device") in ("cdrom", "floppy"):
            continue
        if source.get("pool"):
            volumes.append((source.get("pool", ""), source.get("volume", "")))
        elif source.get("file") or source.get("dev"):
            paths.append(source.get("file") or source.get("dev"))
    return {"volumes": tuple(volumes), "paths": tuple(paths)}


# ---- in the child: what the target has


def _host(virt: Virt) -> str:
    from xml.etree import ElementTree as ET

    return (ET.fromstring(virt.connection.getCapabilities()).findtext("host/uuid") or "").lower()


def _offer(virt: Virt, needs: Needs) -> dict[str, Any]:
    facts = [_emulator(virt, needs), _definition(virt, needs)]
    if needs.cpu:
        facts.append(_cpu(virt, needs))
    facts += [_network(virt, name) for name in needs.networks]
    facts += [_device(virt, name, certain) for name, certain in needs.devices]
    return {"host": _host(virt), "available": _available(virt), "facts": facts}


def _available(virt: Virt) -> int:
    try:
        said = virt.connection.getMemoryStats(virt.module.VIR_NODE_MEMORY_STATS_ALL_CELLS)
        return (int(said["free"]) + int(said.get("buffers", 0)) + int(said.get("cached", 0))) * 1024
    except (virt.module.libvirtError, KeyError):
        return 0


def _emulator(virt: Virt, needs: Needs) -> tuple[str, ...]:
    name = f"{needs.emulator} with machine type {needs.machine}"
    unanswerable = (
        virt.module.VIR_ERR_NO_SUPPORT,
        virt.module.VIR_ERR_ACCESS_DENIED,
        virt.module.VIR_ERR_RPC,
        virt.module.VIR_ERR_INTERNAL_ERROR,  # it could not look at the emulator, for want of memory or time, say
    )
    try:
        virt.connection.getDomainCapabilities(needs.emulator, needs.arch, needs.machine, needs.type)
    except virt.module.libvirtError as error:
        return EMULATOR, name, UNKNOWN if error.get_error_code() in unanswerable else MISFIT, str(error)
    return EMULATOR, name, FITS, ""


def _definition(virt: Virt, needs: Needs) -> tuple[str, ...]:
    """Let the target's libvirt read the definition and make a command line of it; it starts nothing."""
    decisive = (
        virt.module.VIR_ERR_XML_ERROR, virt.module.VIR_ERR_XML_DETAIL, virt.module.VIR_ERR_CONFIG_UNSUPPORTED,
    )  # fmt: skip
    try:
        virt.connection.domainXMLToNative("qemu-argv", needs.definition, 0)
    except virt.module.libvirtError as error:
        return DEFINITION, "", MISFIT if error.get_error_code() in decisive else UNKNOWN, str(error)
    return DEFINITION, "", FITS, ""


def _cpu(virt: Virt, needs: Needs) -> tuple[str, ...]:
    flags = virt.module.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
    try:
        virt.connection.compareHypervisorCPU(
            needs.emulator, needs.arch, needs.machine, needs.type, needs.cpu, flags
        )
    except virt.module.libvirtError as error:
        no = error.get_error_code() == virt.module.VIR_ERR_CPU_INCOMPATIBLE
        return CPU, "", MISFIT if no else UNKNOWN, str(error)
    return CPU, "", FITS, ""


def _network(virt: Virt, name: str) -> tuple[str, ...]:
    try:
        active = virt.connection.networkLookupByName(name).isActive()
    except virt.module.libvirtError as error:
        return NETWORK, name, _missing(error, virt.module.VIR_ERR_NO_NETWORK), str(error)
    return NETWORK, name, PRESENT if active else INACTIVE, ""


def _device(virt: Virt, name: str, certain: bool) -> tuple[str, ...]:
    try:
        virt.connection.interfaceLookupByName(name)
    except virt.module.libvirtError as error:
        word = _missing(error, virt.module.VIR_ERR_NO_INTERFACE)
        return DEVICE, name, word if certain else UNKNOWN, str(error)
    return DEVICE, name, PRESENT, ""


def _missing(error: Any, code: int) -> str:
    return ABSENT if error.get_error_code() == code else UNKNOWN


def _storage(virt: Virt, needs: Needs) -> Iterator[tuple[str, ...]]:
    for pool, volume in needs.volumes:
        yield _volume(virt, pool, volume)
    if not needs.paths:
        return
    pools = _directories(virt)
    for path in needs.paths:
        directory = path.rpartition("/")[0]
        if directory in pools:
            yield DISK, path, _listed(virt, path), f"pool {pools[directory]}"


def _volume(virt: Virt, pool: str, volume: str) -> tuple[str, ...]:
    try:
        found = virt.connection.storagePoolLookupByName(pool)
        if not found.isActive():
            return POOL, pool, INACTIVE, ""
    except virt.module.libvirtError as error:
        return POOL, pool, _missing(error, virt.module.VIR_ERR_NO_STORAGE_POOL), str(error)
    try:
        found.storageVolLookupByName(volume)
    except virt.module.libvirtError as error:
        # what was made on another host is listed only after a refresh, which may hang
        return DISK, f"{pool}/{volume}", UNKNOWN, str(error)
    return POOL, pool, PRESENT, ""


def _directories(virt: Virt) -> dict[str, str]:
    """Give the directories of the active pools, with the names of the pools."""
    from xml.etree import ElementTree as ET

    active = virt.module.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
    found = {}
    for pool in virt.connection.listAllStoragePools(active):
        path = ET.fromstring(pool.XMLDesc(0)).findtext("target/path", "")
        if path:
            found[path] = pool.name()
    return found


def _listed(virt: Virt, path: str) -> str:
    try:
        virt.connection.storageVolLookupByPath(path)
    except virt.module.libvirtError:
        return UNKNOWN
    return PRESENT
