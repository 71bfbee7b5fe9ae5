# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay plan` and `backstay apply` with Pacemaker's real tools and a CIB file as the cluster: what is loaded, what is
refused, and that nothing was changed then.
"""

from __future__ import annotations

import io
import json
import subprocess

import pytest
from lxml import etree

from backstay.cib.difference import ADDED
from backstay.host.checkpoints import Checkpoints
from backstay.host.pacemaker import Pacemaker
from backstay.plan import planned


@pytest.fixture
def loaded(here, file, cluster, tmp_path):
    """The cluster after the example was loaded into it."""
    assert here("plan", file, "--out", tmp_path / "plan")[0] == 0
    cluster.write_text(planned.read((tmp_path / "plan").read_bytes(), "plan").after)
    return cluster


def test_a_plan_says_what_it_touches_and_changes_nothing(here, file, cluster):
    before = cluster.read_bytes()
    code, out, _ = here("plan", "--output", "json", file)
    added = {one["name"] for one in json.loads(out)["changes"] if one["verb"] == ADDED}
    assert (code, {"fence-n1", "libvirtd-clone", "db1", "mail2"} <= added) == (0, True)
    assert cluster.read_bytes() == before


def test_what_is_loaded_already_is_not_loaded_again(here, file, loaded):
    assert len(etree.parse(str(loaded)).findall(".//resources/*")) == 10
    before = loaded.read_bytes()
    code, out, err = here("apply", file)
    assert (code, out, err) == (0, "Nothing was loaded.\n", "cluster backstay-lab: nothing changes.\n")
    assert loaded.read_bytes() == before
    code, out, _ = here("validate")
    assert (code, out.partition(":")[0]) == (0, "the live configuration is a good CIB")


def test_what_is_no_longer_described_is_removed_only_on_request(here, file, loaded, tmp_path):
    before = loaded.read_bytes()
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(file.read_text().partition("  mail2:")[0])
    code, out, err = here("apply", "--yes", fewer)
    assert (code, out) == (4, "")
    assert "no longer has mail2" in err
    assert loaded.read_bytes() == before


@pytest.fixture
def acting(cluster, need, monkeypatch, tmp_path):
    """Pacemaker's scheduler acts on the CIB file whenever somebody waits for it; what ran each time is given."""
    simulate, seen = need("crm_simulate"), []

    def settled(_self, _seconds):
        argv = [simulate, "--simulate", "--xml-file", cluster, "--save-output", cluster]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        seen.append(done.stdout.partition("Executing Cluster Transition:")[2].partition("Revised")[0])
        return True

    monkeypatch.setattr(Pacemaker, "settled", settled)
    monkeypatch.setattr(Pacemaker, "fencings", lambda _self: frozenset())
    monkeypatch.setattr(Checkpoints.__init__, "__defaults__", (tmp_path / "checkpoints",))
    return seen


def test_what_is_removed_is_stopped_before_it_goes(here, file, loaded, acting, tmp_path):
    """Taken out while it runs it would have 20 s to stop, whatever its own timeout is."""
    Pacemaker().settled(1.0)
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(file.read_text().partition("  mail2:")[0])
    code, out, err = here("apply", "--yes", "--remove", "--output", "json", fewer)
    assert (code, json.loads(out)["left"]) == (0, []), err
    assert [line for line in acting[1].splitlines() if "mail2" in line and "stop" in line]
    assert not [line for line in acting[1].splitlines() if "mail2" in line and "delete" in line]
    assert not etree.parse(str(loaded)).findall(".//configuration/resources/*[@id='mail2']")
    assert b"parting" not in loaded.read_bytes()
    assert here("apply", "--yes", "--remove", fewer)[1] == "Nothing was loaded.\n"


def test_what_does_not_stop_is_not_taken_out(here, file, loaded, acting, monkeypatch, tmp_path):
    Pacemaker().settled(1.0)
    monkeypatch.setattr(Pacemaker, "settled", lambda _self, _seconds: True)
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(file.read_text().partition("  mail2:")[0])
    code, out, _ = here("apply", "--yes", "--remove", fewer)
    assert code == 1
    assert "not down, and so not taken out yet: mail2" in out
    assert etree.parse(str(loaded)).findall(".//configuration/resources/*[@id='mail2']")


def test_a_plan_that_is_too_late_is_not_loaded_and_leaves_no_checkpoint(
    here, file, cluster, acting, tmp_path
):
    assert here("plan", file, "--out", tmp_path / "plan")[0] == 0
    cluster.write_text(cluster.read_text().replace(' epoch="5"', ' epoch="6"'))
    before = cluster.read_bytes()
    code, _, err = here("apply", "--yes", tmp_path / "plan")
    assert code == 4
    assert "has moved, nothing was loaded" in err
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert (cluster.read_bytes(), acting) == (before, [])


