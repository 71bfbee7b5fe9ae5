# SPDX-License-Identifier: GPL-2.0-or-later
"""Backstay keeps virtual machines running on a Pacemaker cluster of libvirt hosts.

This module decides the version and nothing else; it imports nothing, because every agent pays for it.
"""

__version__ = "0.2.0"
