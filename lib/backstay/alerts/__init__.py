# SPDX-License-Identifier: GPL-2.0-or-later
"""The alert agent that Pacemaker runs: what happened, in the admin's words, told to whoever is to be woken."""
