# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay agents check`: what every agent of this host would say, before anything needs it.

Decides what is asked of which agent, and what an answer means. Backstay's own agents are loaded with everything that
they could ever need, and rehearsed; those of others, which the CIB uses, are asked what Pacemaker would ask, and
nothing that changes anything. Never touches a guest, libvirtd or the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lxml import etree

from backstay.agents import units
from backstay.agents.handlers import HANDLERS, Desk
from backstay.agents.rehearsal import STEPS, Host, Spoken, rehearse
from backstay.errors import BackstayError
from backstay.fencing import rehearsal as fencing
from backstay.fencing.ours import OURS
from backstay.fencing.primitives import by_rule, primitives
from backstay.host.clock import Deadline
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
VALIDATING = 120.0  # seconds until no further parameters of other projects' agents are validated
# Neither good nor bad: a resource may well be kept away from a host that has not its software.
UNIMPLEMENTED, NOT_HERE = 3, 5
REASON = "ocf-exit-reason:"  # what an agent of OCF 1.1 says for the admin, on standard error


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one agent in one column; `reason` is empty when it is good."""

    agent: str
    column: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Foreign:
    """An agent of somebody else that a CIB uses, with the parameters of each resource that does, by its name.

    For what needs none, a unit or a script of the system, `path` is its name. `ruled` says of a resource what depends
    on a rule.
    """

    name: str
    standard: str
    path: Path
    resources: Mapping[str, Mapping[str, str]]
    ruled: Mapping[str, str] = field(default_factory=dict)


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
    desk: Callable[[], AbstractContextManager[Desk]]
    schema: Path | None = SCHEMA
    fence_schema: Path | None = FENCE_SCHEMA
    secrets: Callable[[str, Mapping[str, str]], Mapping[str, str]] = lambda _, parameters: parameters
    unit: Callable[[str], str] = lambda _: units.NOT_FOUND  # the LoadState of a unit; raises CannotAsk
    script: Callable[[str], bool] = lambda _: False  # whether /etc/init.d has one that can be run


def check(
    world: World, foreign: Sequence[Foreign] = (), proven: frozenset[str] = frozenset()
) -> tuple[Cell, ...]:
    """Everything but the agents that are proven already, as much of it at once as has nothing to do with each other."""
    programs = [path for path in world.ours.programs() if path.name not in proven]
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(_loaded, path, world) for path in programs]
        asked += [pool.submit(_played, path, world) for path in programs]
        until = Deadline(VALIDATING)
        asked += [pool.submit(_foreign, each, world, until) for each in foreign]
        return tuple(cell for answer in asked for cell in answer.result())


def _loaded(path: Path, world: World) -> list[Cell]:
    """Load an agent; ask it for its metadata. A handler has none."""
    name, ours = path.name, path.parent.name == "fencing"
    troubles = [*world.ours.load(path)]
    if name in world.ours.misplaced():
        troubles.append(world.ours.misplaced()[name])
    if name in HANDLERS:
        return [judged(name, "load", "; ".join(troubles))]
    said = world.fence.run(name, "metadata", {}, ASKING) if ours else world.ask(path, "meta-data", {}, ASKING)
    meta = metadata_trouble(said, world.fence_schema if ours else world.schema)
    return [judged(name, "load", "; ".join(troubles)), judged(name, "meta", meta)]


def _played(path: Path, world: World) -> list[Cell]:
    """Rehearse an agent."""
    if path.parent.name == "fencing":
        return [_fenced(path.name, world)]
    if path.name in HANDLERS:
        return [_handled(path, world)]
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


def _handled(path: Path, world: World) -> Cell:
    """Rehearse what Pacemaker or DRBD runs when something happens."""
    name = path.name
    try:
        with world.desk() as desk:
            trouble = HANDLERS[name](path, desk)
    except NotPossible as error:
        return Cell(name, "start", UNKNOWN, f"{name} is not rehearsed: {error}")
    return judged(name, "start", f"{name} {trouble}" if trouble else "")


def _fenced(name: str, world: World) -> Cell:
    """Rehearse a fence agent with its defaults; with what is configured, `backstay fence check` does."""
    if name not in OURS:
        return Cell(name, "power", UNKNOWN, f"{name} has no rehearsal")
    try:
        with world.simulator(name, {}) as bmc:
            return judged(name, "power", fencing.rehearse(name, {}, world.fence, bmc, OURS[name].script))
    except BackstayError as error:
        return Cell(name, "power", BAD, str(error))


def _foreign(each: Foreign, world: World, until: Deadline) -> list[Cell]:
    """Ask somebody else's agent what it is, and whether the parameters of all its resources are well formed."""
    if each.standard in units.WITHOUT_AGENT:
        return [_unit(each, world)]
    if each.standard == "stonith":
        said = world.fence.run(each.path.name, "metadata", {}, ASKING)
    else:
        said = world.ask(each.path, "meta-data", {}, ASKING)
    trouble = metadata_trouble(said, None)
    meta = judged(each.name, "meta", trouble)
    if trouble:
        return [meta]
    return [meta, *dict.fromkeys(_validated(each, world, until))]


