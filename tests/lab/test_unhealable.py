# SPDX-License-Identifier: GPL-2.0-or-later
"""A libvirtd that cannot be healed beside a guest that the cluster did not place: what each `unhealable` comes to.

Every host can fence the others, and the monitor has on-fail=fence, as where a frontend places the guests.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest

from backstay.host.clock import Deadline, NotYet, TimedOut, pause, until
from backstay.lab import cluster
from tests.lab.test_libvirtd import (
    BUDGET,
    CLONE,
    NODES,
    PATIENCE,
    failures,
    mend,
    pid_of_twin,
    take_away,
    twin_on,
    wait_for_word,
)
from tests.lab.test_templates import by_cibadmin

FENCED = 240.0  # seconds for a fencing and the host's return; they take about 40
AGAIN = 3 * BUDGET  # seconds in which what must not happen would have happened
CHANGES = (
    (
        'name="heal_budget"',
        'name="unhealable" value="{}"/><nvpair id="libvirtd-heal-budget" name="heal_budget"',
    ),
    ('interval="2s" timeout="30s"', 'interval="2s" timeout="30s" on-fail="fence"'),
)


def clone_of(unhealable: str) -> str:
    text = CLONE
    for before, after in CHANGES:
        assert before in text
        text = text.replace(before, after.format(unhealable))
    return text


@pytest.fixture
def guarded(lab, request):
    """libvirtd is watched on all hosts, as the test's parameter says, and a guest that nobody manages runs on n1."""
    first = lab.node("n1")
    for host in NODES:
        mend(lab.node(host))
        by_cibadmin(first, "fencing", host=host, address=f"bmc-{host}", username="fencer",
                    password_file="/etc/backstay/bmc.password")  # fmt: skip
    by_cibadmin(first, "properties")
    first.check(["cibadmin", "--create", "--scope", "resources", "--xml-text", clone_of(request.param)])
    for name in NODES:
        wait_for_word(lab, name, "healthy")
    twin_on(first)
    yield lab
    lab.wait_for(cluster.all_online(NODES), FENCED, "whoever was fenced to come back")
    lab.node("n2").run("cibadmin --delete --scope resources --xml-text '<clone id=\"libvirtd-clone\"/>'")
    with suppress(TimedOut):  # its stop would end what is mended
        lab.wait_for(
            lambda state: ", ".join(r.name for r in state.resource("libvirtd")),
            PATIENCE,
            "libvirtd to be stopped",
        )
    for name in NODES:
        mend(lab.node(name))
        lab.node(name).run("virsh destroy twin")


def fencings(lab) -> Counter[str]:
    """How often each host was fenced in the life of this lab; one that is under way does not count yet."""
    done = (entry for entry in lab.ask().fencing if entry.status == "success")
    return Counter(entry.target for entry in done if entry.action in ("off", "reboot"))


def seen_by_the_cluster(lab, words: str) -> str:
    """What the logs of the hosts that stayed say with these words."""
    command = f"grep -hs '{words}' /var/log/pacemaker/pacemaker.log; journalctl --output=cat --grep='{words}'"
    return "".join(lab.node(name).run(command).stdout for name in ("n2", "n3"))


@pytest.mark.long
@pytest.mark.parametrize("guarded", ["fence"], indirect=True)
def test_a_host_whose_libvirtd_cannot_be_healed_is_fenced_once_where_others_are_healthy(guarded):
    node, before = guarded.node("n1"), fencings(guarded)
    take_away(node)
    wait_for_word(guarded, "n1", "degraded:not-installed")

    def is_fenced() -> bool:
        found = fencings(guarded) - before
        if not found:
            raise NotYet(f"{guarded.ask().summary()}")
        return True

    until(is_fenced, Deadline(FENCED), every=1.0, what="n1 to be fenced")
    guarded.wait_for(cluster.all_online(NODES), FENCED, "n1 to come back")
    assert "n2, n3 can take its guests when it is fenced: twin" in seen_by_the_cluster(
        guarded, "is fenced: twin"
    )
    assert node.run("pgrep -f guest=twin").returncode == 1, (
        "its guest ended with it, and may run elsewhere now"
    )
    pause(AGAIN)
    assert fencings(guarded) - before == Counter(["n1"]), (
        "what is not installed after it either fences nobody"
    )


@pytest.mark.long
@pytest.mark.parametrize("guarded", ["degrade"], indirect=True)
def test_degrade_leaves_the_guests_and_the_host_alone(guarded):
    node, before = guarded.node("n1"), fencings(guarded)
    pid = pid_of_twin(node)
    take_away(node)
    wait_for_word(guarded, "n1", "broken:not-installed")
    pause(AGAIN)
    assert node.run(f"kill -0 {pid}").ok
    assert fencings(guarded) == before
    assert {result for _, result in failures(guarded, "n1")} == {"OCF_DEGRADED"}


@pytest.mark.long
@pytest.mark.parametrize("guarded", ["fence"], indirect=True)
def test_what_breaks_on_all_hosts_fences_none(guarded):
    node, before = guarded.node("n1"), fencings(guarded)
    pid = pid_of_twin(node)
    for name in NODES:
        take_away(guarded.node(name))
    for name in NODES:
        wait_for_word(guarded, name, "broken:not-installed")
    pause(AGAIN)
    assert node.run(f"kill -0 {pid}").ok
    assert fencings(guarded) == before
