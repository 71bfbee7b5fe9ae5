# SPDX-License-Identifier: GPL-2.0-or-later
"""What OCF wants of every agent, on a host: each of its actions killed and repeated, nobody's rights, ocf-tester.

Whatever lies in agents/ is tested. Where its resource can run on a private host (RESOURCES), its course has to be that
of a healthy resource; another one is told to do the same on a host that does not have what it needs, and the kills of
one that runs are in another place (ELSEWHERE). The moments are parts of what the action took without a kill.
"""

from __future__ import annotations

import importlib
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from backstay.ocf.agent import Agent
from tests.integration.agents.kills import EARLIEST, KILLS, kill_after, moments
from tests.integration.agents.private_host import PrivateHost, wait
from tests.integration.agents.whole_host import PAGE_URL, SERVING, Installed, Step, course

pytestmark = pytest.mark.usefixtures("tools")
TOP = Path(__file__).resolve().parents[3]
SHIPPED = sorted(door.name for door in (TOP / "agents").iterdir() if door.is_file())
RESOURCES = ("datastore", "domain", "frontend", "libvirtd")
ELSEWHERE = {"drbd": "tests/kernel/test_drbd_kills.py"}
# Their stop ends the looking at something that goes on, and fails for nothing: a failed stop is a fencing.
ONLY_LOOKING = ("datastore", "libvirtd")
BRIEF = 8.0  # seconds that Pacemaker would give an action where it must not wait for long
LONGEST = 1.1  # of what an action took without a kill
DEFINED = set(codes.NAMES)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="backstay-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def installed(machine: PrivateHost, place: Path, repository: Path) -> Installed:
    return Installed(machine, place, repository)


@pytest.fixture
def everything(installed: Installed, host: PrivateHost) -> Iterator[Installed]:
    """The host with nothing on it but what agents need; what a test leaves is removed."""
    store = installed.place / "store"
    store.mkdir(exist_ok=True)
    host.run("mount", "-t", "tmpfs", "store", str(store))
    host.define()
    host.signal_libvirtd(signal.SIGKILL)
    host.run("systemctl", "start", "--", "libvirtd.service")
    wait(lambda: host.virsh("list").returncode == 0, "libvirtd as a unit")
    yield installed
    host.run("systemctl", "kill", "--", "page.service", "libvirtd.service")
    host.run("umount", "--lazy", str(store))
    installed.forget()


def given(agent: str, place: Path) -> dict[str, str]:
    """The parameters of an agent's resource."""
    return {
        "datastore": {"directory": str(place / "store"), "least_free": "0", "least_inodes": "0"},
        "domain": {"config": str(place / "web1.xml"), "force_stop": "true"},
        "frontend": {"units": "page.service", "probes": PAGE_URL, "lease": str(place / "store" / "lease")},
        "libvirtd": {"answer_within": "3s"},
        "drbd": {"drbd_resource": "web1"},
    }.get(agent, {})


def agent_of(name: str) -> Agent:
    found: Agent = importlib.import_module(f"backstay.agents.{name}").AGENT
    return found


def test_each_agent_is_killed_where_it_runs() -> None:
    assert set(SHIPPED) == {*RESOURCES, *ELSEWHERE}
    for agent, path in ELSEWHERE.items():
        text = (TOP / path).read_text()
        assert f"backstay.agents.{agent} import AGENT" in text
        assert "def test_no_action_is_left_out" in text


def runs_as_told(host: Installed, agent: str, step: Step) -> None:
    """There is one of it after a start, and none after a stop, whatever became of the action before."""
    if step.name not in ("start", "stop") or agent not in RESOURCES:
        return
    here = int(step.name == "start")
    if agent == "domain":
        assert len(host.host.emulators()) == here
    if agent == "frontend":
        wait(lambda: host.count(SERVING) == here, f"{here} processes of the unit")
    if agent == "libvirtd":
        assert host.count("libvirtd --listen") == here


# ---- kills


