# SPDX-License-Identifier: GPL-2.0-or-later
"""The fencings that the cluster is carrying out now: whoever asks BMCs for other reasons keeps out of their way.

Decides nothing. Source: crm_mon(8) of Pacemaker 2.1.5, whose fence history has the status "pending" for them; its XML
has the history only when all of it is asked for (with `fencing-pending` alone there is none, as seen in the lab).
"""

from __future__ import annotations

from lxml import etree

from backstay.errors import CannotAsk
from backstay.host.process import run

ARGV = ("crm_mon", "--one-shot", "--output-as=xml", "--include=none,fencing", "--fence-history=3")


def under_way(timeout: float) -> tuple[str, ...]:
    """The hosts that are being fenced; CannotAsk when the cluster does not answer within `timeout` seconds."""
    done = run(ARGV, timeout=timeout)
    if not done.ok:
        raise CannotAsk(f"crm_mon does not tell what is being fenced: {done.complaint()}")
    return pending(done.stdout)


def pending(text: str) -> tuple[str, ...]:
    """The targets in crm_mon's XML whose fencing has not ended."""
    try:
        top = etree.fromstring(text.encode())
    except etree.XMLSyntaxError as error:
        raise CannotAsk(f"crm_mon does not speak XML: {error.msg}") from error
    said = top.findtext("status/errors/error")
    if said:  # its exit code may be 0 all the same, seen where the CIB could not be read
        raise CannotAsk(f"crm_mon does not tell what is being fenced: {said}")
    events = top.iterfind("fence_history/fence_event")
    return tuple(sorted({event.get("target", "") for event in events if event.get("status") == "pending"}))
