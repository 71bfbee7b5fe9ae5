# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel for the audit guests and the VM nodes: fetched with apt, unpacked once, never installed.

Decides which files of the packages are needed. The kernel is handed to QEMU as the plain ELF image that Debian
ships compressed: under software emulation unpacking it takes four seconds of every boot.
"""

from __future__ import annotations

import lzma
import re
import struct
from collections.abc import Sequence
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.clock import pause
from backstay.host.process import Completed, run
from backstay.lab.initramfs import MODULES

METAPACKAGE = "linux-image-amd64"
TRIES = 3
_SLOW = 300.0
_SETUP_SECTORS, _MAGIC, _PAYLOAD = 0x1F1, 0x202, 0x248


def plain_image(image: bytes) -> bytes:
    """The ELF kernel inside a bzImage (offsets: the kernel's Documentation/x86/boot.rst); CannotAsk if unlike one."""
    if image[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise CannotAsk("the file in Debian's kernel package is not a bzImage")
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = (image[_SETUP_SECTORS] + 1) * 512 + offset
    try:
        plain = lzma.LZMADecompressor().decompress(image[start : start + length])
    except lzma.LZMAError as error:
        raise CannotAsk(f"Debian's kernel is not compressed with xz any more ({error})") from error
    return plain


def _patiently(argv: list[str], what: str, cwd: Path | None = None) -> Completed:
    """Run a command that needs a package mirror; mirrors fail now and then."""
    command = argv if cwd is None else ["env", f"--chdir={cwd}", *argv]
    done = run(command, timeout=_SLOW)
    for attempt in range(1, TRIES):
        if done.ok:
            break
        pause(2.0 * attempt)
        done = run(command, timeout=_SLOW)
    if not done.ok:
        reason = f"{what} failed {TRIES} times: {done.complaint()}"
        raise CannotAsk(reason, hint="run apt-get update and look at the network and its proxy")
    return done


def _image_package() -> str:
    """The package that the metapackage stands for today, such as linux-image-6.1.0-37-amd64."""
    answer = _patiently(
        ["apt-cache", "depends", "--important", METAPACKAGE], f"asking apt about {METAPACKAGE}"
    ).stdout
    match = re.search(r"Depends: (linux-image-\d\S+)", answer)
    if match is None:
        raise CannotAsk(f"apt knows no kernel behind {METAPACKAGE}", hint="run apt-get update")
    return match[1]


def _unpack(package: Path, patterns: list[str], scratch: Path, left_out: Sequence[str] = ()) -> None:
    """Put the files of a Debian package that match the patterns, but for those in `left_out`, below `scratch`."""
    script = (
        'p=$1 d=$2; shift 2; dpkg-deb --fsys-tarfile "$p" | tar --extract --directory="$d" --wildcards "$@"'
    )
    excluded = [f"--exclude=*/{directory}" for directory in left_out]
    done = run(["sh", "-c", script, "sh", str(package), str(scratch), *excluded, *patterns], timeout=_SLOW)
    if not done.ok:
        raise CannotAsk(
            f"{package.name} does not hold what a virtual machine of the lab needs: {done.complaint()}"
        )


def fetch(scratch: Path) -> tuple[bytes, bytes, dict[str, bytes]]:
    """Download and unpack into the empty directory `scratch`: (ELF kernel, busybox, modules by `MODULES` name).

    Takes about ten seconds and 90 MB in `scratch`. Raises CannotAsk, which says what to do.
    """
    package = _download(scratch)
    _unpack(package, ["./boot/vmlinuz-*", *(f"*/kernel/{module}.ko" for module in MODULES)], scratch)
    modules = {m: next(scratch.glob(f"**/kernel/{m}.ko")).read_bytes() for m in MODULES}
    return _image(scratch), _busybox(scratch), modules


def fetch_all(scratch: Path, layer: Path, left_out: Sequence[str]) -> tuple[bytes, bytes]:
    """The same without modules, and all modules of the package below `layer` but for the directories `left_out`.

    Takes about twenty seconds and 200 MB.
    """
    package = _download(scratch)
    _unpack(package, ["./boot/vmlinuz-*"], scratch)
    layer.mkdir()
    _unpack(package, ["./lib/modules/*"], layer, left_out)
    return _image(scratch), _busybox(scratch)


def _download(scratch: Path) -> Path:
    """The kernel's package; busybox's is unpacked already."""
    kernel = _image_package()
    scratch.chmod(0o755)  # apt drops its rights while it downloads
    _patiently(["apt-get", "download", "-q", kernel, "busybox-static"], f"downloading {kernel}", scratch)
    _unpack(next(scratch.glob("busybox-static_*.deb")), ["*/bin/busybox"], scratch)
    return next(scratch.glob("linux-image-*.deb"))


def _image(scratch: Path) -> bytes:
    return plain_image(next(scratch.glob("boot/vmlinuz-*")).read_bytes())


def _busybox(scratch: Path) -> bytes:
    return next(scratch.glob("**/bin/busybox")).read_bytes()
