# SPDX-License-Identifier: GPL-2.0-or-later
"""What would happen: predictions made by Pacemaker's own scheduler, put into the admin's words.

Decides what follows from a change. Pure: the scheduler is a port, and nothing is loaded from here.
"""
