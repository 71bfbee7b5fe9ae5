# SPDX-License-Identifier: GPL-2.0-or-later
"""The metrics through Debian's own node exporter and Prometheus: nothing is objected to, everything asked for is found.

Grafana is no package of Debian: what its dashboard asks is asked of Prometheus here, the drawing is not seen.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.cli import exposition, fence_metrics
from backstay.cli.metrics_facts import gauges
from backstay.fencing.drill_marks import Record
from backstay.host.clock import Deadline, NotYet, until
from tests.unit.cli.test_metrics import FACTS, REPORT

REPOSITORY = Path(__file__).resolve().parents[3]
STARTING = 90.0  # seconds; seen: two
EXPORTER = ("--collector.disable-defaults", "--collector.textfile")
SCRAPING = """global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: hosts
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
DRILLS = [Record("n2", 900.0, "n1", "fence-n2", 2.4, 41.0)]


@pytest.fixture(scope="module")
def tools(fetched) -> Path:
    """Where Prometheus' programs lie."""
    return Path(fetched("promtool", "prometheus", "prometheus-node-exporter")).parent


def texts() -> dict[str, str]:
    """Both files as they are written where everything is told; and what this machine itself says of itself."""
    command = [REPOSITORY / "bin/backstay", "metrics"]
    own = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return {
        "backstay.prom": exposition.text(gauges(FACTS)),
        "backstay-fence.prom": fence_metrics.text(REPORT, DRILLS),
        "own": own,
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text files' directory of a node exporter."""
    place = tmp_path_factory.mktemp("textfiles")
    for name, text in texts().items():
        if name.endswith(".prom"):
            (place / name).write_text(text, encoding="utf-8")
    return place


@pytest.mark.parametrize("name", ["backstay.prom", "backstay-fence.prom", "own"])
def test_promtool_objects_to_nothing(tools, name):
    text = texts()[name]
    assert "backstay_" in text
    done = promtool(tools, "check", "metrics", stdin=text)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_promtool_objects_to_what_is_wrong(tools):
    done = promtool(tools, "check", "metrics", stdin="# TYPE backstay_Bad counter\nbackstay_Bad 1\n")
    assert done.returncode != 0


def promtool(tools: Path, *words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tools / "promtool", *words], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def a_port() -> int:
    """One that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def get(url: str) -> str:
    """What a server says; NotYet when it is not there yet. A query that is none is an answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        if error.code == 400:
            return error.read().decode()
        raise NotYet(f"{url}: {error.code}") from error
    except OSError as error:
        raise NotYet(f"{url}: {error}") from error


@contextlib.contextmanager
def running(*argv: str | Path, log: Path) -> Iterator[None]:
    """A server, ended afterwards."""
    with (
        log.open("w") as stream,
        subprocess.Popen(argv, stdout=stream, stderr=stream, cwd=log.parent) as process,
    ):
        try:
            yield
        finally:
            process.kill()


@pytest.fixture(scope="module")
def exporter(tools: Path, directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node exporter's address."""
    address = f"127.0.0.1:{a_port()}"
    argv = (tools / "prometheus-node-exporter", *EXPORTER, f"--collector.textfile.directory={directory}")
    log = tmp_path_factory.mktemp("exporter") / "log"
    with running(*argv, f"--web.listen-address={address}", log=log):
        until(lambda: get(f"http://{address}/metrics"), Deadline(STARTING), 0.1, "the node exporter")
        yield address


def served(exporter: str) -> dict[str, float]:
    """Each sample of a node exporter."""
    lines = get(f"http://{exporter}/metrics").splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


def test_a_node_exporter_serves_both_files(exporter, directory):
    found = served(exporter)
    assert found["node_textfile_scrape_error"] == 0
    wanted = {
        line.rpartition(" ")[0].partition("{")[0]
        for file in directory.iterdir()
        for line in file.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    }
    assert len(wanted) > 15
    assert wanted == {name.partition("{")[0] for name in found if name.startswith("backstay_")}


def test_a_node_exporter_says_when_a_file_is_torn(exporter, directory):
    (directory / "torn.prom").write_text("backstay_x{ 1\n", encoding="utf-8")
    assert served(exporter)["node_textfile_scrape_error"] == 1
    (directory / "torn.prom").unlink()
    assert served(exporter)["node_textfile_scrape_error"] == 0


@pytest.fixture(scope="module")
def prometheus(tools: Path, exporter: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that has scraped that node exporter."""
    place = tmp_path_factory.mktemp("prometheus")
    (place / "prometheus.yml").write_text(SCRAPING.format(port=exporter.rpartition(":")[2]), encoding="utf-8")
    assert promtool(tools, "check", "config", place / "prometheus.yml").returncode == 0
    address = f"127.0.0.1:{a_port()}"
    argv = (
        tools / "prometheus",
        f"--config.file={place}/prometheus.yml",
        f"--storage.tsdb.path={place}/data",
    )
    url = f"http://{address}"
    with running(*argv, f"--web.listen-address={address}", log=place / "log"):
        until(lambda: scraped(url), Deadline(STARTING), 0.2, "Prometheus to have scraped")
        yield url


def scraped(url: str) -> bool:
    if not query(url, "backstay_info"):
        raise NotYet("there is no backstay_info")
    return True


def query(url: str, expression: str) -> list[dict]:
    """What Prometheus finds for an expression; AssertionError with its words when it does not take it."""
    said = get(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    answer = json.loads(said)
    assert answer["status"] == "success", f"{expression}: {answer['error']}"
    found: list[dict] = answer["data"]["result"]
    return found


PANELS = json.loads((REPOSITORY / "share/grafana/backstay.json").read_text(encoding="utf-8"))["panels"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[target["expr"] for _, target in TARGETS])
def test_each_panel_of_the_dashboard_has_something_to_show(prometheus, title, target):
    found = query(prometheus, target["expr"])
    assert found, f"{title}: {target['expr']} finds nothing"
    for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
        assert all(one["metric"].get(label) for one in found), f"{title}: no label {label}"


def alarms() -> list[str]:
    """The expressions that the documentation finds worth an alarm."""
    text = (REPOSITORY / "docs/how-to-be-told.md").read_text(encoding="utf-8")
    block = text.partition("Worth an alarm:\n\n```\n")[2].partition("\n```")[0]
    return [re.split(r" {2,}", line)[0] for line in block.splitlines()]


@pytest.mark.parametrize("expression", alarms())
def test_each_alarm_of_the_documentation_goes_off_and_only_then(prometheus, directory, exporter, expression):
    """It does for what is told here; the one about a silent cluster when the cluster is silent."""
    silent = "cluster_answers" in expression
    assert bool(query(prometheus, expression)) != silent
    if silent:
        file = directory / "backstay.prom"
        before = file.read_text(encoding="utf-8")
        file.write_text(exposition.text(gauges(replace(FACTS, attributes=None))), encoding="utf-8")
        until(lambda: found(prometheus, expression), Deadline(STARTING), 0.2, f"{expression} to be true")
        file.write_text(before, encoding="utf-8")


def found(url: str, expression: str) -> bool:
    if not query(url, expression):
        raise NotYet(f"{expression} finds nothing")
    return True


def test_prometheus_refuses_what_is_no_expression(prometheus):
    with pytest.raises(AssertionError, match="parse error"):
        query(prometheus, "backstay_info ==")
