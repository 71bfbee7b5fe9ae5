# SPDX-License-Identifier: GPL-2.0-or-later
"""Every effect on the world: processes, libvirt, systemd, cluster tools, files that change, the clock.

Decides nothing about agents or clusters. What is built here is handed to the rest of the package by the entry
points (cli/, agents/, fencing/); everything else sees it as a protocol.
"""
