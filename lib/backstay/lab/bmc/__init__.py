# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC that is not there: IPMI 2.0 over LAN with roles, sessions and faults, whose chassis really switches power.

Serves the lab's nodes, the tests of the fence agent and its rehearsal. Knows cipher suites 3 and 17.
"""
