# SPDX-License-Identifier: GPL-2.0-or-later
"""The hosts of a DRBD resource: what leads from how they are to how they are described."""
