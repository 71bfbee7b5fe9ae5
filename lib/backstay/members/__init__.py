# SPDX-License-Identifier: GPL-2.0-or-later
"""Who belongs to a cluster: what a host has to be before it joins, and which steps lead there and back. Pure."""
