# SPDX-License-Identifier: GPL-2.0-or-later
"""A host whose datastore is as the test says; time passes only where something takes time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline
from backstay.host.datastore import Answer, Stuck
from backstay.host.filesystems import Mount
from backstay.host.gluster import Volume
from backstay.ocf.context import Call, Context
from backstay.ocf.parameters import Parameters
from tests.unit.agents.libvirtd_fake import Said

FILER = Mount("nfs4", "filer:/export/vm", frozenset({"rw", "hard", "vers=4.2"}))
GOOD = Answer(seconds=0.01, size=1000 << 30, free=500 << 30, files=1000, files_free=500)
RECURRING = {"OCF_RESKEY_CRM_meta_interval": "20000", "OCF_RESKEY_CRM_meta_on_node": "n1"}


class FakeHost:
    """`answer` None is a storage that hangs; `did` is what was done. A child that was abandoned waits as long."""

    def __init__(self, answer: Answer | None = GOOD, mount: Mount | None = FILER) -> None:
        self.name = "vmstore-check"
        self.time = 1000.0
        self.answer = answer
        self.mounted = mount
        self.healthy: tuple[str, ...] = ("n2",)
        self.deaf_cluster = False
        self.described: Volume | None = None
        self.memory = ""
        self.unwritable = False
        self.unreadable = ""
        self.did: list[str] = []

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds

    def mount(self, directory: str) -> Mount | None:
        return self.mounted

    def same_device(self, path: str, other: str) -> bool:
        return path.rpartition("/")[2] == other.rpartition("/")[2]

    def waits(self, stuck: Stuck) -> str:
        return "rpc_wait" if self.answer is None else ""

    def ask(self, path: str, write: bool, timeout: float, begun: Callable[[Stuck], None]) -> Answer | Stuck:
        begun(Stuck(100, 4711, self.time))
        self.did.append(f"{'write' if write else 'read'} {path}")
        if self.answer is not None:
            self.time += self.answer.seconds
            return self.answer
        began = self.time
        self.time += timeout
        return Stuck(100, 4711, began)

    def kill(self, stuck: Stuck) -> None:
        self.did.append(f"kill {stuck.pid}")

    def volume(self, name: str, timeout: float) -> Volume:
        self.did.append(f"volume {name}")
        if self.described is None:
            raise CannotAsk("Another transaction is in progress")
        return self.described

    def publish(self, value: str, timeout: float) -> None:
        if self.deaf_cluster:
            raise CannotAsk("attrd_updater: Connection refused")
        self.did.append(f"publish {value}")

    def healthy_elsewhere(self, here: str, timeout: float) -> tuple[str, ...]:
        if self.deaf_cluster:
            raise CannotAsk("crm_mon: Could not connect")
        assert here == "n1"
        return self.healthy

    def recall(self) -> str:
        return self.memory

    def hidden(self) -> str:
        return self.unreadable

    def remember(self, text: str) -> None:
        if self.unwritable:
            raise OSError(30, "Read-only file system")
        self.memory = text


def context(
    host: FakeHost, parameters: Parameters, action: str = "monitor", seconds: float = 36.0, **environ: str
) -> Context[Any]:
    given = {**RECURRING, "OCF_RESOURCE_INSTANCE": "vmstore-check:1", **environ}
    call = Call("datastore", action, given)
    return Context(call, parameters, Deadline(seconds, host.now), Said())  # type: ignore[arg-type]
