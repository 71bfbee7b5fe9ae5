# SPDX-License-Identifier: GPL-2.0-or-later
"""Corosync's times and votes, the watchdog and sbd: each thing that does not fit has a finding, and a good one has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.fencing.finding import ERROR, WARNING
from backstay.fencing.surroundings import SOFTDOG, Corosync, Sbd, Surroundings, findings
from backstay.host import corosync, sbd
from tests.unit.fencing.test_completeness import GOOD, PAIR, WATCHED, pair

TWO = Corosync(3.0, 3.6, two_node=True, wait_for_all=True)
DISKLESS = Sbd(runs=True, timeout=5.0, watchdog="iTCO_wdt")
AROUND = Surroundings(Corosync(3.65, 4.38), DISKLESS, {"n1": 5.0, "n2": 5.0, "n3": 5.0})
UNWATCHED = {"stonith-timeout": "60s"}
ALONE = replace(PAIR, properties=UNWATCHED)


def said(fencing, around) -> list[tuple[str, str]]:
    return [(finding.severity, finding.text) for finding in findings(fencing, around)]


@pytest.mark.parametrize(
    ("fencing", "around"),
    [
        (GOOD, AROUND),
        (replace(GOOD, properties=UNWATCHED), Surroundings()),
        (replace(GOOD, properties=UNWATCHED), Surroundings(Corosync())),
        (ALONE, Surroundings(TWO)),
        (ALONE, Surroundings(Corosync(3.0, 3.6, qdevice=True))),
        (PAIR, replace(AROUND, corosync=Corosync(3.0, 3.6, qdevice=True))),
        (replace(pair({"pcmk_delay_base": "5s"}), properties=UNWATCHED), Surroundings(TWO)),
        (replace(GOOD, properties={**WATCHED, "stonith-watchdog-timeout": "-1"}), AROUND),
        (
            replace(GOOD, properties={"have-watchdog": "true"}),
            replace(AROUND, sbd=replace(DISKLESS, disks=("/dev/sda",))),
        ),
    ],
)
def test_what_fits_has_no_finding(fencing, around):
    assert said(fencing, around) == []


@pytest.mark.parametrize(
    ("fencing", "around", "severity", "text"),
    [
        (GOOD, replace(AROUND, corosync=Corosync(0.5, 0.6)), WARNING, "Corosync's token time is 0.5 s: a host that pauses"),
        (GOOD, replace(AROUND, corosync=Corosync(60, 72)), WARNING, "Corosync's token time is 60 s: a lost host is noticed after 132 s"),
        (GOOD, replace(AROUND, corosync=Corosync(60)), WARNING, "Corosync's token time is 60 s: a lost host is noticed after 132 s"),
        (ALONE, Surroundings(Corosync(3.0)), ERROR, "when n1 or n2 is lost, the other has no quorum"),
        (ALONE, Surroundings(replace(TWO, wait_for_all=False)), WARNING, "wait_for_all is off"),
        (replace(pair({"pcmk_delay_base": "5s"}), properties=UNWATCHED), Surroundings(replace(TWO, token=10.0)), WARNING,
         "the delays of n1 and n2 differ by 5 s, and one of them may notice"),
        (GOOD, replace(AROUND, sbd=Sbd()), ERROR, "the cluster counts on a watchdog (have-watchdog is true), and sbd does not"),
        (GOOD, replace(AROUND, sbd=replace(DISKLESS, watchdog=SOFTDOG)), WARNING, "the watchdog of this host is softdog"),
        (GOOD, replace(AROUND, sbd=replace(DISKLESS, disks=("/dev/sda",))), WARNING, "stonith-watchdog-timeout is set although"),
        (PAIR, replace(AROUND, corosync=TWO), ERROR, "two hosts without a qdevice both keep quorum"),
        (GOOD, replace(AROUND, watchdogs={"n1": 5.0, "n2": 4.0}), WARNING, "SBD_WATCHDOG_TIMEOUT is not the same on all hosts (n1 5 s, n2 4 s)"),
        (GOOD, replace(AROUND, watchdogs={"n1": 10.0}), ERROR, "stonith-watchdog-timeout is 10 s, and a watchdog may need 10 s"),
        (GOOD, replace(AROUND, watchdogs={"n1": 6.0}), WARNING, "stonith-watchdog-timeout (10 s) is less than twice"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_found(fencing, around, severity, text):
    found = said(fencing, around)
    assert any(kind == severity and words.startswith(text) for kind, words in found), found
    assert all(finding.hint for finding in findings(fencing, around))


CMAP = """quorum.provider (str) = corosync_votequorum
quorum.two_node (u8) = 1
runtime.config.totem.token (u32) = 3000
runtime.config.totem.consensus (u32) = 3600
"""
FILE = """totem {
    version: 2
    # token: 9000
    token: 5000
    interface { }
}
nodelist {
    node {
        ring0_addr: n1
    }
    node {
        ring0_addr: n2
    }
    node {
        ring0_addr: n3
    }
}
quorum {
    provider: corosync_votequorum
    device {
        model: net
    }
}
"""


def test_cmap_is_read_as_it_is_printed():
    found = corosync.keys(CMAP)
    assert (found["quorum.two_node"], found["runtime.config.totem.token"]) == ("1", "3000")


def test_a_corosync_conf_tells_the_times_that_corosync_would_take():
    found = corosync.from_file(FILE)
    assert found["runtime.config.totem.token"] == "5650"  # a third host adds the coefficient
    assert found["runtime.config.totem.consensus"] == "6780"
    assert found["quorum.device.model"] == "net"
    assert corosync.from_file("") == {}
    assert corosync.from_file("totem {\n version: 2\n}\nquorum {\n")["runtime.config.totem.token"] == "3000"


def test_sbds_settings_are_read_as_a_shell_reads_them():
    found = sbd.parsed(
        '# SBD_DEVICE=/dev/x\nSBD_DEVICE="/dev/a;/dev/b" # two\nSBD_WATCHDOG_TIMEOUT=\'7\'\nnonsense\nX="\n'
    )
    assert (found["SBD_DEVICE"], found["SBD_WATCHDOG_TIMEOUT"], found["SBD_WATCHDOG_DEV"]) == (
        "/dev/a;/dev/b", "7", "/dev/watchdog",
    )  # fmt: skip
    assert sbd.parsed("")["SBD_WATCHDOG_TIMEOUT"] == "5"


def test_a_watchdog_says_what_it_is(tmp_path):
    (tmp_path / "watchdog0").mkdir()
    (tmp_path / "watchdog0/identity").write_text("iTCO_wdt\n")
    assert [sbd.identity(name, tmp_path) for name in ("/dev/watchdog", "/dev/watchdog1")] == ["iTCO_wdt", ""]
    assert sbd.settings((tmp_path / "none",)) == {}
