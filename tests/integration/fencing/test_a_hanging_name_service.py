# SPDX-License-Identifier: GPL-2.0-or-later
"""A name service that never answers holds nobody up: not the answer, and not the end of the process that asked."""

from __future__ import annotations

import subprocess
import sys

# The C library's resolver cannot be interrupted, so what stands for it here does not end either.
CHILD = """
import threading
from backstay.host import https
from backstay.host.clock import Deadline

def hangs(host, port, flags):
    if flags:
        raise OSError
    threading.Event().wait()

https._addresses = hangs
print(https.resolve("bmc.example", 443, Deadline(0.2)).said, flush=True)
"""
FOR_EVER = 60.0  # seconds; it takes one


def test_neither_the_answer_nor_the_end_of_the_agent_waits_for_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=FOR_EVER, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "the name service does not answer in time\n",
        "",
    )
