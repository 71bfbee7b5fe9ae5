# SPDX-License-Identifier: GPL-2.0-or-later
"""An amount of space or inodes, as an admin writes it: a share of the whole (5%) or a size (20G).

Decides how it is read. Units are powers of 1024, as df -h shows them.
"""

from __future__ import annotations

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


def least(text: str, whole: float) -> float:
    """Give the amount that is meant, of `whole`; raises ValueError."""
    plain = text.strip()
    if plain.endswith("%"):
        share = _number(plain[:-1])
        if share > 100:
            raise ValueError(text)
        return share * whole / 100
    number = plain.upper().removesuffix("B").removesuffix("I")
    unit = number[-1:] if number[-1:] in UNITS else ""
    return _number(number.removesuffix(unit)) * UNITS[unit]


def complaint(text: str) -> str:
    """Say what is wrong with what was written, or nothing."""
    try:
        least(text, 1)
    except ValueError:
        return "must be a share such as 5% or a size such as 20G"
    return ""


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e18:
        raise ValueError(text)
    return value
