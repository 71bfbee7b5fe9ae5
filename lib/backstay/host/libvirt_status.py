# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt wrote down about a running domain: /run/libvirt/qemu/NAME.xml.

Decides whether libvirt's last word was about exactly this process, and was "running". libvirtd replaces the
file whenever a domain changes its state (seen with 9.0: suspend, resume, I/O error), because it needs it to find
its domains again after a restart. Reading it costs nothing and cannot hang: it lies in memory, no daemon is asked.

When the word can be old:
- libvirtd is dead, or was stopped: `writer` gives the daemon only while it lives, and whoever takes the word looks at
  it. One that hangs in another way looks well from outside; the guest's own processors show then whether it runs
  (host/vcpus.py).
- libvirtd could not write. It only warns in its log then and answers correctly when it is asked ("Unable to save
  status", qemu_domain.c). So the word does not count while /run is nearly full, and whoever relies on it asks libvirt
  from time to time all the same (host/unchanged.py).
"""

from __future__ import annotations

import os

DIRECTORY = "/run/libvirt/qemu"
RUN = "/run"
WRITERS = "libvirtd", "virtqemud"  # each leaves its pid in RUN as NAME.pid, and its command has that name
ATTENDS = "RS"  # proc(5)'s letters of a daemon that works or waits for work
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


def writer(run: str = RUN, proc: str = "/proc") -> tuple[int, int]:
    """Give pid and start time of the daemon that writes these files; zeros when none lives and attends to them.

    A pid file outlives a daemon that was killed, and its pid may be somebody else's by now: the name tells.
    """
    for name in WRITERS:
        try:
            pid = int(read(f"{run}/{name}.pid"))
            command, state, start = process(f"{proc}/{pid}")
        except (OSError, ValueError):
            continue
        if command == name and state in ATTENDS:
            return pid, start
    return 0, 0


def process(place: str) -> tuple[str, str, int]:
    """Give command, state letter and start time of the process or thread at that place in /proc.

    Raises OSError when it is gone and ValueError when this is not what proc(5) says.
    """
    begin, _, end = read(f"{place}/stat").rpartition(")")
    fields = end.split()
    if len(fields) < 20:
        raise ValueError(f"{place}/stat is not the state of a process")
    return begin.partition("(")[2], fields[0], int(fields[19])


def read(path: str) -> str:
    """Give the beginning of a file, LIMIT bytes at most."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, LIMIT).decode("utf-8", "replace")
    finally:
        os.close(handle)


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
