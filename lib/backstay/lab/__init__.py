# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster-in-a-box: real Corosync, Pacemaker, libvirtd and QEMU in containers on one machine.

Everything in this package works on one machine only, below one directory and one bridge, and leaves nothing
behind. It never touches a real cluster.
"""
