# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay recover`: which hosts were recovered, which are not and why, and a human's word that a host is dead.

Decides words, what is refused, and what an exit code means: 0 nothing is open, 1 something is not recovered, 3 the
cluster could not be asked, 4 refused. Recovers nothing itself: that is the role's, on the host that has it.
"""

from __future__ import annotations

import getpass
import sys
import time

import click

from backstay.agents import frontend_profiles as profiles
from backstay.agents import recovery
from backstay.agents.frontend import FrontendParameters
from backstay.agents.recovery import BEGUN, HOLD, RECOVER, Decision, Fencing, Host, Record, decide
from backstay.agents.recovery_seen import hosts, looked
from backstay.cli import options
from backstay.cli.fence_drill_world import here
from backstay.errors import BackstayError, BadInput, CannotAsk, Findings, Refused
from backstay.host import frontend, membership, recoveries
from backstay.host.attributes import Attributes
from backstay.host.clock import Deadline, TimedOut, until
from backstay.host.interrupt import Interrupted
from backstay.host.libvirtd import NOTE

ANSWER = 30.0  # seconds for a tool of the cluster
POLL = 2.0
FINDINGS = 1


@click.command("recover")
@click.argument("host", required=False)
@click.option("--confirm-dead", "confirm", is_flag=True, help="HOST is off: you have seen it.")
@click.option("--proof", metavar="WORDS", help='"HOST is off", in place of being asked for these words.')
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and change nothing.")
@options.waiting(300.0, "How long its recovery may take.")
@options.common
def recover(
    host: str | None, confirm: bool, proof: str | None, only_plan: bool, seconds: float, output: str
) -> int:
    """Show which hosts a frontend has recovered, and which not and why; confirm that HOST is dead.

    What ran on a host is recovered by itself after a confirmed fencing. Where there is none, because fencing is
    impossible or because Pacemaker was stopped there before the host died, a human has to have seen that the host is
    off: a host that still runs its guests while they are started elsewhere destroys their disks. Exit codes: 0 nothing
    is open; 1 something is not recovered; 3 the cluster could not be asked; 4 refused.
    """
    if host is None and (confirm or proof is not None):
        raise BadInput("which host is dead", hint="backstay recover HOST --confirm-dead")
    if not confirm and (proof is not None or only_plan):
        word = "--plan" if proof is None else "--proof"
        raise BadInput(
            f"{word} alone says nothing", hint=f"with it: backstay recover {host or 'HOST'} --confirm-dead"
        )
    if host is None:
        return _show(_look(), output)
    one = _one(host)
    if not confirm or not _is_open(one):
        return _show([one], output)
    click.echo(_would(one, only_plan), err=not only_plan)
    if only_plan:
        return 0
    _prove(host, proof)
    one = _one(host)  # it may be back, or somebody else's word was quicker, while this one was being given
    if not _is_open(one):
        return _show([one], output)
    _confirm(one)
    return _until_done(host, seconds, output)


def _one(host: str) -> Host:
    found = _look()
    one = next((each for each in found if each.name == host), None)
    if one is None:
        names = ", ".join(each.name for each in found)
        raise BadInput(f"{host} is no host of this cluster", hint=f"its hosts are {names}")
    return one


def _is_open(one: Host) -> bool:
    """Whether a human's word is missing; Refused where it must not be taken."""
    decision = decide(one)
    _refuse(one, decision)
    return decision.verb == HOLD


def _look() -> list[Host]:
    here()
    return hosts(recoveries.look(ANSWER), looked(Attributes().values(NOTE, ANSWER)))


def _facts(one: Host) -> dict[str, object]:
    decision = decide(one)
    known = one.record
    return {
        "host": one.name,
        "online": one.online,
        "state": known.state if known else None,
        "fenced": known.fencing.when or None if known else None,
        "by_a_human": known.fencing.human if known else None,
        "remark": known.remark if known else "",
        "now": decision.verb,
        "said": decision.said,
    }


