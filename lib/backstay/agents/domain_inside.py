# SPDX-License-Identifier: GPL-2.0-or-later
"""What a monitor sees at OCF_CHECK_LEVEL 10 and 20: inside libvirt, the emulator and the guest.

Decides what each finding means. Level 10: libvirt minds the same process, the emulator answers on its monitor, its
disks have no errors, block jobs advance. Level 20: the guest agent answers. The admin's scripts belong to the level
that monitor_scripts_depth says. Never looks inside a guest that does not run well already: a script that fails
because the guest is paused by a storage error would restart it, on one host after the other.

What says nothing about the guest is never a failure: a libvirtd that does not answer, a guest agent that the definition
does not have or the guest has not started, a script that is not on this host. Only a script that ran and failed is one
at once; what is silent in a guest that should speak is degraded, and failed after degraded_limit.

While libvirtd is there it holds the emulator's socket, and passing a command through it taints the domain; so libvirt
is asked for what it must ask the emulator for (the disks' errors), and says itself for how long the emulator has not
answered. While it is away, the ordinary monitor asks the emulator (domain_silence). libvirt forgets a block job that
failed, so one that stands still is all that can be seen of it.
"""

from __future__ import annotations

from backstay.agents.domain_state import AGES, LOOK, LOST, WELL, Condition, judged
from backstay.agents.domain_world import lasted
from backstay.errors import BackstayError
from backstay.host import libvirt
from backstay.host.emulator import name_of, uuid_of
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt_inside import AgentAnswer, Inside
    from backstay.ocf.context import Context

LIBVIRT, GUEST = 10, 20  # check levels
ASKING = 5.0  # seconds for one question to libvirt
ANSWERING = (
    10.0  # seconds for the guest agent, of which libvirt needs five to give one up that does not synchronise
)
EVERY = 1.0  # seconds between two rounds of scripts while a start waits for them
TOO_LATE = 1.0  # seconds; with less than that left no script is run


class Tools:
    """What looks inside: `inside` and `agent` ask libvirt (host.libvirt_inside), `written_pid` gives the process that
    libvirt minds, `run` runs a script and gives its exit code and last line; each takes its seconds. `runs_scripts`
    says whether this call runs them.
    """

    __slots__ = (
        "agent",
        "inside",
        "level",
        "limit",
        "run",
        "runs_scripts",
        "scripts",
        "seconds",
        "written_pid",
    )

    def __init__(
        self,
        *,
        level: int,
        limit: float,
        scripts: Sequence[str],
        runs_scripts: bool,
        seconds: float,
        inside: Callable[[str, float], Inside],
        agent: Callable[[str, float], AgentAnswer],
        written_pid: Callable[[str], int],
        run: Callable[[str, str, str, float], tuple[int, str]],
    ) -> None:
        self.level = level
        self.limit = limit
        self.scripts = tuple(scripts)
        self.runs_scripts = runs_scripts
        self.seconds = seconds
        self.inside = inside
        self.agent = agent
        self.written_pid = written_pid
        self.run = run


def tools_of(context: Context[Any]) -> Tools:
    """Give this host's tools for one call."""
    from backstay.host.libvirt_inside import LibvirtInside
    from backstay.host.libvirt_status import written_pid
    from backstay.host.scripts import run

    given = context.parameters
    virt = LibvirtInside(given.hypervisor)
    return Tools(
        level=context.check_level,
        limit=given.degraded_limit,
        scripts=given.monitor_scripts.split(),
        runs_scripts=context.check_level >= given.monitor_scripts_depth,
        seconds=given.monitor_script_timeout,
        inside=virt.look,
        agent=virt.ping_agent,
        written_pid=written_pid if given.hypervisor.startswith("qemu:///system") else lambda _name: 0,
        run=run,
    )


