# SPDX-License-Identifier: GPL-2.0-or-later
"""`python3 -m backstay`: the same as the command `backstay`. Decides nothing."""

from __future__ import annotations

from backstay.cli import main

if __name__ == "__main__":
    main()
