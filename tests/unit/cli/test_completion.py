# SPDX-License-Identifier: GPL-2.0-or-later
"""What a shell is told after Tab: verbs, options, files, and the names of the cluster or of what stands on the line."""

from __future__ import annotations

import os

import click
import pytest

from backstay import cli
from backstay.cli import completion, known_names
from backstay.errors import CannotAsk
from backstay.host.process import Completed

DESCRIPTION = """
hosts: {n1: {}, n2: {}}
devices: {pdu: {}}
storage: {vm: {}, one: {type: drbd}, two: {type: drbd, resource: home}, odd: no}
domains: {web1: {drbd: {}}, web2: {drbd: {resource: other}}, web3: {drbd: no}}
"""
CIB = b"""<cib><configuration><nodes><node id="1" uname="a1"/><node id="2" uname="a2"/></nodes><resources>
<primitive id="fence-a1" class="stonith" type="fence_backstay_ipmi"/>
<clone id="libvirtd-clone"><primitive id="libvirtd" class="ocf" provider="backstay" type="libvirtd"/></clone>
<primitive id="db" class="ocf" provider="backstay" type="domain"/>
<primitive id="old" class="ocf" provider="heartbeat" type="VirtualDomain"/>
<clone id="c"><primitive id="d" class="ocf" provider="backstay" type="drbd"><instance_attributes id="i">
<nvpair id="p" name="drbd_resource" value="mail1"/></instance_attributes></primitive></clone>
<primitive id="far" class="ocf" provider="pacemaker" type="remote"/>
</resources></configuration></cib>"""


@pytest.fixture(autouse=True)
def cluster(monkeypatch):
    """A cluster that answers with CIB; the returned list has what was asked."""
    asked = []

    def run(argv, *, timeout, environment, stdin):
        asked.append((argv, timeout))
        return Completed(argv, 0, CIB.decode(), "")

    monkeypatch.setattr(known_names, "run", run)
    return asked


@pytest.fixture
def tab(monkeypatch, capsys):
    """`tab("fence", "dr")` gives what bash would be told with the cursor behind the last word."""

    def ask(*words, shell="bash"):
        line = ["backstay", *words]
        monkeypatch.setenv("_BACKSTAY_COMPLETE", f"{shell}_complete")
        monkeypatch.setenv("COMP_WORDS", "\n".join(line))
        monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
        with pytest.raises(SystemExit) as ended:
            cli.main([])
        out, err = capsys.readouterr()
        assert err == ""
        return ended.value.code, [line.partition(",")[2] for line in out.splitlines() if line.strip()]

    return ask


def test_verbs_options_and_choices(tab):
    assert tab("ren") == (0, ["render"])
    assert tab("fence", "") == (0, ["check", "drill", "rotate"])
    assert "--allow-stop" in tab("fence", "drill", "--a")[1]
    assert tab("plan", "--output", "") == (0, ["text", "json"])


def test_hosts_and_devices_of_the_cluster_that_answers_at_once(tab, cluster):
    assert tab("fence", "drill", "") == (0, ["a1", "a2", "far"])
    assert tab("fence", "check", "--accept", "a2") == (0, ["a2"])
    assert tab("fence", "rotate", "--device", "") == (0, ["fence-a1"])
    assert {tuple(argv) for argv, _ in cluster} == {("cibadmin", "--query")}
    assert all(timeout <= known_names.PATIENCE for _, timeout in cluster)


def test_what_stands_on_the_line_is_asked_before_the_cluster(tab, cluster, tmp_path):
    description, cib = tmp_path / "c.yaml", tmp_path / "c.xml"
    description.write_text(DESCRIPTION)
    cib.write_bytes(CIB.replace(b"a1", b"x1"))
    assert tab("fence", "check", "--cib", str(description), "--accept", "") == (0, ["n1", "n2"])
    assert tab("fence", "check", "--cib", str(tmp_path), "--accept", "") == (0, ["n1", "n2"])
    assert tab("fence", "check", "--cib", str(cib), "--accept", "x") == (0, ["x1"])
    assert cluster == []


