# SPDX-License-Identifier: GPL-2.0-or-later
"""What this host knows of itself, as metrics: its agents' own words, its guests by what their processes prove.

Decides names, labels and what counts as well. Everything is about this host alone, so that no two hosts export the
same series; fencing has a file of its own (fence_metrics).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backstay import __version__
from backstay.cli import announcing
from backstay.cli.exposition import Gauge
from backstay.cli.fence_announcing import ATTRIBUTE as FENCING
from backstay.host import datastore, drbd_host, frontend, libvirtd
from backstay.host.guests import Guest

WELL = frozenset({"healthy", "ready", "up"})
RUNNING, STOPPED, UNKNOWN = "running", "stopped", "unknown"
NAMED = (
    (
        datastore.ATTRIBUTE,
        "datastore",
        "backstay_datastore_usable",
        "Whether the datastore can be used from here.",
    ),
    (drbd_host.ATTRIBUTE, "resource", "backstay_drbd_well", "A DRBD resource that is not well here (0)."),
    (frontend.ATTRIBUTE, "frontend", "backstay_frontend_up", "Whether the frontend answers here."),
)
ALONE = (
    (FENCING, "backstay_fencing_ready", "What this host last told the cluster of its fencing."),
    (announcing.ATTRIBUTE, "backstay_agents_ready", "Whether this host's agents passed their rehearsal."),
    (
        libvirtd.ATTRIBUTE,
        "backstay_libvirtd_healthy",
        "Whether libvirtd answers here, as its agent found it.",
    ),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen at `at` (seconds since the epoch).

    `attributes` are this host's, None when the cluster did not answer; `guests` its emulators, None when that could not
    be known; `records` the emulators (Guest.key) that domain agents have verified as theirs.
    """

    at: float
    attributes: Mapping[str, str] | None
    guests: Sequence[Guest] | None
    records: frozenset[str] = frozenset()


def gauges(facts: Facts) -> Iterator[Gauge]:
    """Every metric of this host."""
    yield Gauge("backstay_info", "Backstay's version.", (({"version": __version__}, 1),))
    yield Gauge("backstay_metrics_timestamp_seconds", "When this was seen.", (({}, facts.at),))
    yield Gauge(
        "backstay_cluster_answers",
        "Whether the cluster on this host answers (1), or nothing is known of what agents say (0).",
        (({}, float(facts.attributes is not None)),),
    )
    yield from _attributes(facts.attributes or {})
    if facts.attributes is not None:
        strays = facts.attributes.get(libvirtd.STRAYS, "")
        yield Gauge(
            "backstay_strays",
            "Guests on this host that nobody knows, or that run twice.",
            (({}, len([one for one in strays.split("; ") if one])),),
        )
    yield from _guests(facts)


def _attributes(said: Mapping[str, str]) -> Iterator[Gauge]:
    for attribute, name, about in ALONE:
        if attribute in said:
            yield Gauge(name, about, (_state(said[attribute]),))
    for prefix, label, name, about in NAMED:
        found = sorted(attribute for attribute in said if attribute.startswith(prefix) and said[attribute])
        samples = []
        for attribute in found:
            labels, value = _state(said[attribute])
            samples.append(({label: attribute.removeprefix(prefix), **labels}, value))
        yield Gauge(name, about, tuple(samples))


def _state(said: str) -> tuple[Mapping[str, str], float]:
    return {"state": said}, float(said.partition(":")[0] in WELL)


def _guests(facts: Facts) -> Iterator[Gauge]:
    there = {guest.key: guest for guest in facts.guests or ()}
    if facts.guests is None:
        by_truth = {RUNNING: 0, STOPPED: 0, UNKNOWN: len(facts.records)}
    else:
        alive = sum(key in there for key in facts.records)
        by_truth = {RUNNING: alive, STOPPED: len(facts.records) - alive, UNKNOWN: 0}
    yield Gauge(
        "backstay_domains",
        "Domains of the cluster on this host, by what their emulators prove: stopped is one that nobody stopped.",
        tuple(({"truth": truth}, count) for truth, count in by_truth.items()),
    )
    yield Gauge(
        "backstay_guest_running",
        "Every emulator on this host: 1 when its guest runs, 0 when it is paused or arrives.",
        tuple(
            ({"guest": guest.name, "uuid": guest.uuid, "of": _of(guest, facts.records)}, float(guest.runs))
            for guest in sorted(there.values(), key=lambda guest: (guest.name, guest.key))
        ),
    )


def _of(guest: Guest, records: frozenset[str]) -> str:
    """Who answers for a guest."""
    if guest.key in records:
        return "cluster"
    return "libvirt" if guest.accounted else "nobody"
