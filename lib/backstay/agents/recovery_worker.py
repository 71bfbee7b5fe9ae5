# SPDX-License-Identifier: GPL-2.0-or-later
"""The service that recovers hosts and gives them back, started by the role's monitor, at most one at a time.

    python3 -I -m backstay.agents.recovery_worker RESOURCE PROFILE

Decides nothing: it looks, decides as `recovery` does, writes down that it begins before it does anything, has the
profile do it, and writes down that it is done. It ends with the role (the agent's stop ends it), and whoever has the
role next goes on where the record stands.
"""

from __future__ import annotations

import sys

from backstay.agents import frontend_profiles as profiles
from backstay.agents.frontend import FrontendParameters
from backstay.agents.recovery import BACK, BEGUN, DONE, GIVE_BACK, NOTE, RECOVER, SEEN, Fencing, Record
from backstay.agents.recovery_watch import PROGRESS, decisions
from backstay.errors import BackstayError, CannotAsk
from backstay.host.clock import Deadline
from backstay.host.frontend import Host
from backstay.ocf.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.frontend_profile import Profile
    from backstay.agents.recovery import Decision

TOOL_TIME = 20.0  # seconds for a tool of the cluster
HOST_TIME = 120.0  # seconds for one host before the next gets its turn; what is left is gone on with
PAUSE = 1.0
ROUNDS = (
    100  # of looks; each round does something, so that many mean that something is undone again and again
)


def work(host: Host, profile: Profile, journal: Log) -> bool:
    """Work until nothing is to be done (True), or until something could not be done now."""
    for _ in range(ROUNDS):
        if not host.recall(profiles.UNITS):
            journal.note("the role has left this host: whoever has it goes on")
            return True
        due = [each for each in decisions(host, profile) if each.verb in (NOTE, RECOVER, GIVE_BACK)]
        if not due:
            _progress(host, "")
            return True
        done = [_done(host, profile, each, journal) for each in due]
        if not all(done):
            return False
        host.pause(PAUSE)
    journal.error("what is recovered is undone again and again: look at the records (backstay-recovery)")
    return False


def _done(host: Host, profile: Profile, decision: Decision, journal: Log) -> bool:
    """Carry out one decision; whether it succeeded."""
    fencing = decision.fencing or Fencing(0)
    until = Deadline(HOST_TIME, host.now)
    try:
        if decision.verb == NOTE:
            _keep(host, decision.host, Record(fencing, SEEN))
        elif decision.verb == GIVE_BACK:
            profile.give_back(decision.host, host, until, journal.note)
            _keep(host, decision.host, Record(fencing, BACK))
            journal.note(decision.said)
        else:
            _recover(host, profile, decision.host, fencing, until, journal)
    except CannotAsk as error:
        said = f"{decision.host}: {error}"
        if host.recall(PROGRESS) != said:
            journal.warn(f"not done yet, tried again: {said}")
        _progress(host, said)
        return False
    return True


def _recover(
    host: Host, profile: Profile, name: str, fencing: Fencing, until: Deadline, journal: Log
) -> None:
    here = host.nodename()
    by = "a human confirmed that it is off" if fencing.human else "its fencing is confirmed"
    _keep(host, name, Record(fencing, BEGUN, here))
    journal.note(f"{name}: {by}, what ran there is recovered")
    remark = profile.recover(name, fencing.when, host, until, lambda text: _say(host, name, text, journal))
    _keep(host, name, Record(fencing, DONE, remark or here))
    journal.note(f"{name}: what ran there is recovered{f'; {remark}' if remark else ''}")
    _progress(host, "")


def _say(host: Host, name: str, text: str, journal: Log) -> None:
    journal.note(f"{name}: {text}")
    _progress(host, f"{name}: {text}")


def _keep(host: Host, name: str, record: Record) -> None:
    host.keep(name, record.text(), TOOL_TIME)


def _progress(host: Host, text: str) -> None:
    try:
        host.remember(text, PROGRESS)
    except OSError:
        return


def main() -> None:
    """Work once; the monitor looks at the cluster, not at what this says of itself, and starts it again."""
    name, profile = sys.argv[1:3]
    journal = Log("recover", name)
    host = Host(name)
    try:
        work(host, profiles.known(FrontendParameters(profile=profile), host), journal)
    except BackstayError as error:
        journal.error(f"nothing is recovered now: {error}")
    except Exception as error:  # noqa: BLE001  (the one guard of this process)
        journal.traceback(error)


if __name__ == "__main__":
    main()
