# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay render` and the description half of `backstay validate`: no cluster, no process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from backstay.errors import BadInput, CannotAsk
from backstay.host.output import write_atomically


@pytest.fixture
def example(repository):
    """The example's file."""
    return repository / "examples" / "three-hosts.yaml"


def test_render_writes_what_is_recorded(backstay, example, golden):
    code, out, err = backstay("render", example)
    assert (code, err) == (0, "")
    golden("three-hosts.xml", out)


def test_render_explains(backstay, example, golden):
    golden("three-hosts-explained.xml", backstay("render", "--explain", example)[1])


def test_render_writes_a_file(backstay, example, tmp_path, golden):
    out = tmp_path / "cib.xml"
    assert backstay("render", example, "-o", out) == (0, "", f"wrote {out}\n")
    golden("three-hosts.xml", out.read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["cib.xml"]


def test_render_speaks_json(backstay, example, golden):
    said = json.loads(backstay("render", "--output", "json", example)[1])
    assert (said["hosts"], said["domains"], said["out"]) == (3, 6, None)
    golden("three-hosts.xml", said["cib"])


def test_render_reads_stdin(backstay, example, monkeypatch, golden):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(example.read_bytes())))
    golden("three-hosts.xml", backstay("render", "-")[1])


def test_templates_of_ones_own_come_first(backstay, example, tmp_path):
    (tmp_path / "libvirtd.xml").write_text(
        '<configuration><resources><clone id="libvirtd-clone"><meta_attributes id="backstay-metas-x"/>'
        '<primitive id="libvirtd" class="systemd" type="libvirtd"/></clone></resources></configuration>'
    )
    code, out, _ = backstay("render", "--templates", tmp_path, example)
    assert code == 0
    assert 'class="systemd" type="libvirtd"' in out
    assert 'provider="backstay" type="domain"' in out


@pytest.mark.parametrize("verb", ["render", "validate"])
def test_a_broken_description_ends_with_2_and_all_its_problems(backstay, tmp_path, verb):
    file = tmp_path / "c.yaml"
    file.write_text("cluster: {nam: x}\nhosts: {}\n")
    code, out, err = backstay(verb, file)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"backstay: {file} cannot be used: 4 problems:",
        f"{file}:1:1: found a cloud description without `domains` or `frontend`, expected the key `domains` or `frontend`",
        f"{file}:1:10: found `cluster` without `name`, expected the key `name`",
        f"{file}:1:11: found the key `nam` in `cluster`, expected one of name, hypervisor, migration, libvirtd"
        " (did you mean `name`?)",
        f"{file}:2:8: found no hosts, expected at least one host",
        "  hint: mend the file and run the same command again",
    ]


def test_validate_gives_problems_as_json(backstay, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("cluster: {nmae: x}\nhosts: {}\n")
    code, out, _ = backstay("validate", "--output", "json", file)
    said = json.loads(out)
    assert code == 2
    assert (said["kind"], said["good"], len(said["problems"])) == ("description", False, 4)
    assert said["problems"][2] == {
        "position": {"line": 1, "column": 11},
        "found": "the key `nmae` in `cluster`",
        "expected": "one of name, hypervisor, migration, libvirtd",
        "nearest": "name",
        "file": str(file),
    }


@pytest.mark.parametrize("verb", ["render", "validate", "apply"])
def test_a_file_that_is_not_there_ends_with_2(backstay, tmp_path, verb):
    code, _, err = backstay(verb, f"{tmp_path}/no/c.yaml")
    assert code == 2
    assert err == (
        f"backstay: there is no file {tmp_path}/no/c.yaml\n"
        f"  hint: there is no directory {tmp_path}/no either; name an existing file, or - for stdin\n"
    )


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_atomically(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)


def test_a_new_file_can_be_read_by_all(tmp_path):
    write_atomically(tmp_path / "f", b"")
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644


def test_a_link_is_followed_not_replaced(tmp_path):
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("place", "said"),
    [("absent/f", "No such file"), ("", "not a regular file"), ("/dev/null", "not a regular file")],
)
def test_what_cannot_be_written_is_bad_input(tmp_path, place, said):
    with pytest.raises(BadInput, match=said):
        write_atomically(tmp_path / place, b"x")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CannotAsk, match="is as it was: No space left") as caught:
        write_atomically(path, b"new")
    assert "make room" in caught.value.hint
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_render_fills_a_directory(backstay, repository, tmp_path, golden):
    code, out, err = backstay(
        "render", repository / "examples" / "three-hosts.yaml", "--directory", tmp_path / "new" / "out"
    )
    assert (code, out) == (0, "")
    made = {
        str(path.relative_to(tmp_path / "new" / "out"))
        for path in (tmp_path / "new").rglob("*")
        if path.is_file()
    }
    assert made == {"cib.xml", "corosync.conf", "systemd/resource-agents-deps.target.d/backstay-cloud.conf"}
    assert err.count("it belongs to") == len(made)
    golden("three-hosts.xml", (tmp_path / "new" / "out" / "cib.xml").read_text())
    golden("three-hosts/corosync.conf", (tmp_path / "new" / "out" / "corosync.conf").read_text())
    said = json.loads(
        backstay(
            "render",
            repository / "examples" / "three-hosts.yaml",
            "--directory",
            tmp_path / "x",
            "--output",
            "json",
        )[1]
    )
    assert {Path(file["file"]).name for file in said["files"]} == {Path(name).name for name in made}


def test_a_directory_is_for_a_description_alone(backstay, repository, tmp_path):
    code, _, err = backstay("render", "--template", "libvirtd", "--directory", tmp_path)
    assert code == 2
    assert "--directory takes a description FILE" in err


def test_a_directory_of_files_is_one_description(backstay, example, tmp_path, golden):
    head, _, domains = example.read_text().partition("\ndomains:\n")
    (tmp_path / "1.yaml").write_text(head)
    (tmp_path / "2.yaml").write_text("domains:\n" + domains)
    golden("three-hosts.xml", backstay("render", tmp_path)[1])


def test_a_definition_on_this_machine_is_read(backstay, tmp_path):
    (tmp_path / "web1.xml").write_text(
        "<domain><name>web1</name><memory unit='GiB'>3</memory><vcpu>2</vcpu></domain>"
    )
    file = tmp_path / "c.yaml"
    file.write_text(
        "cluster: {name: c}\nhosts: {n1: {address: 10.0.0.1, bmc: {address: 10.0.0.2, username: f, password_file: /p}}}\n"
        f"domains: {{web1: {{config: {tmp_path}/web1.xml}}}}\n"
    )
    code, out, _ = backstay("render", file)
    assert code == 0
    assert 'name="memory" value="3072"' in out
    file.write_text(file.read_text().replace("}}\n", ", vcpus: 4}}\n").replace("/p, vcpus: 4", "/p"))
    code, _, err = backstay("render", file)
    assert code == 2
    assert "found `4` for `vcpus` of `web1`, expected `2`, as" in err


def test_the_schema_is_shown_and_written(backstay, tmp_path, repository):
    shipped = (repository / "share" / "cloud.schema.json").read_text()
    assert backstay("schema")[1] == shipped
    assert backstay("schema", "-o", tmp_path / "s.json")[0] == 0
    assert (tmp_path / "s.json").read_text() == shipped