def elsewhere(file, tmp_path):
    """The description with web1's definition in another place: web1 has to be restarted for it."""
    text = file.read_text()
    assert "/srv/vm/domains/web1.xml" in text
    path = tmp_path / "elsewhere.yaml"
    path.write_text(text.replace("/srv/vm/domains/web1.xml", "/srv/vm/domains/other.xml"))
    return path


def test_an_old_plan_is_judged_by_what_runs_now(here, file, loaded, acting, tmp_path):
    """It was made while nothing ran, and would restart what runs by now."""
    assert here("plan", elsewhere(file, tmp_path), "--out", tmp_path / "plan")[0] == 0
    Pacemaker().settled(1.0)
    before = loaded.read_bytes()
    code, _, err = here("apply", "--yes", tmp_path / "plan")
    assert (code, "applying it would hurt: web1 stops and starts again" in err) == (4, True), err
    assert loaded.read_bytes() == before
    code, out, err = here("apply", "--yes", "--allow-stop", "--output", "json", tmp_path / "plan")
    said = json.loads(out)
    # What started before it was applied is nothing that applying it did.
    assert ({step["subject"] for step in said["happened"]}, said["surprising"]) == ({"web1"}, []), err


def test_what_happens_while_somebody_is_asked_counts(here, file, loaded, acting, monkeypatch, tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def agreed(_text, err):
        Pacemaker().settled(1.0)
        agreed.before = loaded.read_bytes()
        return err

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("click.confirm", agreed)
    code, _, err = here("apply", elsewhere(file, tmp_path))
    assert (code, "while you were asked something changed" in err) == (4, True), err
    assert "web1 stops and starts again" in err
    assert loaded.read_bytes() == agreed.before


@pytest.mark.parametrize("edit", [("  n3:", "  n4:"), None])
def test_a_host_of_the_cluster_does_not_lose_its_last_fence_device(here, file, loaded, tmp_path, edit):
    """Misspelt, or left out: it is in the cluster all the same, and its guests come back only after its fencing."""
    text = file.read_text()
    if edit:
        assert edit[0] in text
        text = text.replace(*edit)
    else:
        begin = text.index("  n3:")
        text = text[:begin] + text[text.index("\ndomains:", begin) + 1 :]
    other, before = tmp_path / "other.yaml", loaded.read_bytes()
    other.write_text(text)
    code, out, _ = here("plan", other)
    assert (code, "! nothing could fence n3 any more" in out) == (1, True)
    for more in ([], ["--remove"]):
        code, _, err = here("apply", "--yes", *more, other)
        assert (code, "n3 is in the cluster, and after this nothing could fence it" in err) == (4, True), err
        assert "backstay host remove n3" in err
        assert loaded.read_bytes() == before
    code, _, err = here("apply", "--yes", "--remove", "--allow-stop", other)
    # It goes on, and asks a fencer that is not there what was fenced before.
    assert (code, "after this nothing could fence it" in err, "the fencer" in err) == (3, False, True), err


def test_nothing_is_loaded_when_nobody_can_be_asked(here, file, cluster, monkeypatch):
    before = cluster.read_bytes()
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = here("apply", file)
    assert code == 4
    assert "add --yes in scripts" in err
    assert cluster.read_bytes() == before


def test_another_cluster_is_refused(here, file, cluster, tmp_path):
    before = cluster.read_bytes()
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text().replace("name: backstay-lab", "name: elsewhere"))
    code, _, err = here("apply", "--yes", other)
    assert code == 4
    assert "for the cluster elsewhere, the live configuration is that of backstay-lab" in err
    assert cluster.read_bytes() == before


def test_a_plan_for_another_cluster_is_refused(here, file, cluster, tmp_path):
    assert here("plan", file, "--out", tmp_path / "plan")[0] == 0
    cluster.write_text(cluster.read_text().replace('value="backstay-lab"', 'value="production"'))
    before = cluster.read_bytes()
    code, _, err = here("apply", "--yes", "--allow-stop", "--remove", tmp_path / "plan")
    assert code == 4
    assert "the plan is for the cluster backstay-lab, this one is production" in err
    assert cluster.read_bytes() == before


def test_a_configuration_that_would_be_invalid_is_not_loaded(here, file, cluster, tmp_path):
    before = cluster.read_bytes()
    place = tmp_path / "mine"
    place.mkdir()
    (place / "fencing.xml").write_text("<configuration/>")
    code, _, err = here("apply", "--yes", "--templates", place, file)
    assert code == 1
    assert "the configuration that would be loaded is not valid" in err
    assert cluster.read_bytes() == before


def test_a_live_configuration_is_asked_whether_it_fits_a_newer_schema(here, loaded):
    before = loaded.read_bytes()
    code, out, _ = here("validate", "--validate-with", "pacemaker-3.8")
    assert (code, "neither the schema pacemaker-3.8 nor" in out) == (0, True)
    assert loaded.read_bytes() == before