def test_what_would_keep_the_shell_waiting_or_end_it_has_no_names(tab, cluster, tmp_path):
    """A pipe to which nobody writes, a file without an end, lists without end in one another."""
    (tmp_path / "cloud.d").mkdir()
    os.mkfifo(tmp_path / "cloud.d" / "a.yaml")
    (tmp_path / "b.xml").symlink_to("/dev/zero")
    (tmp_path / "cloud.d" / ".b.yaml").write_text("hosts: {gone: {}}")
    (tmp_path / "c.yaml").write_bytes(b"[" * 200_000)
    with (tmp_path / "d.xml").open("wb") as file:
        file.truncate(known_names.LARGEST + 1)
    for name in ("cloud.d", "b.xml", "d.xml"):
        assert tab("fence", "check", "--cib", str(tmp_path / name), "--accept", "") == (
            0,
            ["a1", "a2", "far"],
        )
    assert tab("fence", "check", "--cib", str(tmp_path / "c.yaml"), "--accept", "") == (0, [])


def test_names_of_every_kind():
    assert known_names.of_description([DESCRIPTION.encode(), b"a: [", b"- 1"]) == known_names.Names(
        ("n1", "n2"),
        ("web1", "web2", "web3"),
        ("web1", "web2", "web3", "vm", "one", "two", "odd"),
        ("pdu",),
        ("web1", "other", "one", "home"),
    )
    assert known_names.of_cib(CIB) == known_names.Names(
        ("a1", "a2", "far"),
        ("db", "old"),
        ("libvirtd-clone", "libvirtd", "db", "old", "c", "d", "far"),
        ("fence-a1",),
        ("mail1",),
    )
    assert known_names.of_cib(b"<cib") == known_names.Names()


@pytest.mark.parametrize(
    ("called", "wanted"),
    [
        ("HOST", ["a1", "a2", "far"]),
        ("DOMAIN", ["db", "old"]),
        ("RESOURCE", ["libvirtd-clone", "libvirtd", "db", "old", "c", "d", "far"]),
        ("MIRROR", ["mail1"]),
        ("DEVICE", ["fence-a1"]),
        ("FILE", [""]),
    ],
)
def test_a_new_verb_is_completed_by_what_its_arguments_are_called(called, wanted):
    for parameter in (click.Argument([called.lower()]), click.Option(["--for"], metavar=called)):
        items = completion.possible(parameter, [], "")
        assert [item.value for item in items] == wanted
        assert {item.type for item in items} == {"file" if called == "FILE" else "plain"}
    assert completion.possible(click.Option(["--n"], metavar=called, type=int), [], "") is None
    assert completion.possible(click.Argument(["unheard"]), [], "") is None


def test_templates_and_what_they_take(tab):
    assert "nfs" in tab("render", "--template", "nf")[1]
    assert {"name=", "server=", "export="} <= set(tab("render", "--template", "nfs", "--set", "")[1])
    assert tab("render", "--template", "nfs", "--set", "ser") == (0, ["server="])
    # bash has a word of its own for the equals sign, and wants what stands behind it.
    assert tab("render", "--template", "nfs", "--set", "hosts", "=", "a") == (0, ["a1", "a2"])
    assert tab("render", "--template", "nfs", "--set", "hosts=a", shell="fish") == (
        0,
        ["hosts=a1", "hosts=a2"],
    )
    assert tab("render", "--template", "none", "--set", "") == (0, [])


def test_faults_and_stories_of_the_lab(tab):
    assert "cut-power" in tab("lab", "fault", "cut")[1]
    assert "hung" in tab("lab", "demo", "--story", "hu")[1]


def test_a_cluster_that_does_not_answer_has_no_names_and_says_nothing(tab, monkeypatch):
    def silent(*_words, **_how):
        raise CannotAsk("nobody is there")

    monkeypatch.setattr(known_names, "run", silent)
    assert tab("fence", "drill", "") == (0, [])


def test_nothing_is_said_whatever_goes_wrong(tab, monkeypatch):
    monkeypatch.setattr(completion, "answer", lambda _cli: 1 / 0)
    assert tab("fence", "") == (cli.INTERNAL, [])
    monkeypatch.undo()


def test_an_unknown_shell_is_told_nothing(tab):
    assert tab("fence", "", shell="tcsh") == (1, [])
