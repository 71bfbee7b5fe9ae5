# SPDX-License-Identifier: GPL-2.0-or-later
"""The CIB, Pacemaker's configuration, as lxml trees: rendered, validated, merged.

Decides what Backstay writes into a configuration and what it leaves alone. Never talks to a cluster.
"""
