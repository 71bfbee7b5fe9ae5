# SPDX-License-Identifier: GPL-2.0-or-later
"""Every sentence that a fence agent can give as its reason, word for word: admins and their scripts read them."""

from __future__ import annotations

from collections.abc import Iterator

from backstay.fencing import redfish_wording, wording
from backstay.fencing.power import GiveUp
from backstay.host.bmc import NO_WAY, Kind, Power, Trouble

IPMI = wording.Device("10.0.0.2", 623, "fencer", "operator", 17, "n2", 3)
REDFISH = redfish_wording.Device("10.0.0.2", 443, "fencer", "n2")
CODES = {"ipmi": (0xC0, 0xD4, 0xD6, 0x81, None), "redfish": (429, 503, 504, 403, 404, None)}


def troubles(codes: tuple[int | None, ...]) -> Iterator[Trouble]:
    """One of each kind, and of a refusal one of each code."""
    for kind in Kind:
        for code in codes if kind is Kind.REFUSED else (None,):
            yield Trouble(kind, code, "words of the other side")
    yield Trouble(Kind.SILENT, None, NO_WAY)
    yield Trouble(Kind.REFUSED, codes[-2], "words of the other side", after=3.0)


def sentences(device: wording.Named, codes: tuple[int | None, ...]) -> Iterator[str]:
    """What is said about each."""
    for trouble in troubles(codes):
        yield f"{trouble.kind.name} {trouble.code} {trouble.after:g}"
        yield f"  {wording.not_reached(Power.OFF, GiveUp(trouble), device, 1.0)}"
        yield f"  {wording.not_reached(Power.ON, GiveUp(trouble, accepted=True), device, 1.0)}"
        yield f"  {wording.not_known(trouble, device)}"
    yield wording.not_reached(Power.ON, GiveUp(None, accepted=True), device, 19.6)


def test_the_sentences_are_as_recorded(golden) -> None:
    for name, device in (("ipmi", IPMI), ("redfish", REDFISH)):
        golden(f"sentences-{name}.txt", "\n".join(sentences(device, CODES[name])) + "\n")
    more = [
        wording.fell_back(IPMI),
        redfish_wording.unchecked(REDFISH),
        redfish_wording.unchecked(redfish_wording.Device("10.0.0.2", 443, "fencer")),
    ]
    golden("sentences-besides.txt", "\n".join(more) + "\n")
