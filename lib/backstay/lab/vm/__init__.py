# SPDX-License-Identifier: GPL-2.0-or-later
"""VM nodes: the same node root under QEMU with Debian's own kernel, for what containers cannot have."""
