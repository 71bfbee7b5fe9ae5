# SPDX-License-Identifier: GPL-2.0-or-later
"""Things that break on purpose in the lab, each with the way back.

A fault is injected into one node and healed there; `catalogue.FAULTS` lists them all, `ledger` remembers which
are in force, so that no fault survives a forgotten terminal.
"""
