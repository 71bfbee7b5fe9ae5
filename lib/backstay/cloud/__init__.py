# SPDX-License-Identifier: GPL-2.0-or-later
"""The cloud description: what an admin wrote about hosts, BMCs and domains, as frozen typed data.

Decides what a description may say. Never looks at a cluster and never touches anything but the file it reads.
"""
