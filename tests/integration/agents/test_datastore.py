# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:datastore on real file systems: full, out of inodes, read-only, hung, without its FUSE process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.lab import stallfs
from backstay.ocf import codes
from tests.integration.agents.corner import Corner, corner
from tests.integration.agents.private_host import PYTHON, Result, wait
from tests.integration.agents.test_domain_cost import HEAVY

MIB = 1 << 20
WITHIN = "2s"


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, need: Callable[..., str]
) -> Iterator[Corner]:
    need("unshare", "nsenter", "ip", "mkfs.ext4")
    with corner(tmp_path_factory.mktemp("corner"), repository) as made:
        yield made


class Store:
    """A datastore in the corner, and the resource that watches it."""

    def __init__(self, here: Corner, where: Path, **given: str) -> None:
        self.here = here
        self.where = where
        self.given = {"directory": str(where), "least_free": "0", "least_inodes": "0", **given}

    def do(
        self, action: str, interval: float = 0.0, level: int = 0, timeout: float = 60.0, **given: str
    ) -> Result:
        words = {**self.given, **given}
        return self.here.agent("datastore", action, interval=interval, level=level, timeout=timeout, **words)

    def look(self, **given: str) -> Result:
        return self.do("monitor", interval=20.0, **given)


@pytest.fixture
def store(here: Corner, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A file system, as the test's parameter gives mount's words (default: a tmpfs of 1 MiB)."""
    words = getattr(request, "param", ("-t", "tmpfs", "-o", "size=1m", "tank"))
    where = tmp_path / "store"
    where.mkdir()
    image = tmp_path / "image"
    if "IMAGE" in words:
        image.touch()
        os.truncate(image, 16 * MIB)
        here.run("mkfs.ext4", "-q", "-m", "0", "-N", "64", str(image))
    here.run("mount", *(str(image) if word == "IMAGE" else word for word in words), str(where))
    made = Store(here, where)
    yield made
    made.do("stop")
    here.run("umount", "--lazy", str(where))


LOOP = ("-o", "loop", "IMAGE")
EITHER = pytest.mark.parametrize("store", [("-t", "tmpfs", "-o", "size=1m", "tank"), LOOP], indirect=True)


@EITHER
def test_from_the_probe_to_the_stop(here: Corner, store: Store) -> None:
    assert store.do("monitor").code == codes.NOT_RUNNING
    assert store.do("start").code == codes.SUCCESS
    assert store.do("start").code == codes.SUCCESS
    assert store.do("monitor").code == codes.SUCCESS
    assert store.look().code == codes.SUCCESS
    assert store.do("monitor", interval=300.0, level=10).code == codes.SUCCESS
    assert store.do("validate-all", level=10).code == codes.SUCCESS
    assert set(here.run("ls", "-A", str(store.where)).split()) <= {"lost+found"}
    assert store.do("stop").code == codes.SUCCESS
    assert store.do("stop").code == codes.SUCCESS
    assert store.do("monitor").code == codes.NOT_RUNNING


@EITHER
def test_full_is_degraded_and_never_a_failure(here: Corner, store: Store) -> None:
    assert store.do("start").code == codes.SUCCESS
    here.run(
        "sh", "-c", f"dd if=/dev/zero of={store.where}/fill bs=4k 2>/dev/null || :; sync -f {store.where}"
    )
    full = store.look(patience="1ms")
    assert full.code == codes.DEGRADED
    assert "is full" in full.err or "takes no more" in full.err
    assert here.run("ls", "-A", str(store.where)).split()[:1] == ["fill"]
    here.run("rm", f"{store.where}/fill")
    assert store.look().code == codes.SUCCESS
    here.run("dd", "if=/dev/zero", f"of={store.where}/half", "bs=4k", "count=128")
    low = store.look(least_free="99%")
    assert (low.code, "free of" in low.err) == (codes.DEGRADED, True)
    assert store.look(least_free="64K").code == codes.SUCCESS


@pytest.mark.parametrize("store", [("-t", "tmpfs", "-o", "nr_inodes=8", "tank"), LOOP], indirect=True)
def test_without_inodes_nothing_can_be_made(here: Corner, store: Store) -> None:
    assert store.do("start").code == codes.SUCCESS
    here.run("sh", "-c", f"for i in $(seq 200); do touch {store.where}/$i || break; done 2>/dev/null; :")
    few = store.look(least_inodes="50%")
    assert few.code == codes.DEGRADED
    assert "takes no more" in few.err
    here.run("sh", "-c", f"rm {store.where}/1 {store.where}/2")
    few = store.look(least_inodes="50%")
    assert few.code == codes.DEGRADED
    assert "inodes free of" in few.err


@pytest.mark.parametrize("store", [LOOP], indirect=True)
def test_read_only_and_broken_file_systems_are_failures_of_this_host(here: Corner, store: Store) -> None:
    assert store.do("start").code == codes.SUCCESS
    here.run("mount", "-o", "remount,ro", str(store.where))
    only = store.look()
    assert (only.code, "read-only" in only.err) == (codes.DEGRADED, True)
    assert store.look(write="false").code == codes.SUCCESS
    here.run("mount", "-o", "remount,rw", str(store.where))
    assert store.look().code == codes.SUCCESS
    # As the file system itself does when it finds an error.
    here.run("sh", "-c", f"mount -o remount,abort {store.where} || :")
    broken = store.look()
    assert broken.code == codes.DEGRADED
    assert "counts as usable for" in broken.err
    assert store.do("validate-all", level=10).code == codes.ARGUMENTS
    # No cluster can be asked here, so no other host is known to be healthy.
    lasting = store.look(patience="1ms")
    assert (lasting.code, "nothing is moved or fenced" in lasting.err) == (codes.DEGRADED, True)


def test_what_is_mounted_is_compared(here: Corner, store: Store) -> None:
    assert store.do("start", fstype="tmpfs", source="tank").code == codes.SUCCESS
    assert store.look(fstype="ocfs2").code == codes.DEGRADED
    other = store.look(source="filer:/export/vm")
    assert "is tank, not filer:/export/vm" in other.err
    absent = store.do("start", directory=str(store.where.parent))
    assert (absent.code, "nothing is mounted" in absent.err) == (codes.GENERIC, True)
    assert store.do("start", directory=str(store.where.parent), own_mount="false").code == codes.SUCCESS


def test_a_block_device_is_read(here: Corner, store: Store, tmp_path: Path) -> None:
    image = tmp_path / "disk"
    image.write_bytes(bytes(MIB))
    device = here.run("losetup", "--find", "--show", str(image)).strip()
    try:
        assert store.do("start", directory=device).code == codes.SUCCESS
        assert store.look(directory=device).code == codes.SUCCESS
    finally:
        here.run("losetup", "--detach", device)
    gone = store.look(directory="/dev/no-such-disk")
    assert gone.code == codes.DEGRADED


@pytest.fixture
def stalled(here: Corner, tmp_path: Path) -> Iterator[tuple[Store, Path, subprocess.Popen[bytes]]]:
    """A FUSE file system that can be told to answer nobody: the store, the switch, its process."""
    where, switch = tmp_path / "stalled", tmp_path / "switch"
    where.mkdir()
    server = subprocess.Popen(here.argv(sys.executable, stallfs.__file__, str(where), str(switch)))
    wait(
        lambda: subprocess.run(here.argv("ls", f"{where}/base.img"), capture_output=True).returncode == 0,
        "the mount",
    )
    made = Store(here, where, write="false", answer_within=WITHIN)
    yield made, switch, server
    switch.unlink(missing_ok=True)
    made.do("stop")
    here.run("sh", "-c", f"umount --lazy {where} || :")
    server.kill()
    server.wait(30)


def waiting() -> list[int]:
    """The processes that a stalled FUSE file system keeps in D state."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            asks = "datastore" in (process / "cmdline").read_bytes().decode() if state == "D" else False
        except OSError:
            continue
        if asks:
            found.append(int(process.name))
    return found


def test_a_hung_store_never_hangs_the_agent_and_has_one_process_waiting(
    stalled: tuple[Store, Path, subprocess.Popen[bytes]],
) -> None:
    store, switch, _ = stalled
    assert store.do("start").code == codes.SUCCESS
    assert store.look().code == codes.SUCCESS
    before = set(waiting())
    switch.touch()
    first = store.look()
    assert (first.code, "does not answer" in first.err) == (codes.DEGRADED, True)
    looks = [store.look() for _ in range(4)] + [store.do("monitor")]
    assert {look.code for look in looks} == {codes.DEGRADED}
    assert "request_wait_answer" in looks[-1].err
    assert len(set(waiting()) - before) == 1
    # Those that follow ask nothing, so they do not wait either.
    assert min(look.seconds for look in looks) < first.seconds
    assert store.do("stop").code == codes.SUCCESS
    assert store.do("start", timeout=20.0).code in (codes.GENERIC, codes.DEGRADED)
    switch.unlink()
    wait(lambda: not set(waiting()) - before, "the process to have its answer")
    assert store.look().code == codes.SUCCESS


def test_a_store_whose_fuse_process_is_gone_is_disconnected(
    stalled: tuple[Store, Path, subprocess.Popen[bytes]],
) -> None:
    store, _, server = stalled
    assert store.do("start").code == codes.SUCCESS
    server.kill()
    server.wait(30)
    lost = store.look()
    assert (lost.code, "is disconnected" in lost.err) == (codes.DEGRADED, True)


CODE = """
import sys
sys.path.insert(0, {lib!r})
bare = set(sys.modules)
import backstay.ocf.runtime
import backstay.agents.datastore
sys.stdout.write(" ".join(sorted({{name.partition(".")[0] for name in set(sys.modules) - bare}})))
"""


def test_the_monitor_path_loads_nothing_heavy(repository: Path) -> None:
    code = CODE.format(lib=str(repository / "lib"))
    done = subprocess.run([PYTHON, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & HEAVY == set()
