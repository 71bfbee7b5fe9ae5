# SPDX-License-Identifier: GPL-2.0-or-later
"""The admin's own scripts about a domain (monitor_scripts), through the one runner for processes.

Decides nothing about what they say.
"""

from __future__ import annotations

import os

from backstay.host.process import run as run_process


def run(script: str, name: str, uuid: str, timeout: float) -> tuple[int, str]:
    """Run a script without arguments and give its exit code and the last line that it said.

    It finds DOMAIN_NAME, DOMAIN_UUID and all OCF_* variables in its environment. `timeout` is in seconds. Raises
    ProcessTimedOut (its process group was killed) and ToolMissing.
    """
    environment = {key: value for key, value in os.environ.items() if key.startswith("OCF_")}
    done = run_process(
        [script], timeout=timeout, environment={**environment, "DOMAIN_NAME": name, "DOMAIN_UUID": uuid}
    )
    return done.returncode, done.complaint()
