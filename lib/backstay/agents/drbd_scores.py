# SPDX-License-Identifier: GPL-2.0-or-later
"""How much a host offers itself for promotion: the promotion score of a DRBD resource.

Decides by one table: what the own disks are, what is known of the peers' ones, quorum. Never gives a negative score,
for which Pacemaker would stop and start the resource; 0 means that there is none. The cases are those of
ocf:linbit:drbd, so that a change of the agent moves nothing, with one difference: a volume that was added and that
nobody has the data of yet does not cost the promoted side its score.
"""

from __future__ import annotations

from backstay.host import drbd_state as drbd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.host.drbd_state import Connection, State

ATTRIBUTE = "master-"  # and the resource's name: what crm_attribute --promotion and LINBIT's agent call it
NONE = 0


def score(state: State, scores: tuple[int, int, int, int], yields: bool = False) -> int | None:
    """Give the score, 0 for none; None while a disk is on its way to a state: then it stays what it is.

    `yields`: a connected peer that is promoted and whole costs this host its score.
    """
    consistent, remote, unknown, best = scores
    if not state.quorum or state.fails_io:
        return NONE
    if yields and not state.promoted and any(peer.role == "Primary" for peer in state.good_peers):
        return NONE
    if state.client:
        return _clients(state, unknown, best)
    disks = [device.disk for device in state.devices if not (state.promoted and state.fresh(device))]
    if disks and all(disk == drbd.UP_TO_DATE for disk in disks):
        return best if state.promoted or not _doubt(state) else unknown
    if state.good_peers:
        return remote
    if any(disk in drbd.IN_TRANSIT for disk in disks):
        return None
    if disks and all(disk in (drbd.UP_TO_DATE, drbd.CONSISTENT) for disk in disks):
        return consistent
    return NONE


def _clients(state: State, unknown: int, best: int) -> int:
    """Give the score of a host without a disk: a little less than one that has one."""
    good, storing = state.good_peers, state.storing
    if good and (state.promoted or len(good) == len(storing)):
        return max(best - 1, NONE)
    return max(unknown - 1, NONE) if good else NONE


def _doubt(state: State) -> bool:
    """Whether a peer that stores may have newer data than this host knows of."""
    return any(_unknown(state, peer) for peer in state.storing)


def _unknown(state: State, peer: Connection) -> bool:
    there = {each.volume: each.disk for each in peer.volumes}
    return any(there.get(device.volume, drbd.UNKNOWN) == drbd.UNKNOWN for device in state.devices)
