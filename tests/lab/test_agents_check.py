# SPDX-License-Identifier: GPL-2.0-or-later
"""Agents that a package breaks are reported before anything needs them: nothing is fenced, no guest is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.host.clock import Deadline, NotYet, until
from tests.lab import packages

CURRENT = "/usr/lib/backstay/current"
PROVEN = 300.0
"""Seconds until a change is proven: the package manager is waited for, and the rehearsals take half a minute."""

DEFECTS = {
    "fence": {"lib/backstay/fencing/actions.py": "\nbring = lambda *_: misspelt\n"},
    "domain": {"lib/backstay/agents/domain_stop.py": "\nstop = lambda *_: None.code\n"},
}
SAID = {"fence": "fence_backstay_ipmi", "domain": "domain stop"}


def agents(node) -> str:
    """The state of a host's agents, as crm_mon -A has it on that host."""
    said = node.check("attrd_updater --name backstay-agents --query --all || true")
    found = [line for line in said.splitlines() if f'host="{node.name}"' in line]
    return found[0].partition('value="')[2].partition('"')[0] if found else ""


def wait_for(node, wanted: str, seconds: float = PROVEN) -> None:
    """Wait until that is the state."""

    def look() -> bool:
        if agents(node) != wanted:
            raise NotYet(agents(node) or "nothing is said")
        return True

    until(look, Deadline(seconds), 1.0, f"the agents of {node.name} to be {wanted}")


def alarms(node) -> str:
    """What an admin is woken by."""
    return node.check("journalctl --priority=alert --output=cat --identifier=backstay-agents || true")


def serving(cloud) -> dict[str, str]:
    """The version that serves on each host."""
    return {host: cloud.node(host).check(f"readlink {CURRENT}").strip() for host in cloud.stage.hosts()}


@pytest.mark.long
@pytest.mark.parametrize("broken", sorted(DEFECTS))
def test_a_broken_upgrade_on_all_hosts_is_refused_and_a_good_one_switches(
    cloud, repository: Path, tmp_path: Path, broken: str
) -> None:
    bad = packages.backstay(repository, tmp_path / "bad", DEFECTS[broken])
    good = packages.backstay(
        repository, tmp_path / "good", {"lib/backstay/agents/domain_stop.py": f"# {broken}\n"}
    )
    nodes = [cloud.node(host) for host in cloud.stage.hosts()]
    with cloud.watched() as given:
        before = serving(cloud)
        for node in nodes:
            assert "because its rehearsal failed" in packages.install(node, bad)
        assert serving(cloud) == before
        assert [agents(node) for node in nodes] == ["refused"] * len(nodes)
        for node in nodes:
            assert SAID[broken] in alarms(node), node.name
            done = node.run("backstay agents check --output json", timeout=PROVEN)
            told = json.loads(done.stdout)
            assert (done.returncode, told["ready"]) == (1, False)
            assert SAID[broken] in told["refused"]
            assert all(cell["state"] != "broken" for cell in told["cells"]), "what serves does its work"
        for node in nodes:
            assert "serves now" in packages.install(node, good)
        after = serving(cloud)
        assert all(after[host] != before[host] for host in before)
        assert [agents(node) for node in nodes] == ["ready"] * len(nodes)
    (judged,) = given
    assert judged.findings == []
    assert judged.deeds == []
    assert judged.silences == ()
    assert set(judged.boots.values()) == {1}


@pytest.fixture
def upgraded(lab, repository: Path, tmp_path: Path) -> Iterator[object]:
    """A bare cluster with Backstay's package on n1, where its agents were proven; built anew afterwards."""
    node = lab.node("n1")
    packages.install(node, packages.backstay(repository, tmp_path / "good", {}))
    node.check("backstay agents check --changed --publish || true", timeout=PROVEN)
    wait_for(node, "ready", 10.0)
    yield node
    lab.build()


def proven(node) -> dict[str, dict]:
    """Which agents were proven, on what and when."""
    return json.loads(node.check("cat /var/lib/backstay/agents-proven"))


def checked(node) -> int:
    """How often the proof has ended."""
    said = node.check(
        "journalctl --output=cat --unit=backstay-agents.service --grep='Finished|Failed' || true"
    )
    return len(said.splitlines())


def fence_checks(node) -> int:
    """How often a proof of fencing was begun."""
    said = node.check("journalctl --output=cat --unit=backstay-fence.service --grep=Starting || true")
    return len(said.splitlines())


def wait_for_a_proof(node, before: int) -> None:
    """Wait until the triggers have begun a proof and it has ended."""

    def look() -> bool:
        if checked(node) <= before:
            raise NotYet("no proof has ended")
        return True

    until(look, Deadline(PROVEN), 1.0, f"a proof on {node.name}")


