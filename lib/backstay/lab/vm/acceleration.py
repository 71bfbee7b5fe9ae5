# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether Debian's kernel really runs under KVM here: tried once for each boot of the machine, with a bound.

A /dev/kvm that is there promises nothing: some hypervisors offer one under which a stock kernel never says a word.
"""

from __future__ import annotations

import os
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import run
from backstay.lab.progress import Progress
from backstay.lab.vm import qemu

DEVICE = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SECONDS = 15.0
"""A kernel under KVM is there in two seconds."""

SAYS = "backstay: this kernel runs"
NOTE = "acceleration"


def choose(image: Path, progress: Progress) -> str:
    """The accelerator that nodes of this image get; the answer is kept beside the image until the next boot."""
    note = image / NOTE
    boot = BOOT_ID.read_text(encoding="ascii").strip()
    words = note.read_text(encoding="ascii").split() if note.exists() else []
    if len(words) == 2 and words[0] == boot:
        return words[1]
    found = qemu.KVM if os.access(DEVICE, os.R_OK | os.W_OK) and _runs(image, progress) else qemu.TCG
    fresh = note.with_name(f".{NOTE}")
    fresh.write_text(f"{boot} {found}\n", encoding="ascii")
    fresh.replace(note)
    return found


def _runs(image: Path, progress: Progress) -> bool:
    progress.step("trying whether a kernel runs under /dev/kvm")
    argv = qemu.plain(image, qemu.KVM, f"{qemu.KERNEL_ARGUMENTS} backstay.try")
    try:
        done = run([*argv, "-m", "256", "-serial", "stdio"], timeout=SECONDS)
    except CannotAsk as error:
        progress.step(f"no kernel runs under /dev/kvm ({error}); nodes are emulated in software")
        return False
    if SAYS in done.stdout:
        return True
    progress.step(f"no kernel runs under /dev/kvm ({done.complaint()}); nodes are emulated in software")
    return False
