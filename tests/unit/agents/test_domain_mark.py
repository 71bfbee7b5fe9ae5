# SPDX-License-Identifier: GPL-2.0-or-later
"""The mark of a creation: where it stands in what libvirt is given, and that nothing else is changed."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from backstay.agents.domain_birth import MARK
from backstay.agents.domain_features import marked
from backstay.agents.domain_limits import NAMESPACE
from backstay.host import libvirt

NAME = "<name>web1</name>"
OTHERS = "<a:b xmlns:a='urn:a'/>"


@pytest.mark.parametrize(
    "content",
    [
        f"<domain>{NAME}</domain>",
        f"<?xml version='1.0'?><!-- <name>x</name> --><domain type='kvm'>{NAME}<metadata/></domain>",
        f"<domain>{NAME}<metadata></metadata></domain>",
        f"<domain><metadata a='>' />{NAME}</domain>",
        f"<domain><metadata>{OTHERS}</metadata>{NAME}</domain>",
        f"<domain>{NAME}\n  <metadata>\n    {OTHERS}\n  </metadata>\n</domain>",
        f"<domain>{NAME}<devices><metadata/></devices></domain>",
        "<x:domain xmlns:x='urn:x'><x:name>web1</x:name></x:domain>",
        f"<domain>{NAME}<title>\u00e4 &amp; \u00f6</title></domain>",
    ],
)
def test_the_first_metadata_holds_the_mark_and_all_that_it_held(content: str) -> None:
    before = content.encode()
    after = marked(before, MARK)
    root = ElementTree.fromstring(after)
    place = root.find("metadata")
    assert place is not None
    assert place.find(f"{{{libvirt.HELD}}}held") is not None
    assert len(root.findall("metadata")) == 1
    if OTHERS in content:
        assert place.find("{urn:a}b") is not None
    without = after.replace(b"<metadata>" + MARK + b"</metadata>", b"").replace(MARK, b"")
    assert without == before or b"<metadata" in before


@pytest.mark.parametrize("content", [b"", b"<domain>", b"<domain/>", b"\xff\xfe\x00"])
def test_what_cannot_be_marked_stays_as_it_is(content: bytes) -> None:
    assert marked(content, MARK) == content


def test_the_mark_is_not_that_of_the_limits() -> None:
    """libvirt finds an element of the metadata by its namespace alone."""
    assert libvirt.HELD != NAMESPACE