def take(host: Installed, agent: str, kills: int) -> list[tuple[str, int, list[str]]]:
    """Go the whole course; before each step, the same one is killed so many times. Gives what each step said."""
    assert host.call(agent, "stop", host.environ(agent, given(agent, host.place))).code == codes.SUCCESS
    host.forget()
    said = []
    patience = 30.0 if agent in RESOURCES else BRIEF
    for step in course(agent_of(agent)):
        environ = host.environ(agent, given(agent, host.place), step.interval, step.level, patience)
        for part in moments(f"{agent} {step.title}", LONGEST, kills):
            whole = TOOK[agent, step.title]
            kill_after(host.begin(agent, step.name, environ), max(EARLIEST, part * whole))
        answer = host.call(agent, step.name, environ)
        TOOK.setdefault((agent, step.title), answer.seconds)
        print(agent, step.title, answer)
        assert answer.out == "", answer
        assert answer.err.count("\n") <= 1, answer
        runs_as_told(host, agent, step)
        said.append((step.title, answer.code, sorted(host.kept())))
    return said


TOOK: dict[tuple[str, str], float] = {}


def killed_and_repeated(host: Installed, agent: str, kills: int) -> None:
    whole = take(host, agent, 0)
    for step, (title, code, _) in zip(course(agent_of(agent)), whole, strict=True):
        assert code in DEFINED, title
        if agent in RESOURCES and step.expected is not None:
            assert code == step.expected, title
    fields = host.kept()
    assert take(host, agent, kills) == whole
    assert host.kept() == fields


@pytest.mark.parametrize("agent", SHIPPED)
def test_each_action_killed_and_repeated(everything: Installed, agent: str) -> None:
    killed_and_repeated(everything, agent, 1)


@pytest.mark.long
@pytest.mark.parametrize("agent", SHIPPED)
def test_each_action_killed_many_times_and_repeated(everything: Installed, agent: str) -> None:
    killed_and_repeated(everything, agent, 2 * KILLS)


# ---- nobody, and nothing in the environment


@pytest.mark.parametrize("agent", SHIPPED)
def test_nobody_gets_no_lie(everything: Installed, agent: str) -> None:
    """Who may not look or act is never told "not running" of what runs, nor success of a stop that stopped nothing."""
    host = everything
    environ = host.environ(agent, given(agent, host.place))
    if agent in RESOURCES:
        assert host.call(agent, "start", environ).code == codes.SUCCESS
    now = host.call(agent, "monitor", environ).code
    for step in course(agent_of(agent)):
        called = host.environ(agent, given(agent, host.place), step.interval, step.level, BRIEF)
        answer = host.call(agent, step.name, called, "nobody")
        print(agent, step.title, answer)
        assert answer.out == "", step.title
        assert answer.err.count("\n") <= 1, step.title
        assert answer.code in DEFINED, step.title
        before, now = now, host.call(agent, "monitor", environ).code
        if before == now == codes.SUCCESS:
            assert answer.code != codes.NOT_RUNNING, step.title
        if step.name == "stop" and answer.code == codes.SUCCESS and agent not in ONLY_LOOKING:
            assert now != codes.SUCCESS, step.title


@pytest.mark.parametrize("agent", SHIPPED)
def test_an_empty_environment_has_defined_answers(everything: Installed, agent: str) -> None:
    for step in course(agent_of(agent)):
        if step.name == "migrate_from":
            continue  # it waits for a guest for as long as it may, a minute; test_domain_migration_live.py has it
        answer = everything.call(agent, step.name, {})
        print(agent, step.title, answer)
        assert answer.out == "", step.title
        assert answer.err.count("\n") <= 1, step.title
        assert answer.code in DEFINED, step.title


# ---- ocf-tester


@pytest.mark.parametrize("agent", SHIPPED)
def test_ocf_tester_objects_to_the_schema_alone(everything: Installed, agent: str, schemas: Path) -> None:
    """Its schema is that of 1.0, which knows no reload-agent, unique-group or reloadable; 1.1 has no other DTD.

    Where what an agent needs is not there, it comes as far as the start.
    """
    host = everything
    options = [word for pair in given(agent, host.place).items() for word in ("-o", "=".join(pair))]
    command = [
        "env",
        "OCF_ROOT=/usr/lib/ocf",
        "sh",
        str(schemas / "ocf-tester"),
        "-n",
        f"its-{agent}",
        *options,
        host.program(agent),
    ]
    done = subprocess.run(host.host.argv(command), capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout, done.stderr)
    objections = [line for line in done.stdout.splitlines() if line.startswith("* rc=")]
    assert objections[0].endswith("Your agent produces meta-data which does not conform to ra-api-1.dtd")
    if agent in RESOURCES:
        assert objections[1:] == []
        assert "failed 1 tests" in done.stderr
    else:
        assert objections[1:] == ["* rc=5: Start failed.  Did you supply enough options with -o ?"]
