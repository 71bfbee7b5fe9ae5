# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulator that is ending: it has given its memory back, and its arguments with it, but may still hold its disks.

Decides whether a process without arguments is (or was) an emulator, and whose, by what outlives the memory: the
AppArmor label, which holds the UUID (Debian's default), the name in its machine's control group, libvirt's pid files,
at last the command's name, which says only that it is one. Killed while the storage hangs, an emulator stays like
that for as long as the storage does: between the loss of its memory and the closing of its files. Loaded only when
there is such a process. Source: Linux, do_exit(); libvirt 9.0, security_apparmor.c, virsystemd.c.
"""

from __future__ import annotations

import os

LABEL = "libvirt-"
SCOPE = "machine-qemu"
RUN = "/run/libvirt/qemu"
UUID_LENGTH = 36
COMMANDS = ("qemu", "kvm")
TOOLS = ("qemu-img", "qemu-io", "qemu-nbd", "qemu-ga")  # they end as slowly on dead storage, and run no guest


def arguments_of(root: str, pid: int, run: str = RUN) -> tuple[str, ...] | None:
    """Give what is left of an emulator's arguments (`-name guest=NAME`, `-uuid UUID`, either may be missing).

    None when nothing says that this was an emulator. `root` is the mounted proc file system.
    """
    uuid = _labelled(f"{root}/{pid}")
    name = _by_pid_file(run, pid) or _by_scope(_text(f"{root}/{pid}/cgroup"))
    command = _text(f"{root}/{pid}/comm").strip()
    if not (uuid or name or _is_emulator(command)):
        return None
    found: tuple[str, ...] = (command,)
    if name:
        found += ("-name", f"guest={name.replace(',', ',,')}")
    return (*found, "-uuid", uuid) if uuid else found


def _is_emulator(command: str) -> bool:
    return command not in TOOLS and (COMMANDS[0] in command or command == COMMANDS[1])


def _labelled(base: str) -> str:
    """Give the UUID in the AppArmor label that libvirt gives each emulator."""
    for place in ("attr/apparmor/current", "attr/current"):
        label = _text(f"{base}/{place}").strip()
        if label.startswith(LABEL):
            uuid = label[len(LABEL) :][:UUID_LENGTH].lower()
            return uuid if len(uuid) == UUID_LENGTH and uuid.count("-") == 4 else ""
    return ""


def _by_pid_file(run: str, pid: int) -> str:
    try:
        names = [name for name in os.listdir(run) if name.endswith(".pid")]  # noqa: PTH208
    except OSError:
        return ""
    return next((name[: -len(".pid")] for name in names if _text(f"{run}/{name}").strip() == str(pid)), "")


def _by_scope(cgroup: str) -> str:
    r"""Give the name in a control group such as machine-qemu\x2d3\x2dweb1.scope (systemd.unit(5), libvirt's name)."""
    plain = unescaped(cgroup.partition(SCOPE)[2].partition(".scope")[0])
    number, _, name = plain.lstrip("-").partition("-")
    return name if number.isdecimal() else ""


def unescaped(unit: str) -> str:
    r"""Give the name of a unit as it was before systemd wrote signs of it as \x2d (systemd.unit(5))."""
    plain = ""
    while unit:
        before, escaped, rest = unit.partition("\\x")
        plain += before + (_letter(rest[:2]) if escaped else "")
        unit = rest[2:] if escaped else ""
    return plain


def _letter(digits: str) -> str:
    try:
        return chr(int(digits, 16))
    except ValueError:
        return ""


def _text(path: str) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(handle, 4096).decode("utf-8", "replace").strip("\0")
        finally:
            os.close(handle)
    except OSError:
        return ""
