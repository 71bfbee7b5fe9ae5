# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence drill`: a host is really fenced, in quiet times, and what came of it is remembered.

Decides words, and what an exit code means: 0 as it should be, 1 something went wrong on the way, 4 refused. Asks before
it touches anything; what an earlier drill left behind is undone first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import chain, pairwise, starmap

import click
from lxml import etree

from backstay.cli import fence_drill_world as real
from backstay.cli import options
from backstay.cli.plan import Simulated
from backstay.errors import BadInput, Findings, Refused
from backstay.fencing.drill import (
    ALLOW_STOP,
    ONLY_THESE,
    UNTESTED,
    Refusal,
    devices_for_the_record,
    refusals,
    standing,
    tried_devices,
)
from backstay.fencing.drill_course import Outcome, Patience, drill, take_over
from backstay.fencing.drill_marks import FENCING, Left, Open, Record, left
from backstay.fencing.drill_situation import Situation
from backstay.host import crm_mon, drills
from backstay.host.interrupt import interruptible
from backstay.plan import happened as history
from backstay.plan.leaving import guest_resources
from backstay.plan.prediction import HURTS
from backstay.plan.transition import MIGRATE, Step
from backstay.plan.wording import sentence

SETTLING = 300.0  # seconds that the cluster gets to come to rest after it
FINDINGS = 1


@click.command("drill")
@click.argument("host", required=False)
@click.option(
    "--plan", "only_plan", is_flag=True, help="Say what would be done and all that speaks against it."
)
@click.option("--abort", is_flag=True, help="Undo what a drill left that was interrupted (of HOST, or any).")
@options.unasked
@options.waiting(600.0, "How long the guests may take to leave.")
@click.option(ALLOW_STOP, is_flag=True, help="Also when something has to stop and start elsewhere.")
@click.option(
    ONLY_THESE, is_flag=True, help="Nothing runs there that the cluster does not manage: you looked."
)
@click.option(
    UNTESTED, is_flag=True, help="Also with a device of which nothing has proven yet that it works."
)
@options.common
def drill_command(
    host: str | None,
    only_plan: bool,
    abort: bool,
    yes: bool,
    seconds: float,
    allow_stop: bool,
    only_these: bool,
    untested: bool,
    output: str,
) -> int:
    """Really fence HOST, after its guests have moved away, and remember when that last worked.

    Refused when it would hurt. The host is set aside, its guests leave alive, the cluster fences it its usual way, it
    comes back. Exit codes: 0 done; 1 not all went well, or --plan found reasons against it; 3 the cluster could not be
    asked; 4 refused.
    """
    with interruptible(), drills.alone() as mine:
        if abort:
            return _abort(host, output, locked=not mine, yes=yes)
        if host is None:
            raise BadInput("which host is to be fenced", hint="backstay fence drill HOST")
        if not mine and not only_plan:
            raise Refused("a drill is running on this host", hint="wait until it is over")
        here = real.here()
        if not only_plan:
            _tidy(here)
        options_of_force = ((ALLOW_STOP, allow_stop), (ONLY_THESE, only_these), (UNTESTED, untested))
        insisted = [name for name, said in options_of_force if said]
        cib = real.live()
        now = real.situation(host, here, cib)
        if host not in {each.name for each in now.hosts}:
            names = ", ".join(each.name for each in now.hosts)
            raise BadInput(f"{host} is no member of this cluster", hint=f"its members are {names}")
        against = refusals(now, insisted)
        if only_plan:
            options.show(output, _plan(now, against), _facts(now, against))
            return FINDINGS if against else 0
        click.echo(_plan(now, against), err=True)
        _permit(now, against, output, yes=yes)
        return _carry_out(now, cib, Patience(drain=seconds), output, insisted)


def _permit(now: Situation, against: tuple[Refusal, ...], output: str, *, yes: bool) -> None:
    if against:
        if output == "json":
            options.print_json({**_facts(now, against), "done": False})
        some = f"{len(against)} reasons speak" if len(against) > 1 else "a reason speaks"
        raise Refused(f"{now.target} is not fenced: {some} against it", hint=_insist(against))
    options.agree(f"Fence {now.target}?", "fence it", "not fenced", yes=yes)


def _insist(against: tuple[Refusal, ...]) -> str:
    names = sorted({each.insist for each in against if each.insist})
    return f"insist with {' '.join(names)}" if names and all(each.insist for each in against) else ""


def _carry_out(
    now: Situation, cib: etree._Element, patience: Patience, output: str, insisted: Sequence[str]
) -> int:
    world = real.Cluster(now.foreseen.guests, only_these=ONLY_THESE in insisted)
    begun = Open(now.target, time.time(), now.here)
    looks = [_look(cib)]
    found = drill(begun, devices_for_the_record(now), world, patience, _recheck(now, looks, insisted))
    settled = found.back is None or real.settle(
        f"the cluster to come to rest after the drill of {now.target}", SETTLING
    )
    after = real.live()
    guests = guest_resources(cib) | guest_resources(after)
    happened = chain.from_iterable(starmap(history.happened, pairwise([*looks, _look(after)])))
    steps = [step for step in happened if step.subject in guests]
    said = _result(now, found, steps, settled=settled)
    options.show(output, _story(now, found, steps, settled=settled), said)
    return 0 if said["good"] else FINDINGS


