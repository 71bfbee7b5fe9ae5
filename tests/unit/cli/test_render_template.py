# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay render` without a description: --template, --list and --describe."""

from __future__ import annotations

import json

import pytest

from backstay.cib import templates

WEB = ("--template", "domain", "--set", "name=web1", "--set", "config=/srv/web1.xml")


def test_a_snippet_goes_to_stdout(backstay):
    code, out, err = backstay("render", *WEB)
    assert (code, err) == (0, "")
    # crmsh loads nothing that begins with an XML declaration.
    assert out.startswith("<cib>\n  <configuration>\n")


def test_a_snippet_goes_into_a_cib(backstay, tmp_path):
    (tmp_path / "cib.xml").write_text('<cib validate-with="pacemaker-3.9"><configuration/></cib>')
    out = tmp_path / "new.xml"
    assert backstay("render", *WEB, "--into", tmp_path / "cib.xml", "-o", out)[0] == 0
    assert out.read_text().count('<primitive id="web1"') == 1


def test_what_is_no_cib_is_refused(backstay, tmp_path):
    (tmp_path / "cib.xml").write_text("<configuration/>")
    code, _, err = backstay("render", *WEB, "--into", tmp_path / "cib.xml")
    assert code == 2
    assert "cib.xml has the root <configuration>, expected a whole CIB" in err


def test_a_cib_with_an_old_schema_is_called_by_its_name(backstay, tmp_path):
    path = tmp_path / "cib.xml"
    path.write_text('<cib validate-with="pacemaker-3.2"><configuration/></cib>')
    code, _, err = backstay("render", *WEB, "--into", path)
    assert code == 4
    assert f"{path} uses the schema pacemaker-3.2, and" in err
    assert f"hint: CIB_file={path} cibadmin --upgrade" in err


def test_a_snippet_in_the_words_of_the_crm_shell(backstay):
    code, out, _ = backstay("render", "--template", "properties", "--set", "two_hosts=yes", "--for", "crmsh")
    assert code == 0
    assert out.startswith('property $id="cib-bootstrap-options" stonith-enabled="true" ')


def test_cluster_scripts_are_written(backstay, tmp_path, repository):
    code, out, err = backstay("render", "--crmsh-scripts", tmp_path / "scripts")
    assert (code, out) == (0, "")
    written = {path.name for path in (tmp_path / "scripts").iterdir()}
    assert written == {path.name for path in (repository / "crm-scripts").iterdir()}
    assert len(err.splitlines()) == len(written)


def test_explain_keeps_the_reasons(backstay):
    assert "<!--" in backstay("render", *WEB, "--explain")[1]
    assert "<!--" not in backstay("render", *WEB)[1]


def test_list_says_whose_each_template_is(backstay, tmp_path, monkeypatch):
    (tmp_path / "domain.xml").write_text("<!-- template\nsummary: Mine.\n-->\n<configuration/>")
    monkeypatch.setattr(templates, "ADMINS", tmp_path)
    monkeypatch.setattr("backstay.cli.render_template.ADMINS", tmp_path)
    code, out, _ = backstay("render", "--list")
    assert code == 0
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if not line.startswith(" ")}
    assert rows["domain"] == ["yours", "Mine."]
    assert rows["libvirtd"][0] == "shipped"
    assert max(map(len, out.splitlines())) <= 80


def test_describe_names_every_value_that_is_taken(backstay):
    code, out, _ = backstay("render", "--describe", "fencing")
    said = json.loads(backstay("render", "--output", "json", "--describe", "fencing")[1])
    assert code == 0
    assert [value["name"] for value in said["takes"]][:3] == ["host", "protocol", "address"]
    assert all(f"  {value['name']}: " in out for value in said["takes"])
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--list, --describe, --crmsh-scripts is needed, and none of them was given"),
        (("a.yaml", "--list"), "and FILE and --list was given"),
        (("--list", "--set", "a=b"), "--set, --into and --for belong to --template"),
        (("--list", "--for", "crmsh"), "--set, --into and --for belong to --template"),
        ((*WEB, "--for", "crmsh", "--explain"), "--into and --explain are for XML"),
        (("--template", "domain", "--set", "name"), "found `name` for --set, expected NAME=VALUE"),
        (("--template", "domain", "--set", "a=1", "--set", "a=2"), "--set gives `a` twice"),
        (("--template", "domian"), "did you mean domain?"),
        (("--describe", "../etc/passwd"), "there is no template"),
        (("--template", "domain", "--set", "name=web1"), "the template domain needs `config`"),
    ],
)
def test_wrong_usage_ends_with_2(backstay, words, said):
    code, out, err = backstay("render", *words)
    assert (code, out) == (2, "")
    assert said in err
