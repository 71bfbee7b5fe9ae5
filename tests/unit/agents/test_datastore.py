# SPDX-License-Identifier: GPL-2.0-or-later
"""What the datastore agent answers and does, for storage that is as the test says."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from backstay.agents import datastore
from backstay.agents import datastore_health as health
from backstay.agents.datastore import DatastoreParameters
from backstay.agents.datastore_amount import complaint, least
from backstay.agents.datastore_bricks import judge
from backstay.agents.datastore_memory import Memory
from backstay.agents.datastore_monitor import probe, watch, watch_deeply
from backstay.host.datastore import Answer
from backstay.host.filesystems import Mount
from backstay.host.gluster import Brick, Quota, Volume
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from tests.unit.agents.datastore_fake import FILER, GOOD, FakeHost, context

PLACE: dict[str, Any] = {"directory": "/srv/vm"}
SOFT = Mount("nfs4", "filer:/export/vm", frozenset({"rw", "soft"}))
GLUSTER = Mount("fuse.glusterfs", "n1:/vmstore", frozenset({"rw"}))


def parameters(**given: Any) -> DatastoreParameters:
    return DatastoreParameters(**{**PLACE, **given})


def answer(**changed: Any) -> Answer:
    fields = {name: getattr(GOOD, name) for name in Answer.__slots__}
    return Answer(**{**fields, **changed})


@pytest.mark.parametrize(
    ("mount", "said", "given", "kind"),
    [
        (FILER, GOOD, {}, health.HEALTHY),
        (FILER, GOOD, {"source": "filer:/export/vm/", "fstype": "nfs"}, health.HEALTHY),
        (GLUSTER, GOOD, {"source": "n1:vmstore", "fstype": "glusterfs"}, health.HEALTHY),
        (None, GOOD, {}, health.ABSENT),
        (None, GOOD, {"own_mount": False}, health.HEALTHY),
        (None, GOOD, {"directory": "/dev/rbd/rbd/vm"}, health.HEALTHY),
        (FILER, GOOD, {"fstype": "ocfs2"}, health.FOREIGN),
        (Mount("nfs", "filer:/export/vm", frozenset({"ro"})), GOOD, {}, health.READ_ONLY),
        (Mount("nfs", "filer:/export/vm", frozenset({"ro"})), GOOD, {"write": False}, health.HEALTHY),
        (FILER, answer(failure=errno.ESTALE), {}, health.STALE),
        (FILER, answer(failure=errno.ENOTCONN), {}, health.LOST),
        (FILER, answer(failure=errno.EROFS), {}, health.READ_ONLY),
        (FILER, answer(failure=errno.EIO), {}, health.BROKEN),
        (FILER, answer(failure=errno.EACCES), {}, health.DENIED),
        (FILER, answer(failure=errno.ENOSPC), {}, health.FULL),
        (FILER, answer(failure=errno.EDQUOT), {}, health.FULL),
        (FILER, answer(failure=-1), {}, health.CORRUPT),
        (FILER, answer(free=0), {}, health.FULL),
        (FILER, answer(free=0), {"write": False}, health.SPACE),
        (FILER, answer(seconds=2.5), {}, health.SLOW),
        (SOFT, GOOD, {}, health.SOFT),
        (FILER, answer(free=49 << 30), {}, health.SPACE),
        (FILER, answer(free=49 << 30), {"least_free": "40G"}, health.HEALTHY),
        (FILER, answer(files_free=49), {}, health.INODES),
        (FILER, answer(files=0, files_free=0), {}, health.HEALTHY),
        (FILER, answer(size=0, free=0), {}, health.HEALTHY),
    ],
)  # fmt: skip
def test_each_trouble_has_its_name(
    mount: Mount | None, said: Answer, given: dict[str, Any], kind: str
) -> None:
    found, sentence = health.diagnose(health.Seen(mount, said), parameters(**given))
    assert found == kind
    assert sentence


@pytest.mark.parametrize(
    ("text", "amount"),
    [("5%", 50), ("0", 0), ("0%", 0), ("1K", 1024), ("1.5GiB", 1.5 * 2**30), ("20g", 20 * 2**30), ("7", 7)],
)
def test_an_amount_is_a_share_or_a_size(text: str, amount: float) -> None:
    assert least(text, 1000) == amount


@pytest.mark.parametrize("text", ["", "much", "5 percent", "101%", "-1", "nan", "inf", "5X"])
def test_what_is_no_amount_is_said(text: str) -> None:
    assert "must be" in complaint(text)


def look(host: FakeHost, **given: Any) -> Outcome:
    return watch(context(host, parameters(**given)), host)  # type: ignore[arg-type]


def last(host: FakeHost) -> str:
    return [deed for deed in host.did if deed.startswith("publish")][-1]


def test_healthy_is_said_once_to_the_others() -> None:
    host = FakeHost()
    assert [look(host).code, look(host).code] == [codes.SUCCESS, codes.SUCCESS]
    assert host.did.count("publish healthy") == 1


@pytest.mark.parametrize(
    ("mount", "said", "published"),
    [
        (FILER, answer(seconds=3.0), "publish degraded:slow"),
        (FILER, answer(failure=errno.ENOSPC), "publish degraded:full"),
        (FILER, answer(free=1), "publish healthy:space"),
        (SOFT, GOOD, "publish healthy:soft"),
    ],
)
def test_what_is_no_failure_stays_degraded_for_as_long_as_it_lasts(
    mount: Mount, said: Answer, published: str
) -> None:
    host = FakeHost(said, mount)
    for _ in range(5):
        assert look(host).code == codes.DEGRADED
        host.time += 600
    assert last(host) == published


def test_a_hung_store_has_one_child_and_fails_only_after_the_patience_and_two_looks_elsewhere() -> None:
    host = FakeHost(None)
    first = look(host)
    assert first.code == codes.DEGRADED
    assert "does not answer" in first.reason
    assert last(host) == "publish degraded:hung"
    host.time += 60
    assert look(host).code == codes.DEGRADED
    assert last(host) == "publish broken:hung"
    host.time += 39
    assert look(host).code == codes.DEGRADED
    host.time += 2
    outcome = look(host)
    assert outcome.code == codes.GENERIC
    assert "n2 reaches it" in outcome.reason
    assert host.did.count("write /srv/vm") == 1


def test_a_child_that_is_gone_is_followed_by_another_question() -> None:
    host = FakeHost(None)
    look(host)
    host.answer = GOOD
    assert look(host).code == codes.SUCCESS
    assert host.did.count("write /srv/vm") == 2
    assert Memory.read(host.memory, host.time).pid == 0


@pytest.mark.parametrize("deaf", [False, True])
def test_what_hangs_everywhere_fails_nowhere(deaf: bool) -> None:
    host = FakeHost(None)
    host.healthy, host.deaf_cluster = (), deaf
    for _ in range(20):
        outcome = look(host)
        host.time += 60
        assert outcome.code == codes.DEGRADED
    assert "nothing is moved or fenced" in outcome.reason


def test_a_store_that_is_mended_elsewhere_first_gets_its_time_again() -> None:
    host = FakeHost(None)
    host.healthy = ()
    for _ in range(5):
        look(host)
        host.time += 60
    host.healthy = ("n3",)
    assert "waited for once more" in look(host).reason
    host.time += 50
    assert look(host).code == codes.DEGRADED


def test_reaction_degrade_never_fails() -> None:
    host = FakeHost(None)
    for _ in range(20):
        assert look(host, reaction="degrade").code == codes.DEGRADED
        host.time += 60


def test_an_alarm_is_raised_at_once_and_again_after_ten_minutes() -> None:
    host = FakeHost(None)
    alerts = 0
    for _ in range(13):
        called = context(host, parameters(reaction="degrade"))
        watch(called, host)  # type: ignore[arg-type]
        alerts += sum(line.startswith("ALERT") for line in called.journal.lines)  # type: ignore[attr-defined]
        host.time += 60
    assert alerts == 2


def test_a_probe_is_stopped_until_it_was_started_and_never_failed() -> None:
    host = FakeHost(None)
    assert probe(context(host, parameters()), host).code == codes.NOT_RUNNING  # type: ignore[arg-type]
    host.unreadable = "/run/backstay: Permission denied"
    hidden = probe(context(host, parameters()), host)  # type: ignore[arg-type]
    assert (hidden.code, "Permission denied" in hidden.reason) == (codes.DEGRADED, True)
    host.unreadable = ""
    assert host.did == []
    look(host)
    host.time += 600
    assert probe(context(host, parameters()), host).code == codes.DEGRADED  # type: ignore[arg-type]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """The host that the agent's own actions find."""
    made = FakeHost()
    monkeypatch.setattr(datastore, "Host", lambda name: made)
    return made


