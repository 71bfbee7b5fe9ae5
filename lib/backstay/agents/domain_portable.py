# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a domain stays behind on its host when it starts on another one: UEFI variables, the TPM's state.

Decides which kinds of storage other hosts see too (validate-all at level 10). A path on a file system of this host
alone is a finding: after a failover the guest would start with empty UEFI variables, which may not boot, or with a new
TPM, to which no disk encryption inside the guest opens. A replicated disk (DRBD) goes where its domain goes.
"""

from __future__ import annotations

from backstay.agents import domain_features

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from backstay.agents.domain_features import Features

SHARED = (
    "9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "orangefs",
    "smb3", "virtiofs",
)  # fmt: skip
IN_USER_SPACE = "fuse."  # GlusterFS, CephFS and their like; the local ones are rare
REPLICATED = "/dev/drbd"


def is_seen_elsewhere(kind: str, source: str) -> bool:
    """Decide whether other hosts have what lies on a file system of that kind from that source."""
    return kind in SHARED or kind.startswith(IN_USER_SPACE) or source.startswith(REPLICATED)


def left_behind(features: Features, mounted: Callable[[str], tuple[str, str]]) -> tuple[str, ...]:
    """Give a sentence for each thing that would stay behind; `mounted` gives kind and source for a path."""
    found = []
    if features.nvram.startswith("/") and not features.nvram.startswith("/dev/"):
        kind, source = mounted(features.nvram)
        if not is_seen_elsewhere(kind, source):
            found.append(
                f"its UEFI variables lie in {features.nvram} on {kind or 'nothing'} of this host alone: name a file on "
                "shared storage in <nvram>"
            )
    if features.tpm:
        kind, source = mounted(domain_features.TPM)
        if not is_seen_elsewhere(kind, source):
            found.append(
                f"the state of its TPM lies in {domain_features.TPM} on {kind or 'nothing'} of this host alone: mount "
                "shared storage there"
            )
    return tuple(found)
