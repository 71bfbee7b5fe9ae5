# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that is a layer over another: when a start makes it, and what it never replaces."""

from __future__ import annotations

import pytest

from backstay.agents import domain_start
from backstay.agents.domain_overlay import KEEP, MAKE, REFUSE, Overlay, layer_of, verdict
from backstay.errors import CannotAsk
from backstay.host.disk_images import Image
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from tests.unit.agents.domain_host import UUID, Host

BASE, LAYER = "/srv/base.img", "/srv/web1.qcow2"
OURS, OTHERS, ALONE = Image("qcow2", BASE), Image("qcow2", "/srv/other.img"), Image("raw")
XML = f"<domain><name>web1</name><uuid>{UUID}</uuid><devices><disk><source file='{LAYER}'/></disk></devices></domain>"


@pytest.mark.parametrize(
    ("there", "is_disk", "lasting", "stateless"),
    [
        (None, True, MAKE, MAKE),
        (OURS, True, KEEP, MAKE),
        (OTHERS, True, REFUSE, REFUSE),
        (ALONE, True, REFUSE, REFUSE),
        (None, False, REFUSE, REFUSE),
        (OURS, False, REFUSE, REFUSE),
    ],
)
def test_when_a_layer_is_made(there: Image | None, is_disk: bool, lasting: str, stateless: str) -> None:
    assert verdict(False, BASE, is_disk, there)[0] == lasting
    assert verdict(True, BASE, is_disk, there)[0] == stateless


@pytest.mark.parametrize(
    ("config", "layer"),
    [
        ("/srv/web1.xml", LAYER),
        ("/srv/a.b/web1.xml", "/srv/a.b/web1.qcow2"),
        ("/srv/a.b/web1", "/srv/a.b/web1.qcow2"),
    ],
)
def test_the_layer_lies_beside_the_config(config: str, layer: str) -> None:
    assert layer_of(config) == layer


@pytest.mark.parametrize(
    ("disks", "layer"),
    [
        (("/srv/web1.qcow2",), "/srv/web1.qcow2"),
        (("/srv/web1.example.org.qcow2", "/srv/web1.qcow2"), "/srv/web1.example.org.qcow2"),
        (("/srv/other.qcow2",), "/srv/web1.example.org.qcow2"),
    ],
)
def test_the_layer_that_virtual_domain_made_is_taken_over(disks: tuple[str, ...], layer: str) -> None:
    """ocf:heartbeat:VirtualDomain 4.12: ${OCF_RESKEY_config%%.*}.qcow2."""
    assert layer_of("/srv/web1.example.org.xml", disks) == layer


class Images:
    def __init__(self, **there: Image) -> None:
        self.there = {BASE: there.get("base"), LAYER: there.get("layer")}
        self.broken = ""
        self.made: list[tuple[str, str, str]] = []

    def look(self, path: str, timeout: float) -> Image | None:
        if self.broken:
            raise CannotAsk(self.broken)
        return self.there[path]

    def layer(self, path: str, backing: str, backing_format: str, timeout: float) -> None:
        self.made.append((path, backing, backing_format))


def starting(host: Host, images: Images) -> Outcome:
    world = host.world()
    birth = host.birth(world, overlay=Overlay(world, images, BASE, stateless=True))
    return domain_start.start(world, host.deadline(80), birth)


def test_the_format_of_the_backing_file_is_said_to_qemu() -> None:
    host, images = Host(xml=XML.encode()), Images(base=ALONE, layer=OURS)
    assert starting(host, images).code == codes.SUCCESS
    assert images.made == [(LAYER, BASE, "raw")]


def test_a_start_takes_over_the_layer_that_virtual_domain_made() -> None:
    host, images = Host(xml=XML.encode()), Images(base=ALONE, layer=OURS)
    world = host.world(config="/srv/web1.example.org.xml")
    birth = host.birth(world, overlay=Overlay(world, images, BASE, stateless=False))
    assert domain_start.start(world, host.deadline(80), birth).code == codes.SUCCESS
    assert images.made == []


@pytest.mark.parametrize("broken", ["", "qemu-img cannot be run"])
def test_without_its_disk_nothing_starts(broken: str) -> None:
    host, images = Host(xml=XML.encode()), Images()
    images.broken = broken
    outcome = starting(host, images)
    assert outcome.code == codes.GENERIC
    assert (broken or f"{BASE} is not there") in outcome.reason
    assert (host.deeds, images.made) == ([], [])
