# SPDX-License-Identifier: GPL-2.0-or-later
"""A version is switched to only when its rehearsal passed; what serves goes on otherwise, and nobody sees a mixture."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


class Installation:
    """A directory of versions, as a package manager and take-over leave it."""

    def __init__(self, repository: Path, place: Path) -> None:
        self.repository = repository
        self.versions = place / "versions"
        self.state = place / "state"
        self.delivered = self.versions / "delivered"

    def deliver(self, text: str = "", *, into: str = "lib/backstay/agents/domain_stop.py") -> None:
        """What a package manager does: replace what was delivered; `text` is put at the end of a module."""
        shutil.rmtree(self.delivered, ignore_errors=True)
        for name in ("agents", "fencing", "bin", "libexec", "lib"):
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(self.repository / name, self.delivered / name, ignore=ignore)
        with (self.delivered / into).open("a") as module:
            module.write(text)

    def leave_out(self, part: str) -> None:
        """Nothing of a part is delivered: its programs are neither there nor rehearsed."""
        shutil.rmtree(self.delivered / part)

    def take_over(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "BACKSTAY_VERSIONS": str(self.versions),
            "BACKSTAY_STATE": str(self.state),
        }
        program = self.repository / "libexec/take-over"
        return subprocess.run(
            [program, *words], env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    def serves(self) -> str:
        return (self.versions / "current").readlink().name

    def refused(self) -> str:
        path = self.state / "refused"
        return path.read_text() if path.exists() else ""

    def names(self) -> set[str]:
        return {path.name for path in self.versions.iterdir() if not path.name.startswith(".")}


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one version was installed, and serves."""
    place = tmp_path_factory.mktemp("installed")
    made = Installation(repository, place)
    made.deliver()
    done = made.take_over("--insist")
    assert (done.returncode, made.refused()) == (0, ""), done.stderr
    return place


@pytest.fixture
def there(repository: Path, installed: Path, tmp_path: Path) -> Installation:
    """An installation of its own with one version that serves."""
    shutil.copytree(installed, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Installation(repository, tmp_path)


LONG = pytest.mark.long


# The rehearsals of the fence agents take most of a minute, and are proven with them (tests/integration/fencing).
@pytest.mark.parametrize(
    "left_out", ["fencing", pytest.param("", marks=LONG)], ids=["without-fencing", "whole"]
)
def test_a_good_version_is_switched_to_and_the_old_one_kept(there: Installation, left_out: str) -> None:
    old = there.serves()
    there.deliver("\nNEXT = 1\n")
    if left_out:
        there.leave_out(left_out)
    done = there.take_over()
    assert done.returncode == 0, done.stderr
    new = there.serves()
    assert new != old
    assert there.names() == {"delivered", "current", "previous", old, new}
    assert (there.versions / "previous").readlink().name == old
    there.deliver("\nNEXT = 2\n")
    assert there.take_over("--insist").returncode == 0
    assert there.names() == {"delivered", "current", "previous", new, there.serves()}


def test_the_same_again_and_back_again(there: Installation) -> None:
    first = there.serves()
    assert there.take_over().stderr == ""
    there.deliver("\nNEXT = 1\n")
    assert there.take_over("--insist").returncode == 0
    there.deliver()
    assert there.take_over("--insist").returncode == 0
    assert there.serves() == first


@pytest.mark.parametrize(
    ("defect", "into", "said"),
    [
        pytest.param("\ndef broken(:\n", "lib/backstay/agents/domain_stop.py", "domain_stop", marks=LONG),
        pytest.param(
            "\nmodes_of = lambda _words: misspelt\n",
            "lib/backstay/agents/domain_stop.py",
            "misspelt",
            marks=LONG,
        ),
        pytest.param(
            "\nstop = lambda *_: None.code\n",
            "lib/backstay/agents/domain_stop.py",
            "domain stop",
            marks=LONG,
        ),
        ("\nimport nowhere\n", "lib/backstay/cli/agents.py", "the check itself cannot run"),
        pytest.param("\nBROKEN = (\n", "agents/libvirtd", "libvirtd cannot be compiled", marks=LONG),
        ("\nbring = lambda *_: None.power\n", "lib/backstay/fencing/actions.py", "fence_backstay_ipmi"),
        pytest.param(
            "\nsubject = lambda letter: letter.nothing\n",
            "lib/backstay/alerts/telling.py",
            "has no attribute 'nothing'",
            marks=LONG,
        ),
        pytest.param("\nimport nowhere\n", "libexec/alert", "alert", marks=LONG),
        pytest.param(
            "\nhandle = lambda *_: 0\n", "lib/backstay/agents/drbd_fence.py", "drbd-fence ends", marks=LONG
        ),
    ],
)
def test_a_broken_version_is_refused(there: Installation, defect: str, into: str, said: str) -> None:
    old = there.serves()
    there.deliver(defect, into=into)
    done = there.take_over()
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert said in there.refused()
    assert there.serves() == old
    assert there.names() == {"delivered", "current", old}
    there.deliver()
    assert there.take_over().returncode == 0
    assert there.refused() == ""


def test_what_began_in_the_old_version_never_sees_the_new_one(there: Installation) -> None:
    program = there.versions / "current/agents/slow"
    program.write_text(
        f"#!/usr/bin/python3 -IS\n{(there.versions / 'current/agents/domain').read_text().split('from backstay', 1)[0]}"
        "import backstay; print(backstay.__file__, flush=True); sys.stdin.read()\n"
        "import backstay.agents.domain_stop as late; print(late.__file__, hasattr(late, 'NEXT'))\n"
    )
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        old = Path(process.stdout.readline().strip()).parents[2].name
        there.deliver("\nNEXT = 1\n")
        assert there.take_over("--insist").returncode == 0
        rest, _ = process.communicate(timeout=20)
    assert there.serves() != old
    assert rest.split() == [f"{there.versions}/{old}/lib/backstay/agents/domain_stop.py", "False"]


def test_a_served_version_that_somebody_changed_is_replaced(there: Installation) -> None:
    old = there.serves()
    with (there.versions / old / "lib/backstay/agents/domain_stop.py").open("a") as module:
        module.write("\nBROKEN = (\n")
    done = there.take_over("--insist")
    assert done.returncode == 0
    assert "was changed by somebody" in done.stderr
    assert there.serves() != old
    assert os.access(there.versions / "current/agents/domain", os.X_OK)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(("--force",), 2, "take-over knows --insist, not --force"), ((), 3, "there is no /")],
)
def test_what_cannot_be_taken_over_is_said(
    repository: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = Installation(repository, tmp_path).take_over(*words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--help",), 0, "--insist"),
        (("--force",), 2, "No such option: --force"),
        ((), 3, "there is no version to switch to"),
        (("--insist",), 3, "there is no version to switch to"),
    ],
)
def test_the_command_that_switches_says_what_it_is(
    repository: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    """Where nothing was delivered (no package of Backstay is installed)."""
    argv = [repository / "bin/backstay", "agents", "switch", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr
