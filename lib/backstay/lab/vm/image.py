# SPDX-License-Identifier: GPL-2.0-or-later
"""What VM nodes have besides the node root: Debian's kernel, a first program and packages, in the cache.

Decides which modules are left out. Never changes a finished image: another recipe is another one.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import run
from backstay.lab import initramfs, kernel, root
from backstay.lab.layout import Layout
from backstay.lab.progress import Progress
from backstay.lab.vm import packages

SECONDS = 300.0
EARLY = ("virtio_pci", "9p", "9pnet_virtio", "virtio_console", "virtio_net")
"""What the kernel needs before it has its root; network and ports save systemd from waiting."""

LEFT_OUT = (
    *(f"kernel/drivers/{name}" for name in (
        "gpu", "media", "usb", "staging", "iio", "infiniband", "hid", "hwmon", "bluetooth", "comedi", "isdn", "mtd",
        "power", "video", "leds", "input", "platform", "mmc", "soundwire", "thunderbolt", "pcmcia", "i2c", "ata", "nfc",
        "net/wireless", "net/ethernet", "net/usb", "net/wwan", "net/can", "net/hamradio", "crypto",
    )),
    "kernel/sound",
    "kernel/net/bluetooth",
    "kernel/net/wireless",
    "kernel/net/mac80211",
)  # fmt: skip
"""Modules for hardware that QEMU does not give a node; two thirds of all."""

SCRIPT = Path(initramfs.__file__).parent / "data" / "node-init.sh"
APPLETS = ("cat", "echo", "insmod", "mount", "poweroff", "sh", "switch_root", "umount")


def path(layout: Layout) -> Path:
    """Where the image of today's recipe lies, built or not."""
    program = SCRIPT.read_text(encoding="utf-8")
    recipe = "\n".join((root.path(layout).name, program, *EARLY, *LEFT_OUT, *packages.NAMES, packages.SCRIPT))
    return layout.cache / f"vm-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def layer(layout: Layout) -> Path:
    """What VM nodes have above the node root: packages, and the kernel's modules."""
    return path(layout) / "layer"


def ensure(layout: Layout, progress: Progress) -> Path:
    """The path of the finished image, built first when it is not there (a minute, 250 MB). The node root is there.

    Raises CannotAsk when the packages cannot be fetched or installed.
    """
    image = path(layout)
    if image.is_dir():
        return image
    beside = image.with_name(image.name + ".building")
    root.discard(beside)
    beside.mkdir(parents=True)
    progress.step(f"building what VM nodes have besides: a kernel and packages, in {image} (once; a minute)")
    try:
        packages.install(
            root.path(layout), beside / "layer", beside / "apt", image.with_name(image.name + ".log")
        )
        root.discard(beside / "apt")
        _build(beside)
        beside.rename(image)
    finally:
        root.discard(beside)
    return image


def _build(place: Path) -> None:
    scratch = place / "scratch"
    scratch.mkdir()
    kernel_image, busybox = kernel.fetch_all(scratch, scratch / "modules", LEFT_OUT)
    version = next((scratch / "modules/lib/modules").iterdir())
    done = run(["depmod", "-b", str(scratch / "modules"), version.name], timeout=SECONDS)
    if not done.ok:
        raise CannotAsk(f"the kernel's modules cannot be listed: {done.complaint()}")
    order = loading_order((version / "modules.dep").read_text(encoding="utf-8"), EARLY)
    modules = {path: (version / path).read_bytes() for path in order}
    (place / "vmlinuz").write_bytes(kernel_image)
    (place / "initrd").write_bytes(first_program(busybox, modules))
    (place / "layer/usr/lib").mkdir(parents=True, exist_ok=True)
    version.parent.rename(place / "layer/usr/lib/modules")  # in a node, /lib is a link to /usr/lib
    root.discard(scratch)


def loading_order(dependencies: str, names: Iterable[str]) -> tuple[str, ...]:
    """The paths of modules and of all that they stand on, in the order in which they can be loaded.

    `dependencies` is the text of modules.dep (modules.dep(5): what is needed last stands first). CannotAsk when the
    kernel has no such module.
    """
    table = dict(line.split(":", 1) for line in dependencies.splitlines() if ":" in line)
    places = {_name(path): path for path in table}
    found: dict[str, None] = {}
    for name in names:
        if name not in places:
            raise CannotAsk(f"Debian's kernel has no module {name}, which VM nodes need")
        found |= dict.fromkeys([*reversed(table[places[name]].split()), places[name]])
    return tuple(found)


def _name(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def first_program(busybox: bytes, modules: Mapping[str, bytes]) -> bytes:
    """The initramfs of a VM node, uncompressed; `modules` maps paths of modules to their bytes, in loading order."""
    script = SCRIPT.read_text(encoding="utf-8").replace("@MODULES@", " ".join(map(_name, modules)))
    directories = ("bin", "dev", "modules", "proc", "root", "sys")
    entries = [initramfs.Entry(name, stat.S_IFDIR | 0o755) for name in directories]
    entries.append(initramfs.Entry("init", stat.S_IFREG | 0o755, script.encode()))
    entries += initramfs.programs(busybox, APPLETS)
    entries += [
        initramfs.Entry(f"modules/{_name(path)}.ko", stat.S_IFREG | 0o644, data)
        for path, data in modules.items()
    ]
    return initramfs.archive(entries)
