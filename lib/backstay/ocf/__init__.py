# SPDX-License-Identifier: GPL-2.0-or-later
"""The OCF 1.1 runtime: what every agent shares, from the declaration of its parameters to its exit code.

Written for the hot path: nothing here imports dataclasses, enum, typing, subprocess, logging, re or json, because
a monitor runs every few seconds for every resource.
"""
