# SPDX-License-Identifier: GPL-2.0-or-later
"""The frontend role in a description: the software that places virtual machines by itself, on exactly one host.

Decides its keys and what they must agree with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from backstay.cloud import names
from backstay.cloud.kinds import ADDRESS, PATH, choice, duration, integer, many, matching
from backstay.cloud.model import Frontend, Host
from backstay.cloud.once import known
from backstay.cloud.reader import Fields
from backstay.cloud.sections import Key, Section, Variants
from backstay.cloud.stores import Storage
from backstay.cloud.units import Seconds

OPENNEBULA, GANETI, GENERIC = "opennebula", "ganeti", "generic"
GROUP = "frontend"  # what the group of a generic one is called
LEAST_ROLE_TIMEOUT = 60
ROLE_TIMES = {"start_timeout": Seconds(Fraction(180)), "stop_timeout": Seconds(Fraction(120))}
_UNIT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_PROBE = re.compile(r"https?://[!-~]{1,500}|tcp://[!-~]{1,253}:[0-9]{1,5}|command:/[!-~]{1,500}")
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_STORAGE = matching("name of storage", names.DOMAIN_NAME, names.DOMAIN_NAME_EXPECTED)
_HOST = matching("name of a host", names.HOST_NAME, names.HOST_NAME_EXPECTED)

# fmt: off
_TYPE = Key("type", choice((OPENNEBULA, GANETI, GENERIC)), "Which software it is.", required=True)


def _role() -> tuple[Key, ...]:
    return (
        Key("start_timeout", duration(LEAST_ROLE_TIMEOUT), "Time for its start.", default="180s"),
        Key("stop_timeout", duration(LEAST_ROLE_TIMEOUT), "Time for its stop.", default="120s"),
        Key("stop_fails", choice(("block", "fence")), "What a stop that failed means: a human looks, or the host is "
            "fenced, and its guests with it.", default="block"),
        Key("storage", many(_STORAGE, "storage"), "Storage that has to be on its host first.", default="none"),
    )


BY_OPENNEBULA = Section(
    "frontend",
    "The OpenNebula frontend, on exactly one host, with its address.",
    (
        _TYPE,
        Key("address", ADDRESS, "The address under which users find it.", required=True),
        Key("prefix", integer(1, 128), "The length of its network's prefix.", default="that of the host's network"),
        Key("nic", matching("network interface", _NIC, "a network interface"), "Where the address is set.",
            default="the interface that has the network"),
        Key("prefers", many(_HOST, "hosts"), "Where it starts when it has the choice.", default="no host"),
        Key("units", many(matching("systemd unit", _UNIT, "a systemd unit, without `.service`")),
            "Its systemd units in the order of their start. None of them is enabled in systemd.",
            default="oned's and those of its companions that a host has"),
        Key("patience", duration(1), "How long oned's answer may be missing before the role has failed.",
            default="20s"),
        Key("lease", PATH, "A file on storage that moves with it, in which it writes who holds the role.",
            default="none"),
        *_role(),
    ),
)
BY_GANETI = Section(
    "frontend",
    "The master of Ganeti, on exactly one host; its address is Ganeti's own.",
    (
        _TYPE,
        Key("prefers", many(_HOST, "hosts"), "Where it starts when it has the choice.", default="no host"),
        Key("patience", duration(1), "How long the answer of its daemons may be missing before the role has failed.",
            default="20s"),
        Key("lease", PATH, "A file on storage that moves with it, in which it writes who holds the role.",
            default="none"),
        *_role(),
    ),
)
_PROBES = many(
    replace(
        matching("probe", _PROBE, "`http://...`, `https://...`, `tcp://host:port` or `command:/path`"),
        instead="`command:/path` of a program that knows it, or a profile with `{file:/path}` in it (a description "
        "holds no secret)",
    ),
    "probes",
)
BY_GENERIC = Section(
    "frontend",
    "Any software that must be on one host only, by a profile of `ocf:backstay:frontend`; with an address if you like.",
    (
        _TYPE,
        Key("profile", matching("profile", _PROFILE, "the name of a profile"), "`generic`, or NAME for "
            "/etc/backstay/profiles/NAME.toml on every host.", default="generic"),
        Key("units", many(matching("systemd unit", _UNIT, "a systemd unit")),
            "Its systemd units in the order of their start, instead of the profile's. None is enabled in systemd.",
            default="those of the profile"),
        Key("probes", _PROBES, "What has to answer, besides what the profile asks.", default="none"),
        Key("optional_probes", _PROBES, "What should answer: the role is degraded when it does not.", default="none"),
        Key("probe_within", duration(1), "Time for each of these answers.", default="5s"),
        Key("patience", duration(1), "How long a required answer may be missing before the role has failed.",
            default="20s"),
        Key("lease", PATH, "A file on storage that moves with it, in which it writes who holds the role.",
            default="none"),
        Key("address", ADDRESS, "The address under which users find it.", default="none"),
        Key("prefix", integer(1, 128), "The length of its network's prefix.", default="that of the host's network"),
        Key("nic", matching("network interface", _NIC, "a network interface"), "Where the address is set.",
            default="the interface that has the network"),
        Key("prefers", many(_HOST, "hosts"), "Where it starts when it has the choice.", default="no host"),
        *_role(),
    ),
)
FRONTEND = Variants(
    "frontend", "Software that places virtual machines by itself.", "type", "Which software it is.", "",
    ((OPENNEBULA, BY_OPENNEBULA), (GANETI, BY_GANETI), (GENERIC, BY_GENERIC)),
)
# fmt: on


def frontend_of(fields: Fields | None, hosts: Sequence[Host], storage: Sequence[Storage]) -> Frontend | None:
    """The frontend that a mapping describes; what is wrong with it is in the report."""
    if fields is None:
        return None
    kind, given = fields.variant(FRONTEND)
    given.pop("type", None)
    there = [host.name for host in hosts]
    section = dict(FRONTEND.sections)[kind]
    places = fields.places("prefers", section.kind("prefers"))
    given["prefers"] = known(fields.report, places, there, "`prefers` of the frontend", "host")
    by_name = {one.name: one for one in storage}
    places = fields.places("storage", section.kind("storage"))
    chosen = known(fields.report, places, by_name, "`storage` of the frontend", "storage")
    given["storage"] = chosen
    given["needs"] = tuple(by_name[name].resource for name in chosen)
    given["checks"] = tuple(by_name[name].watched_by for name in chosen if by_name[name].watched_by)
    given = ROLE_TIMES | given
    for key in ("prefix", "nic"):
        if key in given and "address" not in fields.mapping.items:
            expected = f"`address` with it, or no `{key}`"
            fields.report.add(fields.where(key), f"`{key}` of the frontend alone", expected)
    if kind == GENERIC and not given.get("units") and given.get("profile", "generic") == "generic":
        expected = "`units`, or `profile`: the profile generic has none of its own"
        fields.report.add(fields.at, "the frontend without `units`", expected)
    given.setdefault("units", ())
    return Frontend(GROUP if kind == GENERIC else kind, kind=kind, **given)
