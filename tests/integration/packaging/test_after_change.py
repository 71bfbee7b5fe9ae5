# SPDX-License-Identifier: GPL-2.0-or-later
"""What begins a proof when packages change something, what it stands on, and who speaks when Python itself is broken."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from backstay.host.installed import Version

STUB = """#!/bin/sh
echo "$(basename "$0") $*" >>{said}
[ "$1" != --journald ] || cat >>{said}
"""


@pytest.fixture
def tree(repository: Path, tmp_path: Path) -> Path:
    """A copy of what is installed."""
    place = tmp_path / "version"
    for name in ("agents", "fencing", "bin", "libexec", "lib"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(repository / name, place / name, ignore=ignore)
    return place


@pytest.fixture
def said(tmp_path: Path):
    """`said(argv, **environment)` runs something with tools that only write down how they were called."""
    tools = tmp_path / "tools"
    tools.mkdir()
    book = tmp_path / "said"
    for name in ("systemctl", "logger", "attrd_updater"):
        (tools / name).write_text(STUB.format(said=book))
        (tools / name).chmod(0o755)

    def run(*argv: str | Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        book.write_text("")
        given = {"PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin", **environment}
        done = subprocess.run(argv, env=given, capture_output=True, text=True, timeout=120, check=False)
        return done, book.read_text().splitlines()

    return run


def test_a_change_begins_a_proof_and_waits_for_nothing(repository: Path, said, tmp_path: Path) -> None:
    script, run = repository / "libexec/after-change", tmp_path / "run"
    done, told = said(script, "changed", BACKSTAY_RUN=str(run), BACKSTAY_SYSTEM=str(tmp_path))
    assert (done.returncode, told) == (0, ["systemctl --no-block start backstay-agents.service"])
    assert (run / "agents-changed").exists()
    # A change during the proof begins another one; none, none.
    assert said(script, "end", BACKSTAY_RUN=str(run))[1] == told
    assert said(script, "begin", BACKSTAY_RUN=str(run), BACKSTAY_LOCKS=str(tmp_path / "none"))[1] == []
    assert said(script, "end", BACKSTAY_RUN=str(run))[1] == []


def test_a_changed_fence_agent_has_fencing_proven_where_a_timer_does_that(
    repository: Path, said, tmp_path: Path
) -> None:
    script, stamp = repository / "libexec/after-change", tmp_path / "fence-agents-changed"
    stamp.touch()
    asked = "systemctl --quiet is-active backstay-fence.timer"
    began = "systemctl --no-block start backstay-fence.service"
    assert said(script, "end", BACKSTAY_RUN=str(tmp_path))[1] == [asked, began]
    assert said(script, "end", BACKSTAY_RUN=str(tmp_path))[1] == [], "once for each change"
    stamp.touch()
    (tmp_path / "tools/systemctl").write_text("#!/bin/sh\nexit 3\n")
    assert said(script, "end", BACKSTAY_RUN=str(tmp_path))[0].returncode == 0
    assert not stamp.exists()


def test_where_no_system_runs_nothing_is_begun(repository: Path, said, tmp_path: Path) -> None:
    script = repository / "libexec/after-change"
    assert (
        said(script, "changed", BACKSTAY_RUN=str(tmp_path), BACKSTAY_SYSTEM=str(tmp_path / "none"))[1] == []
    )


def test_a_proof_waits_for_the_package_manager(repository: Path, said, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    handle = os.open(lock, os.O_RDWR)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX)
        threading.Timer(1.5, lambda: fcntl.lockf(handle, fcntl.LOCK_UN)).start()
        begin = time.monotonic()
        said(
            repository / "libexec/after-change", "begin", BACKSTAY_RUN=str(tmp_path), BACKSTAY_LOCKS=str(lock)
        )
        assert time.monotonic() - begin >= 1.4
    finally:
        os.close(handle)


@pytest.mark.parametrize(
    ("verb", "module", "attribute"),
    [
        ("agents", "agents", "backstay-agents -U broken:check"),
        ("fence", "fence", "backstay-fencing -U not-ready:check"),
    ],
)
def test_a_check_that_cannot_even_begin_is_told_by_the_shell(
    tree: Path, said, verb, module, attribute
) -> None:
    with (tree / f"lib/backstay/cli/{module}.py").open("a") as stream:
        stream.write("\nimport torn\n")
    done, told = said(tree / "bin/backstay", verb, "check", "--publish", "--output", "json")
    assert (done.returncode, "No module named 'torn'" in done.stdout) == (3, True)
    assert (told[0], attribute in told[-1]) == ("logger --journald", True)
    assert {"PRIORITY=1", f"SYSLOG_IDENTIFIER=backstay-{verb}", "BACKSTAY_ACTION=check"} <= set(told[1:-1])
    assert any(
        line.startswith(f"MESSAGE=the check itself (backstay {verb} check) cannot run: ") for line in told
    )
    assert said(tree / "bin/backstay", verb, "check")[1] == [], "only who was asked to publish does"


def test_without_a_journal_the_shell_tells_syslog(tree: Path, said, tmp_path: Path) -> None:
    with (tree / "lib/backstay/cli/fence.py").open("a") as stream:
        stream.write("\nimport torn\n")
    stub = (tmp_path / "tools/logger").read_text()
    (tmp_path / "tools/logger").write_text(stub + '[ "$1" != --journald ]\n')
    told = said(tree / "bin/backstay", "fence", "check", "--publish")[1]
    assert any(line.startswith("logger -p daemon.alert -t backstay-fence the check itself") for line in told)


def test_a_fingerprint_is_of_everything_that_an_agent_stands_on(tree: Path, need) -> None:
    need("ipmitool")
    version = Version(tree)
    programs = {path.name: path for path in version.programs()}
    first = {name: version.fingerprint(path) for name, path in programs.items()}
    assert {name: Version(tree).fingerprint(path) for name, path in programs.items()} == first
    with (tree / "lib/backstay/host/ipmitool.py").open("a") as stream:
        stream.write("# changed\n")
    changed = {name for name, path in programs.items() if Version(tree).fingerprint(path) != first[name]}
    assert changed == {"fence_backstay_ipmi"}
    files = {name: {Path(file).name for file in Version(tree).files(path)} for name, path in programs.items()}
    assert {"libvirt.py", "domain_stop.py", "domain"} <= files["domain"]
    assert any(file.startswith("libvirt.so") for file in files["domain"])
    assert {"ipmitool", "actions.py"} <= files["fence_backstay_ipmi"]
    assert any(file.startswith("libcrypto") for file in files["fence_backstay_redfish"])
    for name in programs:
        assert any(file.startswith("python3.") for file in files[name]), "the interpreter itself"
