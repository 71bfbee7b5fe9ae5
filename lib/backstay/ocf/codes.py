# SPDX-License-Identifier: GPL-2.0-or-later
"""The exit codes of OCF 1.1, as plain integers.

Source: OCF resource agent API 1.1, "Exit status codes". Pacemaker 2.1.5 treats 190 like 0 and 191 like 8 and
turns every code that is not listed here into 1.
"""

from __future__ import annotations

SUCCESS = 0
GENERIC = 1
ARGUMENTS = 2  # wrong on this host; Pacemaker bans the resource from it
UNIMPLEMENTED = 3
PERMISSION = 4
NOT_INSTALLED = 5
NOT_CONFIGURED = 6  # wrong on every host; Pacemaker gives the resource up
NOT_RUNNING = 7
PROMOTED = 8
FAILED_PROMOTED = 9
DEGRADED = 190
DEGRADED_PROMOTED = 191

NAMES: dict[int, str] = {
    SUCCESS: "success",
    GENERIC: "failed",
    ARGUMENTS: "wrong parameter on this host",
    UNIMPLEMENTED: "action not implemented",
    PERMISSION: "not permitted",
    NOT_INSTALLED: "not installed",
    NOT_CONFIGURED: "wrong configuration",
    NOT_RUNNING: "not running",
    PROMOTED: "promoted",
    FAILED_PROMOTED: "promoted and failed",
    DEGRADED: "degraded",
    DEGRADED_PROMOTED: "promoted and degraded",
}
