# SPDX-License-Identifier: GPL-2.0-or-later
"""Fence agents: the Fence Agent API on one side, a power switch on the other, and proof in between.

An agent here says "off" only when it has seen off.
"""
