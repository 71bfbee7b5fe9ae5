# SPDX-License-Identifier: GPL-2.0-or-later
"""The generic profile: units and probes are what the resource's parameters name, and nothing else is done."""

from __future__ import annotations

from backstay.agents.frontend_profile import Profile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.frontend import FrontendParameters

NAME = "generic"


def make(_parameters: FrontendParameters) -> Profile:
    """Give the profile; units and probes of the parameters are added to each profile."""
    return Profile(NAME)
