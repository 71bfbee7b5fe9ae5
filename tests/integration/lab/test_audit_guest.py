# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit guest under QEMU's software emulation, as the cluster will run it."""

from __future__ import annotations

import socket
import time

from backstay.host.clock import Deadline, until
from backstay.lab import audit as audits
from backstay.lab import witness
from backstay.lab.records import BYE, RUN, UP


def press_power_button(bench, process):
    """By QEMU's monitor; it has taken the command when it prompts for the next one."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(30)
        monitor.connect(str(bench.monitors[process.pid]))
        said = b""
        while b"(qemu) " not in said:
            said += monitor.recv(4096)
        monitor.sendall(b"system_powerdown\n")
        said = b""
        while b"\n(qemu) " not in said:
            said += monitor.recv(4096)


def test_what_the_witness_hears_is_on_the_disk(bench):
    identity, disk = bench.new_guest()
    bench.boot(identity, disk, "n2")
    heard = bench.wait_for(identity, 5)
    assert {h.host for h in heard} == {"n2"}
    assert [h.record.sequence for h in heard[:5]] == [0, 1, 2, 3, 4]
    assert [h.record.word for h in heard[:3]] == [UP, RUN, RUN]
    assert len({h.record.boot for h in heard}) == 1
    assert heard[4].at - heard[0].at > 1.5
    on_disk = bench.on_disk(disk)
    assert all(on_disk[h.record.sequence] == h.record for h in heard)


def test_the_power_button_ends_it_politely(bench):
    identity, disk = bench.new_guest()
    process = bench.boot(identity, disk)
    bench.wait_for(identity, 3)
    pressed = time.monotonic()
    press_power_button(bench, process)
    assert process.wait(30) == 0
    last = bench.heard(identity)[-1]
    assert last.record.word == BYE
    assert last.at >= pressed
    assert max(bench.on_disk(disk).values(), key=lambda r: r.sequence) == last.record


def test_a_guest_that_was_killed_continues_its_sequence(bench):
    identity, disk = bench.new_guest()
    first = bench.boot(identity, disk, "n1")
    bench.wait_for(identity, 4)
    first.kill()
    first.wait(10)
    written = max(bench.on_disk(disk))
    before = len(bench.heard(identity))
    bench.boot(identity, disk, "n2")
    after = bench.wait_for(identity, before + 3)[before:]
    assert [h.record.sequence for h in after[:3]] == [written + 1, written + 2, written + 3]
    assert after[0].record.word == UP
    assert {h.host for h in after} == {"n2"}
    assert len({h.record.boot for h in bench.heard(identity)}) == 2


def test_a_restarted_witness_is_found_again_and_the_guest_did_not_wait_for_it(bench):
    identity, disk = bench.new_guest()
    bench.boot(identity, disk)
    last = bench.wait_for(identity, 3)[-1]
    witness.stop(bench.layout)
    time.sleep(2)
    witness.start(bench.layout, ("n1", "n2"))
    known = len(bench.heard(identity))
    after = bench.wait_for(identity, known + 2)[known:]
    assert after[0].record.boot == last.record.boot
    assert after[0].record.sequence > last.record.sequence + 2


def test_two_copies_on_one_disk_are_found(bench):
    """The audit on real guests: nothing while one runs, both findings as soon as a second one does."""
    identity, disk = bench.new_guest()
    bench.boot(identity, disk, "n1")
    calm = bench.wait_for(identity, audits.CALM_RECORDS + 2)

    def judge():
        testimony = witness.read(bench.layout)
        disks = {identity: bench.on_disk(disk)}
        now = testimony.heard[-1].at
        evidence = audits.Evidence({identity: "web1"}, testimony, disks, (), calm[0].at, now)
        return audits.audit(evidence, [], (calm[0].at, calm[-1].at))

    assert judge().findings == ()
    bench.boot(identity, disk, "n2")
    before = len(bench.heard(identity))
    until(
        lambda: "n2" in {h.host for h in bench.heard(identity)[before:]} or None,
        Deadline(60),
        what="a second copy",
    )
    bench.wait_for(identity, len(bench.heard(identity)) + 6)
    assert {finding.kind for finding in judge().findings} == {audits.RAN_TWICE, audits.LOST}
