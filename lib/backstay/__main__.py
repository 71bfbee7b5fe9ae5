# SPDX-License-Identifier: GPL-2.0-or-later
"""`python3 -m backstay`: the same as the command `backstay`. Decides nothing."""

from __future__ import annotations

import signal

# As in libexec/command: until Backstay can answer to it, Ctrl-C just ends this.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from backstay.cli import main

if __name__ == "__main__":
    main()
