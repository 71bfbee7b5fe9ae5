# SPDX-License-Identifier: GPL-2.0-or-later
"""One thing that is wrong with fencing, and how bad it is.

An error is a host that would not be fenced, a warning is a fencing that may fail or hit at the wrong moment, a note
only has to be known.
"""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: how bad, one sentence, and what to do."""

    severity: str
    text: str
    hint: str = ""
