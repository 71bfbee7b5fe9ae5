# SPDX-License-Identifier: GPL-2.0-or-later
"""Each failure is one sentence with host, BMC, cause and what to do next; only real lapses of time say so."""

from __future__ import annotations

import pytest

from backstay.fencing.power import GiveUp
from backstay.fencing.wording import Device, completion, not_known, not_reached
from backstay.host.bmc import Kind, Power, Trouble

DEVICE = Device("10.0.0.2", 623, "fencer", "operator", 17, "n2")
PACEMAKER_READS = ("imed out", "imeout", "nrecognised action", "nsupported action")


@pytest.mark.parametrize("code", [None, *range(0x80, 0x100)])
def test_every_code_has_words_that_pacemaker_does_not_misread(code):
    words = completion(code)
    assert not any(phrase in words for phrase in PACEMAKER_READS)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_trouble_has_a_sentence(kind):
    trouble = Trouble(kind, 0xC3 if kind is Kind.REFUSED else None, "what ipmitool said")
    for sentence in (
        not_reached(Power.OFF, GiveUp(trouble), DEVICE, 1.0),
        not_reached(Power.OFF, GiveUp(trouble, accepted=True), DEVICE, 1.0),
        not_known(trouble, DEVICE),
    ):
        assert "n2" in sentence
        assert "; " in sentence
        assert "\n" not in sentence
        assert not any(phrase in sentence for phrase in PACEMAKER_READS)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (
            GiveUp(Trouble(Kind.REFUSED, 0xD4)),
            "n2 was not powered off: the account fencer may not power off (IPMI completion code 0xd4: insufficient "
            "privilege) at its BMC (10.0.0.2); give it the role operator there",
        ),
        (
            GiveUp(None, accepted=True),
            "timed out waiting for n2 to be powered off: its BMC (10.0.0.2) accepted the command, but 20 s "
            "later the power is still on; look at the machine, and restart its BMC",
        ),
        (
            GiveUp(Trouble(Kind.SILENT), accepted=True),
            "whether n2 is powered off is not known: its BMC (10.0.0.2) accepted the command, but since then "
            "its BMC (10.0.0.2) does not answer on UDP port 623; check its power, its cable and every firewall "
            "on the way",
        ),
    ],
)
def test_the_words(end, expected):
    assert not_reached(Power.OFF, end, DEVICE, 20.2) == expected


@pytest.mark.parametrize("kind", list(Kind))
def test_the_cause_fits_into_a_line_of_pacemakers_log(kind):
    trouble = Trouble(kind, 0xD4 if kind is Kind.REFUSED else None, "Error: Unable to establish IPMI session")
    device = Device("192.168.100.200", 623, "pacemaker-fencer", "operator", 17, "host-17.example")
    sentence = not_reached(Power.OFF, GiveUp(trouble), device, 1.0)
    assert len(f"fence_backstay_ipmi: {sentence.split('; ')[0]}") <= 200


def test_without_a_name_the_address_says_which_host():
    device = Device("10.0.0.2", 623, "fencer", "operator", 17)
    assert not_known(Trouble(Kind.SILENT), device).startswith(
        "the power state of the host behind 10.0.0.2 is not known: its BMC (10.0.0.2) does not answer"
    )