def _validated(each: Foreign, world: World, until: Deadline) -> Iterator[Cell]:
    """Validate each set of parameters once, the first one at any rate, and say how many had no time."""
    sets: dict[frozenset[tuple[str, str]], str] = {}
    for resource, parameters in each.resources.items():
        if resource in each.ruled:
            text = f"{each.name} is not validated for {resource}: its {each.ruled[resource]}"
            yield Cell(each.name, "valid", UNKNOWN, text)
            continue
        try:
            given = world.secrets(resource, parameters)
        except BackstayError as error:
            yield judged(each.name, "valid", f"{each.name} is not validated: {error}")
        else:
            sets.setdefault(frozenset(given.items()), resource)
    for number, (given_pairs, resource) in enumerate(sets.items()):
        if number and until.expired:
            count = f"{number} of {len(sets)} different sets of parameters"
            yield Cell(each.name, "valid", UNKNOWN, f"{each.name}: there was time to validate {count}")
            return
        yield _valid(each, resource, dict(given_pairs), world)


def _valid(each: Foreign, resource: str, given: Mapping[str, str], world: World) -> Cell:
    """Ask whether the parameters of one resource are well formed."""
    if each.standard == "stonith":
        said = world.fence.run(each.path.name, "validate-all", given, ASKING)
    else:
        said = world.ask(each.path, "validate-all", given, ASKING)
    if said.code == 0:
        return Cell(each.name, "valid", GOOD)
    if said.code == UNIMPLEMENTED:
        return Cell(each.name, "valid", UNKNOWN, f"{each.name} has no validate-all")
    why = f"{_why(said)} (resource {resource})"
    if said.code == NOT_HERE:
        text = f"{each.name} finds something not installed on this host: {why}"
        return Cell(each.name, "valid", UNKNOWN, text)
    how = "did not end" if said.code is None else f"ended with exit code {said.code}"
    return Cell(each.name, "valid", BAD, f"{each.name} validate-all {how}: {why}")


def _why(said: Spoken) -> str:
    """What an agent gave as its reasons, or else the last line that it said."""
    lines = [line.strip() for line in said.err.splitlines()]
    reasons = [line.removeprefix(REASON).strip() for line in lines if line.startswith(REASON)]
    return "; ".join(dict.fromkeys(reasons)) or said.reason


def _unit(each: Foreign, world: World) -> Cell:
    """Ask whether the system has what a resource without an agent runs; nothing is started or stopped."""
    kind = str(each.path)
    if each.standard != "systemd" and world.script(kind):
        return Cell(each.name, "load", GOOD)
    try:
        state = units.NOT_FOUND if each.standard == "lsb" else world.unit(units.unit_of(kind))
    except BackstayError as error:
        return Cell(each.name, "load", UNKNOWN, str(error))
    if state == units.NOT_FOUND:
        return Cell(each.name, "load", UNKNOWN, units.missing(each.standard, kind))
    return judged(each.name, "load", units.trouble(kind, state))


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
    """Give each agent that a CIB uses and that is not Backstay's, once, and each unit or script of the system."""
    users: dict[tuple[str, str, str], dict[str, Mapping[str, str]]] = {}
    ruled: dict[str, str] = {}
    for each in primitives(cib):
        known = each.standard in ("ocf", "stonith", *units.WITHOUT_AGENT)
        if known and each.kind and not is_ours(each.provider, each.kind):
            used = users.setdefault((each.standard, each.provider, each.kind), {})
            used[each.name] = each.parameters()
            if each.ruled:
                ruled[each.name] = by_rule(each.ruled)
    for (standard, provider, kind), resources in users.items():
        if standard in units.WITHOUT_AGENT:
            yield Foreign(f"{standard}:{kind}", standard, Path(kind), {})
            continue
        name = f"{provider}:{kind}" if provider else kind
        path = resource_agents / provider / kind if standard == "ocf" else fence_agents / kind
        yield Foreign(name, standard, path, resources, {r: ruled[r] for r in resources if r in ruled})


def is_ours(provider: str, kind: str) -> bool:
    """Whether an agent is Backstay's own."""
    return provider == "backstay" or kind.startswith("fence_backstay_")
