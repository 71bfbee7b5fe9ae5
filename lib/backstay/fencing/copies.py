# SPDX-License-Identifier: GPL-2.0-or-later
"""Which hosts have current data of each DRBD resource, as its agent has told Pacemaker by promotion scores.

Decides which score means current data. Asks nothing: the scores stand in the status section of the live CIB. Sources:
ocf:linbit:drbd's adjust_master_score, whose third and fourth number are for local data that is UpToDate; the name
of the attribute that crm_attribute --promotion sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from lxml import etree

DRBD = "configuration/resources//clone//primitive[@class='ocf'][@type='drbd']"
SCORES = ("adjust_promotion_scores", "adjust_master_score")
PREFIX = "master-"  # and the resource's name: the score, in the words of linbit's agent and Pacemaker's tools
CURRENT = 1000  # the third number by default
TRANSIENT = "status/node_state/transient_attributes/instance_attributes/nvpair"


def copies(cib: etree._Element) -> Mapping[str, frozenset[str]]:
    """The hosts with current data by the name of the DRBD resource; none where it does not run."""
    told = list(_told(cib))
    return MappingProxyType(
        {
            name: frozenset(
                host for host, attribute, score in told if _is_of(attribute, name) and score >= least
            )
            for name, least in _resources(cib)
        }
    )


def _resources(cib: etree._Element) -> Iterator[tuple[str, int]]:
    for primitive in cib.iterfind(DRBD):
        given = {
            pair.get("name", ""): pair.get("value", "")
            for pair in primitive.iterfind("instance_attributes/nvpair")
        }
        text = next((given[name] for name in SCORES if given.get(name)), "").split()
        yield primitive.get("id", ""), int(text[2]) if len(text) == 4 and text[2].isdecimal() else CURRENT


def _told(cib: etree._Element) -> Iterator[tuple[str, str, int]]:
    for pair in cib.iterfind(TRANSIENT):
        name, value = pair.get("name", ""), pair.get("value", "")
        if name.startswith(PREFIX) and value.lstrip("-").isdecimal():
            yield next(pair.iterancestors("node_state")).get("uname", ""), name, int(value)


def _is_of(attribute: str, resource: str) -> bool:
    """Whether a score is that of a resource; of an instance of it (`:0`) in clusters that number them."""
    return attribute.removeprefix(PREFIX).partition(":")[0] == resource
