# SPDX-License-Identifier: GPL-2.0-or-later
"""Which profile a resource means: one that is built in, or a file that the admin wrote.

Decides where a profile is looked for and what the resource's parameters change in it. A profile that was started stays
known until it is stopped, so that a file which was changed or lost cannot leave units behind.
"""

from __future__ import annotations

from backstay.agents.frontend_profile import Profile, unit_name
from backstay.errors import BadInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from backstay.agents.frontend import FrontendParameters

    class Files(Protocol):
        """Where profiles are written (host.frontend.Host)."""

        def profile(self, name: str) -> str: ...
        def configuration(self, path: str) -> str: ...
        def recall(self, what: str = "") -> str: ...
        def remember(self, text: str, what: str = "") -> None: ...


GENERIC = "generic"
OPENNEBULA = "opennebula"
GANETI = "ganeti"
BUILT_IN = (GENERIC, OPENNEBULA, GANETI)
TEXT, UNITS = "-profile", "-units"  # what is remembered of a profile
NONE = "-"  # what is remembered as the units of a role that has none: it was started all the same


class NoProfile(BadInput):
    """There is no such profile on this host."""


def profile_of(parameters: FrontendParameters, files: Files) -> Profile:
    """Give the profile, with the units and probes of the parameters in it; raises BadInput and NoProfile."""
    built_in = parameters.profile in BUILT_IN
    profile = _built_in(parameters.profile, files) if built_in else _written(parameters.profile, files)
    units = parameters.units.split()
    if units:
        profile.units = tuple(unit_name(unit) for unit in units)
        profile.not_at_boot = profile.units
        profile.if_installed = frozenset()
    if parameters.probes or parameters.optional_probes:
        from backstay.agents.frontend_declared import short_probe

        within = parameters.probe_within
        added = [short_probe(word, True, within) for word in parameters.probes.split()]
        added += [short_probe(word, False, within) for word in parameters.optional_probes.split()]
        profile.probes = (*profile.probes, *added)
    if not profile.units and type(profile) is Profile:
        raise BadInput(f"the profile {profile.name} names no units, and the parameter units neither")
    return profile


def _built_in(name: str, files: Files) -> Profile:
    if name == OPENNEBULA:
        from backstay.agents import frontend_opennebula

        return frontend_opennebula.make(files.configuration)
    if name == GANETI:
        from backstay.agents import frontend_ganeti

        return frontend_ganeti.make(files.configuration)
    return Profile(GENERIC)


def _written(name: str, files: Files) -> Profile:
    from backstay.agents.frontend_declared import parse

    try:
        return parse(name, files.profile(name))
    except (OSError, UnicodeDecodeError) as error:
        raise NoProfile(f"the profile {name} cannot be read on this host: {error}") from None


def known(parameters: FrontendParameters, files: Files) -> Profile:
    """Give the profile for what runs already: with the units that were started, whatever became of its file."""
    recalled = files.recall(UNITS).split()
    started = tuple(unit for unit in recalled if unit != NONE)
    try:
        profile = profile_of(parameters, files)
    except BadInput:
        if not recalled:
            raise
        profile = _as_started(parameters, files)
    lost = [unit for unit in started if unit not in profile.units]
    profile.units = (*profile.units, *lost)
    return profile


def _as_started(parameters: FrontendParameters, files: Files) -> Profile:
    """Give the profile without what its parameters or its file say now, which makes no sense.

    One that is built in is more than its units: Ganeti's master has none, and would count as gone while it runs.
    """
    from backstay.agents.frontend_declared import parse

    if parameters.profile in BUILT_IN:
        return _built_in(parameters.profile, files)
    text = files.recall(TEXT)
    return parse(parameters.profile, text) if text else Profile(parameters.profile)


def remember(parameters: FrontendParameters, profile: Profile, files: Files) -> None:
    """Remember what is started; raises OSError."""
    files.remember("" if parameters.profile in BUILT_IN else files.profile(parameters.profile), TEXT)
    files.remember(" ".join(profile.units) or NONE, UNITS)


def forget(files: Files) -> None:
    """Forget what was started; raises OSError."""
    files.remember("", TEXT)
    files.remember("", UNITS)
