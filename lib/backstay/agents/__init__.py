# SPDX-License-Identifier: GPL-2.0-or-later
"""The resource agents: what each one sees, what follows from it, how it is done."""
