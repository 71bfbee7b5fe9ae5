# SPDX-License-Identifier: GPL-2.0-or-later
"""Libvirt's last written word about a domain."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.host.libvirt_status import says_running

COMMENT = """<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh edit web1
or other application using the libvirt API.
-->

"""


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("<domstatus state='running' reason='booted' pid='4711'>", True),
        ("<domstatus state='running' reason='unpaused' pid='4711'>", True),
        ("<domstatus state='running' reason='booted' pid='471'>", False),
        ("<domstatus state='paused' reason='ioerror' pid='4711'>", False),
        ("<domstatus state='shutoff' reason='running' pid='4711'>", False),
        ("<domstatus state='running' reason='booted'>", False),
        ("<domain><domstatus>", False),
        ("", False),
    ],
)
def test_only_running_as_this_process_counts(tmp_path: Path, line: str, runs: bool) -> None:
    (tmp_path / "web1.xml").write_text(f"{COMMENT}{line}\n  <taint flag='high-privileges'/>\n")
    assert says_running("web1", 4711, str(tmp_path)) == runs


@pytest.mark.parametrize("name", ["", "web2", "../web1"])
def test_no_file_no_word(tmp_path: Path, name: str) -> None:
    (tmp_path / "web1.xml").write_text("<domstatus state='running' reason='booted' pid='4711'>")
    assert not says_running(name, 4711, str(tmp_path))
