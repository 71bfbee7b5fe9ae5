# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay agents check`: what every agent of this host would say, before anything needs it.

Decides what is asked of which agent, and what an answer means. Backstay's own agents are loaded with everything that
they could ever need, and rehearsed; those of others, which the CIB uses, are asked what Pacemaker would ask, and
nothing that changes anything. Never touches a guest, libvirtd or the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lxml import etree

from backstay.agents.rehearsal import STEPS, Host, Spoken, rehearse
from backstay.errors import BackstayError
from backstay.fencing import rehearsal as fencing
from backstay.fencing.ours import OURS
from backstay.host.private_host import NotPossible

GOOD, BAD, UNKNOWN = "ok", "broken", "-"
COLUMNS = ("load", "meta", "valid", "start", "monitor", "reload", "migrate", "stop", "power")
COLUMN = {
    "meta-data": "meta", "metadata": "meta", "validate-all": "valid", "reload-agent": "reload",
    "migrate_to": "migrate", "migrate_from": "migrate",
}  # fmt: skip
SCHEMA = Path("/usr/share/pcs/data/ocf-1.1.rng")  # Debian package pcs
FENCE_SCHEMA = Path("/usr/share/cluster/relaxng/metadata.rng")  # Debian package fence-agents
ASKING = 20.0  # seconds: Pacemaker's default timeout
UNIMPLEMENTED, NOT_HERE = 3, 5
# Neither good nor bad: a resource may well be kept away from a host that has not its software.
NEITHER = {UNIMPLEMENTED: "has no validate-all", NOT_HERE: "finds its software not installed on this host"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one agent in one column; `reason` is empty when it is good."""

    agent: str
    column: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Foreign:
    """An agent of somebody else that a CIB uses, with the parameters of the first resource that does."""

    name: str
    standard: str
    path: Path
    parameters: Mapping[str, str]
    resource: str = ""


class Ours(Protocol):
    """One version of Backstay (host.installed)."""

    def programs(self) -> Sequence[Path]: ...
    def load(self, program: Path) -> Sequence[str]: ...
    def misplaced(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class World:
    """What a check needs of its host. `secrets` puts those that Pacemaker keeps beside the CIB into parameters."""

    ours: Ours
    ask: Callable[[Path, str, Mapping[str, str], float], Spoken]
    fence: fencing.Agents
    host: Callable[[], AbstractContextManager[Host]]
    simulator: Callable[[str, Mapping[str, str]], AbstractContextManager[fencing.Bmc]]
    schema: Path | None = SCHEMA
    fence_schema: Path | None = FENCE_SCHEMA
    secrets: Callable[[str, Mapping[str, str]], Mapping[str, str]] = lambda _, parameters: parameters


def check(
    world: World, foreign: Sequence[Foreign] = (), proven: frozenset[str] = frozenset()
) -> tuple[Cell, ...]:
    """Everything but the agents that are proven already, as much of it at once as has nothing to do with each other."""
    programs = [path for path in world.ours.programs() if path.name not in proven]
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(_loaded, path, world) for path in programs]
        asked += [pool.submit(_played, path, world) for path in programs]
        asked += [pool.submit(_foreign, each, world) for each in foreign]
        return tuple(cell for answer in asked for cell in answer.result())


def _loaded(path: Path, world: World) -> list[Cell]:
    """Load an agent; ask it for its metadata."""
    name, ours = path.name, path.parent.name == "fencing"
    troubles = [*world.ours.load(path)]
    if name in world.ours.misplaced():
        troubles.append(world.ours.misplaced()[name])
    said = world.fence.run(name, "metadata", {}, ASKING) if ours else world.ask(path, "meta-data", {}, ASKING)
    meta = metadata_trouble(said, world.fence_schema if ours else world.schema)
    return [judged(name, "load", "; ".join(troubles)), judged(name, "meta", meta)]


def _played(path: Path, world: World) -> list[Cell]:
    """Rehearse an agent."""
    if path.parent.name == "fencing":
        return [_fenced(path.name, world)]
    if path.name not in STEPS:
        return [Cell(path.name, "start", UNKNOWN, f"{path.name} has no rehearsal")]
    found: dict[str, str] = {}
    rest = []
    try:
        with world.host() as host:
            for action, trouble in rehearse(path.name, path, host):
                column = COLUMN.get(action, action)
                found[column] = found.get(column, "") or trouble
    except NotPossible as error:
        rest = [Cell(path.name, "start", UNKNOWN, f"{path.name} is not rehearsed: {error}")]
    except BackstayError as error:
        rest = [Cell(path.name, "start", BAD, f"the rehearsal of {path.name} was not held: {error}")]
    return [*(judged(path.name, column, trouble) for column, trouble in found.items()), *rest]


def _fenced(name: str, world: World) -> Cell:
    """Rehearse a fence agent with its defaults; with what is configured, `backstay fence check` does."""
    if name not in OURS:
        return Cell(name, "power", UNKNOWN, f"{name} has no rehearsal")
    try:
        with world.simulator(name, {}) as bmc:
            return judged(name, "power", fencing.rehearse(name, {}, world.fence, bmc, OURS[name].script))
    except BackstayError as error:
        return Cell(name, "power", BAD, str(error))


def _foreign(each: Foreign, world: World) -> list[Cell]:
    """Ask somebody else's agent what it is, and whether its parameters are well formed."""
    fences = each.standard == "stonith"
    if fences:
        said = world.fence.run(each.path.name, "metadata", {}, ASKING)
    else:
        said = world.ask(each.path, "meta-data", {}, ASKING)
    trouble = metadata_trouble(said, None)
    meta = judged(each.name, "meta", trouble)
    if trouble:
        return [meta]
    try:
        given = world.secrets(each.resource, each.parameters)
    except BackstayError as error:
        return [meta, judged(each.name, "valid", f"{each.name} is not validated: {error}")]
    if fences:
        said = world.fence.run(each.path.name, "validate-all", given, ASKING)
    else:
        said = world.ask(each.path, "validate-all", given, ASKING)
    if said.code in NEITHER:
        return [meta, Cell(each.name, "valid", UNKNOWN, f"{each.name} {NEITHER[said.code]}")]
    how = "did not end" if said.code is None else f"ended with exit code {said.code}"
    trouble = "" if said.code == 0 else f"{each.name} validate-all {how}: {said.reason}"
    return [meta, judged(each.name, "valid", trouble)]


def judged(agent: str, column: str, trouble: str) -> Cell:
    """Give a cell: good without trouble."""
    return Cell(agent, column, BAD if trouble else GOOD, trouble)


def metadata_trouble(said: Spoken, schema: Path | None) -> str:
    """Say what is wrong with the metadata that an agent gave, by the schema where that is installed."""
    if said.code != 0:
        return f"meta-data {'did not end' if said.code is None else f'ended with exit code {said.code}'}: {said.reason}"
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(said.out.encode(), parser)
    except etree.XMLSyntaxError as error:
        return f"meta-data is not well-formed XML: {error.msg}"
    if root.tag != "resource-agent":
        return f"meta-data is a <{root.tag}>, no <resource-agent>"
    if schema is None or not schema.is_file():
        return ""
    valid = etree.RelaxNG(etree.parse(schema))
    return "" if valid.validate(root) else f"meta-data does not fit {schema}: {valid.error_log[0].message}"


def used_by(cib: etree._Element, resource_agents: Path, fence_agents: Path) -> Iterator[Foreign]:
    """Give each agent that a CIB uses and that is not Backstay's, once; what systemd runs is no agent."""
    seen = set()
    for element in cib.iterfind("configuration/resources//*[@class]"):
        standard, provider, kind = (element.get(word, "") for word in ("class", "provider", "type"))
        key = (standard, provider, kind)
        if key in seen or standard not in ("ocf", "stonith") or not kind or is_ours(provider, kind):
            continue
        seen.add(key)
        name = f"{provider}:{kind}" if provider else kind
        path = resource_agents / provider / kind if standard == "ocf" else fence_agents / kind
        yield Foreign(name, standard, path, dict(_parameters(element)), element.get("id", ""))


def is_ours(provider: str, kind: str) -> bool:
    """Whether an agent is Backstay's own."""
    return provider == "backstay" or kind.startswith("fence_backstay_")


def _parameters(element: etree._Element) -> Iterable[tuple[str, str]]:
    for pair in element.iterfind("instance_attributes/nvpair"):
        if pair.get("name") and not pair.get("name", "").startswith("pcmk_"):
            yield pair.get("name", ""), pair.get("value", "")
