# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verb where there is no cluster, and with nonsense: one clear sentence, what to do, its exit code, nothing changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backstay.plan.planned import Plan, write
from backstay.plan.prediction import Prediction

NOBODY = "65534"
# Its own /var/lib/backstay and /run/backstay, a directory without room, and no Pacemaker that could be asked.
ROOM = """
mkdir -p /run/backstay /var/lib/backstay
mount -t tmpfs none /run/backstay; mount -t tmpfs none /var/lib/backstay
mkdir -p full; mount -t tmpfs -o size=64k none full; head -c 100000 /dev/zero >full/fill 2>/dev/null || true
rc=0; "$@" || rc=$?
find /var/lib/backstay full -type f ! -name fill >left
exit $rc
"""
CIB = (
    '<cib admin_epoch="0" epoch="5" num_updates="0" validate-with="pacemaker-3.9"><configuration><crm_config/><nodes/>'
    "<resources/><constraints/></configuration><status/></cib>"
)


@pytest.fixture
def naive(need, repository, tmp_path):
    """`naive(words)` is what somebody types in a directory of strange files; what it leaves behind stands in `left`."""
    need("cibadmin", "crm_verify", "unshare", "setpriv")
    (tmp_path / "cloud.yaml").write_bytes((repository / "examples/three-hosts.yaml").read_bytes())
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "binary").write_bytes(Path("/bin/true").read_bytes())
    (tmp_path / "directory").mkdir()
    (tmp_path / "secret.yaml").touch(mode=0o600)
    (tmp_path / "live.xml").write_text(CIB)
    after = CIB.replace("<resources/>", '<resources><primitive id="a" class="ocf" type="Dummy"/></resources>')
    made = Plan("backstay-lab", CIB, after, Prediction((), (), (), frozenset()))
    (tmp_path / "plan.json").write_bytes(write(made))
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)

    def type_(words, *before):
        argv = [*before, sys.executable, "-m", "backstay", *words]
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-euc", ROOM, "sh", *argv],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(repository / "lib"), "LC_ALL": "C.UTF-8"},
            cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return type_


def said(done, code, sentence):
    """Fails unless it is one sentence with a hint, and that exit code."""
    first, _, rest = done.stderr.rpartition("backstay: ")[2].partition("\n")
    assert done.returncode == code, done.stdout + done.stderr
    assert sentence in first, done.stderr
    assert rest.lstrip().startswith("hint: "), done.stderr
    assert "Traceback" not in done.stderr
    assert "Init failed" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "plan cloud.yaml", "apply cloud.yaml --yes", "apply plan.json --yes --allow-stop", "validate", "fence check",
        "fence drill n2 --yes", "host replace n2 --cloud cloud.yaml", "recover", "recover n2 --confirm-dead",
    ],
)  # fmt: skip
def test_where_no_cluster_is_every_verb_says_so_and_leaves_nothing(naive, tmp_path, words):
    done = naive(words.split())
    said(done, 3, "the cluster on this host does not answer")
    assert "where Pacemaker runs" in done.stderr
    assert [line for line in (tmp_path / "left").read_text().splitlines() if "checkpoint" in line] == []


NONSENSE = [
    ("validate /no/such", 2, "there is no file /no/such", "no directory /no either"),
    ("validate cluod.yaml", 2, "there is no file cluod.yaml", "did you mean cloud.yaml?"),
    ("validate empty.yaml", 2, "empty.yaml cannot be used", ""),
    ("plan empty.yaml", 2, "empty.yaml cannot be used", ""),
    ("apply empty.yaml --yes", 2, "empty.yaml cannot be used", ""),
    ("plan binary", 2, "binary cannot be used", ""),
    ("apply directory", 2, "directory has no *.yaml file", ""),
    ("plan cloud.yaml --cib directory", 2, "directory is a directory", "name a file in it"),
    ("plan cloud.yaml --cib binary", 2, "not well-formed XML", ""),
    ("host add n9", 2, "there is no cloud description /etc/backstay/cloud.yaml", "--cloud"),
    ("rollback nosuch", 2, "there is no checkpoint nosuch", ""),
    ("render cloud.yaml -o full/x.xml", 3, "full/x.xml could not be written, and is as it was", "make room"),
    (
        "render cloud.yaml --directory full",
        3,
        "full/cib.xml could not be written, and is as it was",
        "make room",
    ),
    ("plan cloud.yaml --cib live.xml -o full/p", 3, "full/p could not be written", "make room"),
]


@pytest.mark.parametrize(("words", "code", "sentence", "hint"), NONSENSE)
def test_nonsense_is_told_in_one_sentence(naive, tmp_path, words, code, sentence, hint):
    done = naive(words.split())
    assert sentence in done.stderr, done.stderr
    assert hint in done.stderr, done.stderr
    assert done.returncode == code
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "left").read_text() == ""


def test_an_empty_name_is_no_directory(naive):
    for verb in ("validate", "plan", "apply"):
        said(naive([verb, ""]), 2, "the name of the file is empty")


def test_who_may_not_read_something_is_told_who_may(naive):
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    said(naive(["validate", "secret.yaml"], *become), 2, "secret.yaml may not be read by nobody")
    kept = ("sh", "-c", 'mkdir -m 700 /var/lib/backstay/checkpoints; exec "$@"', "sh")
    said(
        naive(["rollback"], *kept, *become),
        3,
        "the checkpoints in /var/lib/backstay/checkpoints cannot be read",
    )