@pytest.mark.long
def test_what_a_package_does_to_the_ground_of_an_agent_is_reported_without_anybody_asking(
    upgraded, tmp_path: Path
) -> None:
    node = upgraded
    tool = (node.root / "usr/bin/ipmitool").read_bytes()

    # The same bytes again: they are still proven, and nothing is rehearsed.
    first, count, earlier = proven(node), checked(node), alarms(node)
    packages.install(node, packages.foreign(tmp_path, "ipmitool", "9:1", {"/usr/bin/ipmitool": tool}))
    wait_for_a_proof(node, count)
    assert proven(node) == first
    assert (agents(node), alarms(node)) == ("ready", earlier)

    # An ipmitool that does not find one of its symbols any more.
    node.check("systemctl start backstay-fence.timer")
    before = fence_checks(node)
    broken = (
        b"#!/bin/sh\necho 'ipmitool: symbol lookup error: undefined symbol: EVP_MD_CTX_new' >&2\nexit 127\n"
    )
    packages.install(node, packages.foreign(tmp_path, "ipmitool", "9:2", {"/usr/bin/ipmitool": broken}))
    wait_for(node, "broken:fence_backstay_ipmi")
    assert "symbol lookup error" in alarms(node)
    assert "fence_backstay_ipmi" not in proven(node)
    assert "broken:fence_backstay_ipmi" in node.check("crm_mon -1A")
    # Where the timer proves fencing, its matrix is not left as it was for a quarter of an hour.
    until(lambda: fence_checks(node) > before or None, Deadline(30), 1.0, "a proof of fencing")

    packages.install(node, packages.foreign(tmp_path, "ipmitool", "9:3", {"/usr/bin/ipmitool": tool}))
    wait_for(node, "ready")
    assert proven(node)["fence_backstay_ipmi"]["fingerprint"] == first["fence_backstay_ipmi"]["fingerprint"]

    # A library of the distribution, without which not even the check can run.
    place = "/usr/lib/python3/dist-packages/click/__init__.py"
    packages.install(
        node, packages.foreign(tmp_path, "python3-click", "99:1", {place: b"raise ImportError('torn')\n"})
    )
    wait_for(node, "broken:check")
    assert "cannot run: ImportError: torn" in alarms(node)


UNITS = {
    "systemd:good-unit": ("ok", ""),
    "systemd:absent-unit": ("-", "systemd has no absent-unit.service on this host"),
    "systemd:masked-unit": ("broken", "masked-unit.service is masked, so it cannot be started"),
    "systemd:bad-unit": ("broken", "systemd cannot load bad-unit.service (bad-setting)"),
    "lsb:good-script": ("ok", ""),
    "lsb:dull-script": ("-", "there is no script /etc/init.d/dull-script on this host"),
    "service:good-script": ("ok", ""),
    "service:good-unit": ("ok", ""),
    "service:absent-unit": ("-", "there is neither a script /etc/init.d/absent-unit nor absent-unit.service"),
}
"""What a cluster runs without an agent, and what is said about it."""


@pytest.mark.long
def test_units_and_scripts_that_a_cluster_runs_are_looked_for_where_they_would_run(lab) -> None:
    node, unit, script = lab.node("n1"), "/etc/systemd/system", "/etc/init.d"
    node.write(f"{unit}/good-unit.service", "[Service]\nExecStart=/bin/sleep 600\n")
    node.write(f"{unit}/bad-unit.service", "[Service]\nExecStart=no/absolute/path\n")
    node.write(f"{script}/good-script", "#!/bin/sh\nexit 0\n", 0o755)
    node.write(f"{script}/dull-script", "#!/bin/sh\nexit 0\n", 0o644)
    node.check(f"ln -sf /dev/null {unit}/masked-unit.service && systemctl daemon-reload")
    rows = "".join(
        f'<primitive id="r{number}" class="{name.partition(":")[0]}" type="{name.partition(":")[2]}"/>'
        for number, name in enumerate(UNITS)
    )
    node.write("/root/units.xml", f"<cib><configuration><resources>{rows}</resources></configuration></cib>")
    try:
        done = node.run("backstay agents check --cib /root/units.xml --output json", timeout=PROVEN)
        started = node.check("systemctl is-active good-unit.service || true").strip()
    finally:
        node.run(f"rm -f {unit}/*-unit.service {script}/*-script /root/units.xml; systemctl daemon-reload")
    assert done.stdout, done.stderr
    cells = {cell["agent"]: cell for cell in json.loads(done.stdout)["cells"] if cell["agent"] in UNITS}
    assert {name: cell["state"] for name, cell in cells.items()} == {
        n: state for n, (state, _) in UNITS.items()
    }
    for name, (_, words) in UNITS.items():
        assert words in cells[name]["reason"], name
    assert (done.returncode, started) == (1, "inactive"), (
        "the two that are broken make it 1; nothing was started"
    )