def look(world: World, seen: Seen, outcome: Outcome, tools: Tools, deadline: Deadline) -> Outcome:
    """Look as deep as the level says into a guest that runs; `outcome` is what the ordinary monitor answers."""
    found: list[Condition] = []
    if tools.level >= LIBVIRT:
        found += in_libvirt(world, seen, tools, deadline)
    if outcome.code == codes.SUCCESS and all(one.verdict == WELL for one in found):
        if tools.level >= GUEST:
            found.append(of_agent(seen, tools.agent(_uuid(seen), deadline.at_most(ANSWERING).left())))
        if tools.runs_scripts:
            found += in_scripts(seen, tools, deadline)
    counted = next((one.kind for one in found if one.counts), "")
    age = lasted(world, seen.emulators[0], counted, tools.level or 1)
    return worst(
        [outcome, *(judged(seen, one, age if one.kind == counted else 0.0, tools.limit) for one in found)]
    )


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Give the worst code with all that is said of it."""
    for code in (codes.GENERIC, codes.DEGRADED):
        said = [one.reason for one in outcomes if one.code == code]
        if said:
            return Outcome(code, "; ".join(said))
    return done("; ".join(dict.fromkeys(one.reason for one in outcomes)))


# ---- level 10


def in_libvirt(world: World, seen: Seen, tools: Tools, deadline: Deadline) -> list[Condition]:
    """Look into libvirt."""
    process = seen.emulators[0]
    answer = tools.inside(_uuid(seen), deadline.at_most(ASKING).left())
    found = of_libvirt(seen, answer, tools.written_pid(seen.identity.name or name_of(process.arguments)))
    if answer.kind == libvirt.KNOWN:
        name = f"domain-{world.instance}.jobs"
        try:
            found += of_jobs(seen, answer.jobs, world.memory.read(name))
            world.memory.write(name, _told(answer.jobs))
        except OSError as error:
            world.warn(f"what block jobs {seen.where} has cannot be remembered: {error}")
    return found


def of_libvirt(seen: Seen, answer: Inside, minded: int) -> list[Condition]:
    """Decide what libvirt's answer means; `minded` is the process that it takes for the domain, 0 if it wrote none."""
    if answer.control == "error":
        return [Condition(LOOK, "", f"libvirt has lost its connection to the emulator of {seen.where}")]
    if answer.kind == libvirt.HUNG:
        if answer.control:  # libvirt answers, and what it must ask the emulator does not come back
            busy = f"for {answer.seconds:.0f} s" if answer.seconds else "now"
            said = f"the emulator of {seen.where} does not answer libvirt ({answer.control} {busy})"
            return [Condition(LOOK, "", f"{said}; look at its storage")]
        return [Condition(WELL, "", f"{seen.where} runs; libvirt does not answer")]
    if answer.kind != libvirt.KNOWN:
        return [Condition(WELL, "", f"{seen.where} runs; libvirt said nothing of its inside ({answer.text})")]
    found = []
    if minded and minded not in [process.pid for process in seen.emulators]:
        found.append(Condition(LOOK, "", f"libvirt takes pid {minded} for {seen.where}; restart libvirtd"))
    if answer.errors:
        said = ", ".join(f"{disk} ({what})" for disk, what in sorted(answer.errors.items()))
        found.append(
            Condition(
                LOOK,
                "",
                f"disks of {seen.where} have errors: {said}; look at their storage, then: virsh resume",
            )
        )
    return found


def of_jobs(seen: Seen, jobs: Sequence[tuple[str, str, int, int]], before: str) -> list[Condition]:
    """Name the block jobs; one that stands where it stood at the last look is degraded."""
    if not jobs:
        return []
    lines = before.splitlines()
    still = [
        f"{kind} of {disk}"
        for disk, kind, at, end in jobs
        if at < end and f"{disk} {kind} {at} {end}" in lines
    ]
    if still:
        return [
            Condition(
                LOOK,
                "",
                f"block jobs of {seen.where} stand still: {', '.join(still)}; virsh blockjob shows them",
            )
        ]
    named = ", ".join(f"{kind} of {disk} ({100 * at // end if end else 0}%)" for disk, kind, at, end in jobs)
    return [Condition(WELL, "", f"{seen.where} runs, with block jobs: {named}")]


def _told(jobs: Sequence[tuple[str, str, int, int]]) -> str:
    return "\n".join(f"{disk} {kind} {at} {end}" for disk, kind, at, end in jobs)


# ---- level 20


def of_agent(seen: Seen, answer: AgentAnswer) -> Condition:
    """Decide what the guest agent's answer, or its silence, means."""
    where = seen.where
    if answer.kind == "answered":
        return Condition(WELL)
    if answer.kind == "none":
        return Condition(WELL, "", f"{where} runs; its definition has no guest agent")
    if answer.kind == "disconnected":
        return Condition(
            LOOK,
            "",
            f"the guest agent in {where} is not connected; is qemu-guest-agent installed and running there?",
        )
    if answer.kind == "silent":
        return Condition(AGES, "agent-silent", f"the guest agent in {where} does not answer: {answer.text}")
    return Condition(WELL, "", f"{where} runs; its guest agent could not be asked ({answer.text})")


# ---- the admin's scripts


def in_scripts(seen: Seen, tools: Tools, deadline: Deadline) -> list[Condition]:
    """Run the scripts one after the other, up to the first that does not pass."""
    for place, script in enumerate(tools.scripts):
        share = deadline.left() / (len(tools.scripts) - place)
        found = in_script(seen, script, tools, min(tools.seconds, share))
        if found.verdict != WELL:
            return [found]
    return []


def in_script(seen: Seen, script: str, tools: Tools, seconds: float) -> Condition:
    """Run one script; it passes with exit code 0."""
    name = seen.identity.name or name_of(seen.emulators[0].arguments)
    from backstay.host.process import ProcessTimedOut

    try:
        code, last = tools.run(script, name, _uuid(seen), seconds)
    except ProcessTimedOut:
        return Condition(
            AGES,
            "script-slow",
            f"{script} for {seen.where} did not end within {seconds:.0f} s and was killed",
        )
    except BackstayError as error:
        return Condition(LOOK, "", f"how {seen.where} is cannot be checked: {error}")
    if code:
        return Condition(LOST, "", f"{script} says of {seen.where}: {last} (exit code {code})")
    return Condition(WELL)


def gate(world: World, seen: Seen, tools: Tools, deadline: Deadline) -> Outcome:
    """Let a start wait as long as it may until every script passes; one that cannot be run here holds nothing up."""
    while True:
        found = in_scripts(seen, tools, deadline)
        if not found or found[0].verdict == LOOK:
            for one in found:
                world.warn(one.sentence)
            return done(f"{seen.where} was started")
        if deadline.left() < TOO_LATE:
            return failed(f"{seen.where} was started, and did not pass in time: {found[0].sentence}")
        world.pause(min(EVERY, deadline.left()))


def _uuid(seen: Seen) -> str:
    return uuid_of(seen.emulators[0].arguments) or seen.identity.uuid