def act(host: FakeHost, action: str, seconds: float = 55.0, **given: Any) -> Outcome:
    run = getattr(datastore, action)
    outcome: Outcome = run(context(host, parameters(**given), action, seconds))
    return outcome


def test_start_waits_for_a_store_that_comes(host: FakeHost) -> None:
    host.answer = None
    pause = host.pause

    def passing(seconds: float) -> None:
        pause(seconds)
        if host.time > 1030:
            host.answer = GOOD

    host.pause = passing  # type: ignore[method-assign]
    assert act(host, "start").code == codes.SUCCESS
    assert last(host) == "publish healthy"
    assert probe(context(host, parameters()), host).code == codes.SUCCESS  # type: ignore[arg-type]


def test_start_fails_at_once_when_nothing_is_mounted(host: FakeHost) -> None:
    host.mounted = None
    assert act(host, "start").code == codes.GENERIC
    assert host.time == 1000.0
    assert probe(context(host, parameters()), host).code == codes.NOT_RUNNING  # type: ignore[arg-type]


@pytest.mark.parametrize(("healthy", "code"), [(("n2",), codes.GENERIC), ((), codes.DEGRADED)])
def test_start_on_a_hung_store_fails_only_where_another_host_is_healthy(
    host: FakeHost, healthy: tuple[str, ...], code: int
) -> None:
    host.answer, host.healthy = None, healthy
    assert act(host, "start").code == code
    assert host.time < 1055 - 8