def _line(one: Host) -> str:
    decision, known = decide(one), one.record
    if decision.said:
        return decision.said
    if known is None or known.state == recovery.SEEN:
        return f"{one.name}: nothing had to be recovered since records are kept"
    by = "was confirmed to be off by a human" if known.fencing.human else "was fenced"
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(known.fencing.when))
    back = ", and is given back" if known.state == recovery.BACK else ""
    return f"{one.name}: {by} {when}, recovered{back}{f' ({known.remark})' if known.remark else ''}"


def _show(found: list[Host], output: str) -> int:
    facts = [_facts(one) for one in found]
    options.show(output, "\n".join(_line(one) for one in found), {"hosts": facts})
    return FINDINGS if any(decide(one).verb in (HOLD, RECOVER) for one in found) else 0


def _refuse(one: Host, decision: Decision) -> None:
    if one.online:
        raise Refused(f"{one.name} is on line in the cluster: it is not dead")
    if one.fencing:
        raise Refused(
            f"{one.name} is being fenced: a device's word is better than a human's", hint="wait for its end"
        )
    if decision.verb == RECOVER:
        raise Refused(decision.said, hint=f"look with: backstay recover {one.name}")


def _would(one: Host, only_plan: bool) -> str:
    """What is about to be done, in the admin's words."""
    how = (
        "Pacemaker is told that it is off (stonith_admin --confirm), and starts elsewhere what it managed there"
        if one.unclean
        else "it left the cluster in order, so Pacemaker has nothing to do"
    )
    lines = [f"{one.name}: {how}.", "The frontend then recovers what ran there:"]
    try:
        lines += [f"  {said}" for said in _foreseen(one.name)]
    except CannotAsk as error:
        lines.append(f"  what becomes of each machine is not known here: {error}")
    if only_plan:
        lines.append("Nothing was changed.")
    return "\n".join(lines)


def _foreseen(name: str) -> list[str]:
    roles = frontend.roles_here()
    if not roles:
        raise CannotAsk("ask on the host that has the role")
    said: list[str] = []
    for role, chosen in roles:
        here = frontend.Host(role)
        profile = profiles.known(FrontendParameters(profile=chosen), here)
        said += profile.foresee(name, here, Deadline(ANSWER))
    return said


def _prove(host: str, proof: str | None) -> None:
    wanted = f"{host} is off"
    if proof is None:
        if not sys.stdin.isatty():
            raise Refused("nobody is there to be asked for the proof", hint=f'in scripts: --proof "{wanted}"')
        question = f'Type "{wanted}" when you have seen yourself that it has no power'
        proof = str(click.prompt(question, err=True, default="", show_default=False))
    if " ".join(proof.split()) != wanted:
        raise Refused(f"{host} is not taken for dead without these words: {wanted}")


def _confirm(one: Host) -> None:
    """Tell Pacemaker, or where it has no question, the record itself."""
    if one.unclean:
        membership.confirm_off(one.name)
        return
    remark = f"confirmed by {getpass.getuser()} on {Attributes().local(ANSWER)}"
    recoveries.keep(one.name, Record(Fencing(int(time.time()), human=True), BEGUN, remark).text(), ANSWER)


def _until_done(host: str, seconds: float, output: str) -> int:
    def done() -> Host | None:
        one = next((each for each in _look() if each.name == host), None)
        settled = one is not None and one.record is not None and one.record.state != BEGUN
        return one if settled and decide(one).verb not in (HOLD, RECOVER) else None  # type: ignore[arg-type]

    try:
        return _show([until(done, Deadline(seconds), POLL, f"{host} to be recovered")], output)
    except KeyboardInterrupt:
        hint = f"look with: backstay recover {host}"
        raise Interrupted(
            f"{host} is confirmed to be off; its recovery goes on by itself", hint=hint
        ) from None
    except TimedOut:
        said = _said() or "no frontend that recovers hosts runs now, or it has not begun"
        raise Findings(
            f"{host} is confirmed to be off, but not recovered after {seconds:.0f} s: {said}"
        ) from None


def _said() -> str:
    try:
        return "; ".join(filter(None, Attributes().values(recoveries.SAYS, ANSWER).values()))
    except BackstayError:
        return ""
