# SPDX-License-Identifier: GPL-2.0-or-later
"""`python3 -m backstay.lab`: the lab without the rest of the command line."""

from __future__ import annotations

import sys

import click

from backstay.errors import BackstayError
from backstay.lab.cli import lab


def main() -> int:
    """Run the command and say an error in one sentence."""
    try:
        lab(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except BackstayError as error:
        print(
            f"backstay: {error}",
            *([f"  hint: {error.hint}"] if error.hint else []),
            sep="\n",
            file=sys.stderr,
        )
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