def _recheck(now: Situation, looks: list[history.Look], insisted: Sequence[str]) -> Callable[[], None]:
    """At the last moment: is the host still one that may be switched off? How its guests left is kept in `looks`."""

    def recheck() -> None:
        cib = real.live()
        looks.append(_look(cib))
        against = standing(real.situation(now.target, now.here, cib, foresee=False), insisted)
        if against:
            raise Findings(f"{now.target} is not fenced: {against[0].text}", hint=against[0].hint)

    return recheck


def _look(cib: etree._Element) -> history.Look:
    return history.look(cib, Simulated().present(etree.tostring(cib)), frozenset())


def _tidy(here: str) -> None:
    """Undo what an earlier drill left behind, if nobody can be carrying it out."""
    now = crm_mon.cluster(real.ANSWER)
    online = {node.name for node in now.nodes if node.online}
    old = [
        each for each in real.open_drills(real.live()) if left(each, here, online, False) is Left.ABANDONED
    ]
    for each in old:
        click.echo(_finish(each, now, alive=False), err=True)
    if old:
        real.settle("the cluster to come to rest", SETTLING)


def _abort(host: str | None, output: str, *, locked: bool, yes: bool) -> int:
    here, now = real.here(), crm_mon.cluster(real.ANSWER)
    online = {node.name for node in now.nodes if node.online}
    found = [each for each in real.open_drills(real.live()) if host in (None, each.target)]
    for each in found:
        what = left(each, here, online, locked)
        if what is Left.RUNNING:
            raise Refused(f"the drill of {each.target} is running on this host", hint="press Ctrl-C there")
        if what is Left.ELSEWHERE and not yes:
            hint = f"ask there, or insist with --yes: one that runs on {each.here} stops by itself then"
            raise Refused(f"the drill of {each.target} was begun on {each.here}, which is up", hint=hint)
    told = [_finish(each, now, alive=left(each, here, online, locked) is Left.ELSEWHERE) for each in found]
    data = {"undone": [{"host": each.target, "begun": each.since, "from": each.here} for each in found]}
    options.show(output, "\n".join(told) or "No drill was interrupted.", data)
    return 0


def _finish(old: Open, now: crm_mon.Cluster, *, alive: bool) -> str:
    """Undo an interrupted drill, keep the record if the host was fenced all the same; one sentence about it.

    One that had not come to the fencing fenced nobody, whoever fenced the host since.
    """
    done = [
        event
        for event in now.events
        if (event.target, event.status, old.phase) == (old.target, "success", FENCING)
        and event.action in ("off", "reboot")
        and old.since <= event.completed
    ]
    world = real.Cluster()
    known = {(record.target, record.at) for record in real.recorded(real.live())}
    if done and old.since and (old.target, old.since) not in known:
        world.keep(Record(old.target, old.since, old.here, "?"))
    take_over(old, world, alive=alive)
    came = "the host was fenced all the same" if done else "it did not fence the host"
    return f"The drill of {old.target} ({old}) was interrupted and is undone; {came}."


def _plan(now: Situation, against: tuple[Refusal, ...]) -> str:
    devices = tried_devices(now)
    lines = [f"drill of {now.target}, from {now.here}"]
    lines += [f"  {guest} moves live to {target}" for guest, target in now.foreseen.moves]
    lines += [f"  {text}" for text in now.foreseen.harm]
    lines.append(f"  the cluster fences {now.target}" + (f" with {' and '.join(devices)}" if devices else ""))
    lines.append(f"  {now.target} boots and comes back")
    if now.foreseen.unmeasured:
        names = ", ".join(now.foreseen.unmeasured)
        lines.append(f"  nobody configured how much memory {names} needs: whether there is room is not known")
    if against:
        lines.append("what speaks against it:")
        lines += [f"  ! {one.text}" + (f"; {one.hint}" if one.hint else "") for one in against]
    return "\n".join(lines)


def _facts(now: Situation, against: tuple[Refusal, ...]) -> dict[str, object]:
    return {
        "host": now.target,
        "from": now.here,
        "devices": list(tried_devices(now)),
        "moves": [{"guest": guest, "to": target} for guest, target in now.foreseen.moves],
        "refusals": [asdict(one) for one in against],
    }


def _result(now: Situation, found: Outcome, steps: list[Step], *, settled: bool) -> dict[str, object]:
    interrupted = [asdict(step) for step in steps if step.verb in HURTS]
    good = found.off is not None and not found.problems and not interrupted and settled
    return {
        "host": now.target,
        "from": now.here,
        "devices": list(tried_devices(now)),
        "done": found.off is not None,
        "good": good,
        "drained": _rounded(found.drained),
        "off": _rounded(found.off),
        "lost": _rounded(found.lost),
        "back": _rounded(found.back),
        "moved": sorted(step.subject for step in steps if step.verb == MIGRATE),
        "interrupted": interrupted,
        "settled": settled,
        "problems": list(found.problems),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _story(now: Situation, found: Outcome, steps: list[Step], *, settled: bool) -> str:
    lines = []
    if found.off is not None:
        back = "" if found.back is None else f", back in the cluster after {found.back:.1f} s"
        lines.append(f"{now.target} was fenced: known to be off after {found.off:.1f} s{back}.")
    hurt = [step for step in steps if step.verb in HURTS]
    lines += [f"  ! {sentence(step)}" for step in hurt]
    if not hurt:
        lines.append(f"  no guest was interrupted; {now.target} was empty after {found.drained:.0f} s")
    lines += [f"  ! {problem}" for problem in found.problems]
    if not settled:
        lines.append("  ! the cluster has not come to rest: crm_mon -1 says what it waits for")
    return "\n".join(lines)
