# SPDX-License-Identifier: GPL-2.0-or-later
"""How each step of `backstay host` is done on the real cluster.

Decides nothing about their order (members/steps.py); a step is done when a fresh look says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial

import click

from backstay.cib import corosync_text
from backstay.cib.corosync import corosync_conf
from backstay.cli.fence_drill_world import ANSWER, live, settle
from backstay.cli.hosts_description import Description
from backstay.cli.hosts_look import View
from backstay.cli.hosts_words import GO_ON
from backstay.cli.loading import load
from backstay.errors import CannotAsk, Findings, Refused
from backstay.host import crm_mon, far, membership
from backstay.host.at_once import at_once
from backstay.host.clock import Deadline, pause
from backstay.members.seen import UNITS
from backstay.members.steps import Mark, Phase, Step, Verb
from backstay.plan.leaving import guest_resources

EVERY, TELL = 1.0, 5.0  # seconds between two looks, and between two words about it
PROOF = 300.0  # seconds: the rehearsal of the agents on a busy host
LOADED = 60.0
TRIALS = 3  # a proof that a fencing or another check stood in the way of is asked for again
AT_ONCE = 3  # proofs; a BMC has few sessions
Cell = Mapping[str, object]


class World(View):
    """The deeds; `DEEDS` says which belongs to which step."""

    def do(self, step: Step) -> None:
        """Carry out one step; it is done when a fresh look says so."""
        DEEDS[step.verb](self, step)

    def set_aside(self, _step: Step) -> None:
        """Standby, with a mark that says why."""
        phase = Phase.LEAVING if self.leaving else Phase.REPLACING
        runs = crm_mon.cluster(ANSWER).runs_on(self.name)
        self.guests = tuple(name for name in runs if name in guest_resources(live()))
        self._mark(phase)

    def _mark(self, phase: Phase) -> None:
        node = crm_mon.cluster(ANSWER).node(self.name)
        if node is None and not self.remote:
            raise CannotAsk(f"the cluster does not know {self.name}, so it cannot be set aside")
        number = self.name if self.remote or node is None else node.number
        membership.set_aside(self.name, number, Mark(phase, int(time.time())).text())

    def empty(self, _step: Step) -> None:
        """Wait until nothing runs there, and what ran there runs elsewhere."""
        self._wait(self._full, "its guests to have moved")

    def _full(self) -> str:
        now = crm_mon.cluster(ANSWER)
        left = now.runs_on(self.name)
        down = [name for name in self.guests if not now.active.get(name)]
        return f"{', '.join(left)} on {self.name}" if left else ", ".join(f"{name} to run" for name in down)

    def join(self, _step: Step) -> None:
        """Wait until every member sees it."""
        self._wait(self._absent, f"{self.name} to join")

    def _absent(self) -> str:
        now = self.now()
        return "" if now.joined else f"{self.name} among the members of all"

    def prove(self, _step: Step) -> None:
        """Let the members prove what they could do to the host."""
        askers = [name for name in self.machines if name not in self.proven]
        at_once({name: partial(self._prove, name, self._of_it) for name in askers}, AT_ONCE)

    def prove_others(self, _step: Step) -> None:
        """Let the host prove what it could do to all."""
        self._prove(self.name, lambda _cell: True)

    def _of_it(self, cell: Cell) -> bool:
        return cell["target"] == self.name

    def _prove(self, asker: str, concerns: Callable[[Cell], bool]) -> None:
        bad = "nothing was proven"
        accept = [] if self.leaving else [self.name]  # whose BMC was once called so does not count
        for _ in range(TRIALS):
            done = far.prove(self.far(asker), accept, PROOF)
            cells = [cell for cell in _cells(asker, done.stdout, done.complaint()) if concerns(cell)]
            wrong = [cell for cell in cells if not cell["good"]]
            if cells and not wrong:
                self.proven.add(asker)
                return
            bad = "; ".join(f"{cell['device']}: {cell['reason'] or cell['state']}" for cell in wrong) or bad
            if not any(cell["state"] == "unproven" for cell in wrong):
                break
            pause(TELL)
        whom = "every host" if asker == self.name else self.name
        hint = f"mend that (nothing runs on {self.name} before), then {GO_ON}"
        raise Findings(f"{asker} could not fence {whom}: {bad}", hint=hint)

    def apply(self, _step: Step) -> None:
        """Load the description as it is to be."""
        leaves = self.name if self.leaving else ""
        description = self.description
        load(description.wanted, description.path, self.seconds, leaves=leaves, allow_stop=self.allow_stop)

    def key(self, step: Step) -> None:
        """Copy the key, through stdin."""
        if not self.remote:
            far.write(self.far(step.where), far.KEY, far.secret(far.KEY), "0400")
            return
        mine = self.machines[self.here].remote_key
        key = far.secret(far.REMOTE_KEY) if mine else membership.new_key()
        for name in dict.fromkeys([self.here, step.where]):
            if name != self.here or not mine:
                far.write(self.far(name), far.REMOTE_KEY, key, "0640", "haclient")
        if step.where == self.name:
            far.restart(self.far(self.name), UNITS[True])  # it may run since its package was installed

    def clear(self, _step: Step) -> None:
        """Stop a distribution's own cluster of one, and set its CIB aside."""
        far.stop(self.far(self.name), ("pacemaker", "corosync"))
        far.clear(self.far(self.name))

    def mounts(self, _step: Step) -> None:
        """The drop-in that keeps mounted what Pacemaker does not mount."""
        far.write(self.far(self.name), far.MOUNTS, (self._mounts() or "").encode())
        far.again(self.far(self.name))

    def hold(self, _step: Step) -> None:
        """Whatever happens from now on: it begins in standby."""
        if self.remote:
            membership.keep_off(self.name)
            self._mark(Phase.JOINING)
        else:
            far.hold(self.far(self.name))

    def conf(self, step: Step) -> None:
        """One host's corosync.conf; where there is one, what the admin wrote besides stays."""
        self._write_conf(step.where)

    def omit(self, step: Step) -> None:
        """One host's corosync.conf without the machine that another one replaces."""
        self._write_conf(step.where, self.name)

    def _write_conf(self, where: str, without: str = "") -> None:
        newest, number = self.files.base(without)
        machine = self.machines.get(where)
        own = machine.conf if machine and machine.conf else newest
        text = corosync_text.renewed(own, corosync_conf(self.description.cloud, without), number)
        far.write(self.far(where), far.CONF, text.encode())

    def reload(self, _step: Step) -> None:
        """All members read it, and it is seen that they did."""
        far.reload(self.far(self.here))
        self._wait(
            lambda: "" if self.now().running else "Corosync of every member", "the new members", LOADED
        )

    def part(self, _step: Step) -> None:
        """All members read it, and none of them knows the old machine's address any more."""
        far.reload(self.far(self.here))
        self._wait(
            lambda: "Corosync of every member" if self.now().moved else "", "the old address to go", LOADED
        )

    def start(self, _step: Step) -> None:
        """Corosync and Pacemaker, or what a remote host has."""
        far.start(self.far(self.name), UNITS[self.remote])

    def release(self, _step: Step) -> None:
        """From now on it is like any other."""
        membership.bring_back(self.name)
        if not self.remote:
            far.release(self.far(self.name))
        settle(f"{self.name} to take its part", self.seconds)

    def disconnect(self, _step: Step) -> None:
        """The connection to a remote host ends in an orderly way."""
        membership.disconnect(self.name)
        self._wait(
            lambda: ", ".join(crm_mon.cluster(ANSWER).active.get(self.name, ())), "its connection to end"
        )

    def stop(self, _step: Step) -> None:
        """Its services, for good; then nobody sees it any more."""
        far.stop(self.far(self.name), tuple(reversed(UNITS[self.remote])))
        self._wait(lambda: f"{self.name} is still there" if self._there() else "", f"{self.name} to leave")

    def _there(self) -> bool:
        now = crm_mon.cluster(ANSWER)
        return any(node.name == self.name and node.online for node in (*now.nodes, *now.remotes))

    def tidy(self, _step: Step) -> None:
        """What would let it join again does not stay there."""
        host = self.far(self.name)
        if self.remote:
            far.put_aside(host, far.REMOTE_KEY)
            return
        far.release(host)
        far.clear(host)  # before the files by which one that was interrupted knows that it is not done
        for path in (far.CONF, far.KEY):
            far.put_aside(host, path)

    def forget(self, _step: Step) -> None:
        """Pacemaker's own records, and what was to keep resources off it."""
        membership.bring_back(self.name)
        membership.forget(self.name)

    def off(self, _step: Step) -> None:
        """The old machine is off, as its BMC says, or as the admin does."""
        node = crm_mon.cluster(ANSWER).node(self.name)
        if self.old_is_off:
            if node is not None and node.unclean:
                membership.confirm_off(self.name)
        else:
            done = membership.switch_off(self.name)
            if not done.ok:
                hint = "pull its plug yourself, and insist with --old-is-off"
                raise Refused(f"the old {self.name} could not be switched off: {done.complaint()}", hint=hint)
        self._wait(lambda: f"{self.name} is still there" if self._there() else "", f"{self.name} to leave")
        self._mark(Phase.REPLACED)

    def write(self, _step: Step) -> None:
        """The description, if it is to be another one."""
        self.description.write()
        self.description = Description(
            self.description.path, self.description.wanted, self.description.wanted, self.description.cloud
        )

    def _wait(self, missing: Callable[[], str], what: str, seconds: float | None = None) -> None:
        deadline, told = Deadline(seconds or self.seconds), Deadline(TELL)
        while waiting := missing():
            if deadline.expired:
                hint = f"crm_mon -1 says more, --wait gives it longer; {GO_ON}"
                raise Findings(f"waited in vain for {what}: {waiting}", hint=hint)
            if told.expired:
                click.echo(f"      waiting for: {waiting}", err=True)
                told = Deadline(TELL)
            pause(EVERY)


