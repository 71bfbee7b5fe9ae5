# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages, built once for all tests of them."""

from tests.integration.packaging.built import deb, package, rpm

__all__ = ["deb", "package", "rpm"]
