# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages that one test alone needs, unpacked into nodes: not part of their root, which every lab would build.

Decides nothing about what is in them; no maintainer script runs.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable

HERE = "/srv/vm/debs"  # in the nodes
UNPACK = f"""for deb in {HERE}/*.deb; do dpkg-deb --fsys-tarfile $deb | tar -x --keep-directory-symlink -C /; done
ldconfig; systemctl daemon-reload"""


def unpack(lab, nodes: Iterable, packages: Iterable[str]) -> None:
    """Fetch packages from the machine's own sources, once into the cache, and unpack them in nodes."""
    cache, here = lab.layout.cache / "debs", lab.layout.shared / "debs"
    cache.mkdir(exist_ok=True)
    missing = [name for name in packages if not list(cache.glob(f"{name}_*.deb"))]
    if missing:
        argv = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *missing]
        done = subprocess.run(argv, cwd=cache, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    here.mkdir()
    for name in packages:
        for deb in cache.glob(f"{name}_*.deb"):
            shutil.copy(deb, here)
    try:
        for node in nodes:
            node.check(UNPACK, timeout=120)
    finally:
        shutil.rmtree(here)
