# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt wrote down about a running domain: /run/libvirt/qemu/NAME.xml.

Decides whether libvirt's last word was about exactly this process, and was "running". libvirtd replaces the
file whenever a domain changes its state (seen with 9.0: suspend, resume, I/O error), because it needs it to find
its domains again after a restart. Reading it costs nothing and cannot hang: it lies in memory, no daemon is asked.

When the word can be old:
- libvirtd is dead or hung. Then libvirt could not be asked for anything newer either; that the emulator lives and was
  not stopped by a signal is seen without it. A guest that pauses itself meanwhile (an I/O error) is seen as soon as
  libvirtd is back, which is the libvirtd agent's concern: it asks its emulators and writes what they say.
- libvirtd could not write. It only warns in its log then and answers correctly when it is asked ("Unable to save
  status", qemu_domain.c). So the word does not count while /run is nearly full, and whoever relies on it asks libvirt
  from time to time all the same (host/unchanged.py).
"""

from __future__ import annotations

import os

DIRECTORY = "/run/libvirt/qemu"
LIMIT = 4096  # bytes; the line stands at the top, after a comment
ROOM = 1 << 20  # bytes that must be free there for libvirtd to have written its last word
FILES = 16  # and files
COMMENT, COMMENT_END = "<!--", "-->"
LINE = "<domstatus "


def says_running(name: str, pid: int, directory: str = DIRECTORY) -> bool:
    """Whether libvirt wrote that the domain of that name runs as this process; false for everything else."""
    line = _line(name, directory)
    return " state='running' " in f" {line} " and f" pid='{pid}' " in f" {line} "


def written(name: str, pid: int, directory: str = DIRECTORY) -> tuple[str, str]:
    """Give state and reason as libvirt last wrote them of the domain that is this process; empty when it did not.

    They are words of host.libvirt's tables.
    """
    words = f" {_line(name, directory)} "
    if f" pid='{pid}' " not in words:
        return "", ""
    return _value(words, "state"), _value(words, "reason")


def written_pid(name: str, directory: str = DIRECTORY) -> int:
    """Give the process that libvirt takes for the domain of that name; 0 when it wrote none."""
    digits = _value(_line(name, directory), "pid")
    return int(digits) if digits.isdecimal() else 0


def _value(words: str, name: str) -> str:
    return f" {words}".partition(f" {name}='")[2].partition("'")[0]


def _line(name: str, directory: str) -> str:
    """Give the attributes of the file's one line about the state, or an empty text."""
    if not name or "/" in name:
        return ""
    try:
        handle = os.open(f"{directory}/{name}.xml", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not _has_room(os.fstatvfs(handle)):
                return ""
            text = os.read(handle, LIMIT).decode("utf-8", "replace")
        finally:
            os.close(handle)
    except OSError:
        return ""
    if text.startswith(COMMENT):  # it holds the domain's name, which may be anything
        text = text.partition(COMMENT_END)[2]
    return text.partition(LINE)[2].partition(">")[0]


def _has_room(there: os.statvfs_result) -> bool:
    """Whether a small file could be written; a file system without a limit on files gives none (0)."""
    return there.f_bfree * there.f_bsize >= ROOM and (there.f_files == 0 or there.f_ffree >= FILES)