def test_start_fails_when_it_cannot_be_remembered(host: FakeHost) -> None:
    host.unwritable = True
    assert act(host, "start").code == codes.GENERIC


def test_stop_touches_nothing_and_never_fails(host: FakeHost) -> None:
    host.answer = None
    look(host)
    host.did.clear()
    host.deaf_cluster = True
    assert act(host, "stop").code == codes.SUCCESS
    assert host.did == ["kill 100"]
    assert probe(context(host, parameters()), host).code == codes.NOT_RUNNING  # type: ignore[arg-type]


def test_a_monitor_after_a_stop_is_not_running_and_one_without_a_memory_goes_on(host: FakeHost) -> None:
    act(host, "start")
    act(host, "stop")
    assert look(host).code == codes.NOT_RUNNING
    act(host, "start")
    assert look(host).code == codes.SUCCESS
    host.memory = ""
    assert look(host).code == codes.SUCCESS


def test_the_trouble_that_made_it_fail_stays_published_after_the_stop(host: FakeHost) -> None:
    host.answer = None
    look(host)
    host.time += 61
    look(host)
    act(host, "stop")
    assert last(host) == "publish broken:hung"


@pytest.mark.parametrize(
    ("mount", "said", "code"),
    [
        (FILER, GOOD, codes.SUCCESS),
        (SOFT, GOOD, codes.ARGUMENTS),
        (FILER, answer(failure=errno.ESTALE), codes.ARGUMENTS),
        (None, GOOD, codes.SUCCESS),
    ],
)
def test_validate_all_finds_what_is_wrong(
    host: FakeHost, mount: Mount | None, said: Answer, code: int
) -> None:
    host.mounted, host.answer = mount, said
    assert act(host, "validate", 9.0).code == code
    assert host.memory == ""


# ---- GlusterFS

SIZE = 1 << 40


def bricks(*changed: dict[str, Any]) -> tuple[Brick, ...]:
    return tuple(
        Brick(f"n{number}:/bricks/b", **{"size": SIZE, **change}) for number, change in enumerate(changed, 1)
    )


@pytest.mark.parametrize(
    ("volume", "allowed", "found"),
    [
        (Volume("v", bricks({}, {}, {}), 3), False, []),
        (Volume("v", bricks({}, {"online": False, "size": 0}, {}), 3), False, ["n2:/bricks/b is not online"]),
        (Volume("v", bricks({}, {"size": SIZE // 3}, {}), 3), False, ["n2:/bricks/b has 341.3 GiB"]),
        # bricks that hold other data may well be of another size
        (Volume("v", bricks({}, {}, {"size": SIZE // 3}, {"size": SIZE // 3}), 2), False, []),
        (Volume("v", bricks({}, {"size": SIZE // 3}), 1), False, []),
        (Volume("v", bricks({}, {}, {"size": 1, "arbiter": True}), 3), False, []),
        (Volume("v", bricks({}, {"pending": 7}, {}), 3), False, ["still to be healed: 7 on n2:/bricks/b"]),
        (Volume("v", bricks({}, {"pending": 7, "split": 7}, {}), 3), False, ["split-brain): 7 on n2"]),
        (Volume("v", bricks({}, {}, {}), 3, (Quota("/", 100, 10),)), False, ["a quota of 100 B on /"]),
        (Volume("v", bricks({}, {}, {}), 3, (Quota("/", 100, 10),)), True, []),
        (Volume("v", bricks({}, {}, {}), 3, (Quota("/", 100, 80),)), True, ["of which 80 B are used"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_volume(volume: Volume, allowed: bool, found: list[str]) -> None:
    said = judge(volume, allowed)
    assert len(said) == len(found)
    assert all(part in one for part, one in zip(found, said, strict=True))


def test_a_bad_brick_is_degraded_at_every_look_until_the_next_deep_one() -> None:
    host = FakeHost(mount=GLUSTER)
    host.described = Volume("vmstore", bricks({}, {"size": SIZE // 3}, {}), 3)
    called = context(host, parameters(), seconds=81.0)
    assert watch_deeply(called, host).code == codes.DEGRADED  # type: ignore[arg-type]
    assert "volume vmstore" in host.did
    assert last(host) == "publish healthy:volume"
    assert "its peers have" in look(host).reason
    host.described = None
    assert watch_deeply(context(host, parameters()), host).code == codes.DEGRADED  # type: ignore[arg-type]
    host.described = Volume("vmstore", bricks({}, {}, {}), 3)
    assert watch_deeply(context(host, parameters()), host).code == codes.SUCCESS  # type: ignore[arg-type]
    assert last(host) == "publish healthy"


def test_the_bricks_of_no_other_file_system_are_asked_for() -> None:
    host = FakeHost()
    assert watch_deeply(context(host, parameters()), host).code == codes.SUCCESS  # type: ignore[arg-type]
    assert not [deed for deed in host.did if deed.startswith("volume")]