DEEDS: Mapping[Verb, Callable[[World, Step], None]] = {
    Verb.WRITE: World.write,
    Verb.STRIKE: World.write,
    Verb.APPLY: World.apply,
    Verb.PROVE: World.prove,
    Verb.PROVE_OTHERS: World.prove_others,
    Verb.CLEAR: World.clear,
    Verb.KEY: World.key,
    Verb.MOUNTS: World.mounts,
    Verb.HOLD: World.hold,
    Verb.CONF: World.conf,
    Verb.RELOAD: World.reload,
    Verb.OMIT: World.omit,
    Verb.PART: World.part,
    Verb.START: World.start,
    Verb.JOIN: World.join,
    Verb.RELEASE: World.release,
    Verb.SET_ASIDE: World.set_aside,
    Verb.EMPTY: World.empty,
    Verb.DISCONNECT: World.disconnect,
    Verb.STOP: World.stop,
    Verb.TIDY: World.tidy,
    Verb.FORGET: World.forget,
    Verb.OFF: World.off,
}


def _cells(asker: str, text: str, complaint: str) -> list[Cell]:
    try:
        cells = json.loads(text)["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise CannotAsk(f"backstay fence check on {asker} did not answer: {complaint}") from error
    return [cell for cell in cells if cell["from"] == asker]
