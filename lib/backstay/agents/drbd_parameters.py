# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameters of ocf:backstay:drbd: LINBIT's names where they mean the same, so that a resource may change over.

Decides what a value means. Source of names and defaults: ocf:linbit:drbd of drbd-utils 9.22.
"""

from __future__ import annotations

from backstay.ocf.parameters import Parameters, boolean, choice, path, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CONFIGURATION = "/etc/drbd.conf"
SCORES = "0 10 1000 10000"
YES = ("true", "on", "yes", "y", "1")
NO = ("false", "off", "no", "n", "0")
UNEXPECTED = "unexpected"
TIMES = "0123456789"
NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-%+./:=@_"


def scores_of(given: str) -> tuple[int, int, int, int]:
    """Read the four scores; raises ValueError unless they are four numbers, none below zero or below the one before."""
    try:
        consistent, remote, unknown, best = (int(word) for word in given.split())
    except ValueError:
        raise ValueError("must be four whole numbers") from None
    if not 0 <= consistent <= remote <= unknown <= best:
        raise ValueError("must be four whole numbers, none of them below zero or below the one before it")
    return consistent, remote, unknown, best


def version_of(given: str) -> tuple[int, ...]:
    """Read a version x.y.z; raises ValueError."""
    parts = given.split(".")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise ValueError("must be a version such as 8.4.11")
    return tuple(int(part) for part in parts)


def _complaint(read: Callable[[str], object]) -> Callable[[str], str]:
    def check(given: str) -> str:
        try:
            read(given)
        except ValueError as complaint:
            return str(complaint)
        return ""

    return check


def _name(given: str) -> str:
    return (
        "" if all(letter in NAME for letter in given) else f"must only have letters, digits and {NAME[62:]}"
    )


class DrbdParameters(Parameters):
    """What an admin may choose."""

    drbd_resource = text(
        "the name of the resource in DRBD's configuration",
        check=_name,
        required=True,
        unique_group="resource",
    )
    drbdconf = path(
        "the file that drbdadm reads",
        default=CONFIGURATION,
        longdesc="""The file that drbdadm reads; others are included from there. monitor, demote and stop work without
        it.""",
    )
    adjust_promotion_scores = text(
        "the promotion scores",
        check=_complaint(scores_of),
        reloadable=True,
        longdesc=f"""Four whole numbers, none below zero or below the one before it: the score of a host that has only
        consistent data and cannot know whether it is the newest; that has up-to-date data on a peer only; whose own
        data is up to date while a peer's is not known; whose own data is up to date and which is promoted, or knows
        every peer. Not set, they are those of adjust_master_score. A host without quorum or without any usable data has
        no score. A score is never negative: Pacemaker would stop and start the resource for that. Default:
    {SCORES}.""",
    )
    adjust_master_score = text(
        "the name of adjust_promotion_scores in ocf:linbit:drbd",
        check=_complaint(scores_of),
        default=SCORES,
        reloadable=True,
        longdesc="""The same as adjust_promotion_scores, under the name that ocf:linbit:drbd has for it. It counts only
        where adjust_promotion_scores is not set.""",
    )
    stop_outdates_secondary = boolean(
        "a stopped side says on its disk that it is outdated while another is promoted",
        reloadable=True,
        longdesc="""When this host is stopped, or is not connected after somebody else was promoted, its own data is
        marked as outdated. The fence-peer handler does the same from the other side, and more reliably.""",
    )
    ignore_missing_notifications = boolean(
        "nothing is said where the clone has no notify=true",
        reloadable=True,
        longdesc="""Without notify=true the hosts learn of one another at the next monitor only. That is said by
        validate-all at check level 10 and above and in the log of each start; it is never an error.""",
    )
    wfc_timeout = text(
        "how many seconds a start waits for the connections",
        default="5",
        reloadable=True,
        longdesc="""How many seconds a start waits at most until every connection stands and every disk has found its
        state. Anything but digits: it does not wait.""",
    )
    remove_master_score_if_peer_primary = text(
        "whether a host has no promotion score while a healthy peer is promoted",
        check=lambda given: (
            "" if given.lower() in (*YES, *NO, UNEXPECTED) else f"must be true, false or {UNEXPECTED}"
        ),
        default="false",
        reloadable=True,
        longdesc="""true: this host cannot be promoted while a connected peer is promoted and has everything up to date.
        unexpected: only where the cluster runs one promoted side and knows of none. It makes a failover wait until DRBD
        has seen that the peer is gone.""",
    )
    fail_promote_early_if_peer_primary = boolean(
        "a promotion is tried once only while a peer is promoted", reloadable=True
    )
    unfence_if_all_uptodate = boolean(
        "a stale fencing constraint is removed when everything is up to date",
        default=True,
        reloadable=True,
        longdesc="""DRBD's handlers remove the constraint that keeps an outdated side from being promoted. Where that
        did not happen, the promoted side does it when all data is up to date on every side. It looks when that has
        become so, not at every monitor. (ocf:linbit:drbd: off by default, and at every monitor.)""",
    )
    require_drbd_module_version_ge = text(
        "the lowest version of DRBD's module", check=_complaint(version_of), default="8.4.7"
    )
    require_drbd_module_version_lt = text(
        "the version that DRBD's module is below", check=_complaint(version_of), default="10.0.0"
    )
    connect_only_after_promote = boolean(
        "it connects to its peers when it is promoted, not when it is started", reloadable=True
    )
    on_no_data = choice(
        "what a promoted side that lost its data or its quorum is",
        ("failed", "degraded"),
        default="failed",
        reloadable=True,
        longdesc="""failed: its monitor fails (9) when nothing can be read or written any more, so that the cluster
        promotes another side. Where I/O only waits (on-no-data-accessible or on-no-quorum suspend-io), that is said
        only while another host has a promotion score: without one there is nowhere to go, and I/O goes on by itself
        when the data or the quorum is back. degraded: 191 for as long as it lasts.""",
    )

    @property
    def scores(self) -> tuple[int, int, int, int]:
        """Give the four scores."""
        return scores_of(self.adjust_promotion_scores or self.adjust_master_score)

    @property
    def patience(self) -> float:
        """Give the seconds that a start waits for connections."""
        given = self.wfc_timeout
        return float(given) if given and all(letter in TIMES for letter in given) else 0.0

    @property
    def yields(self) -> str:
        """Give when a promoted peer costs this host its score: "", "always" or "unexpected"."""
        given = self.remove_master_score_if_peer_primary.lower()
        return "always" if given in YES else UNEXPECTED if given == UNEXPECTED else ""
