# SPDX-License-Identifier: GPL-2.0-or-later
"""Who a definition says the domain is."""

from __future__ import annotations

import pytest

from backstay.agents.domain_definition import normal_uuid, parse
from backstay.errors import BadInput

UUID = "11111111-2222-3333-4444-555555555501"


@pytest.mark.parametrize(
    ("content", "name", "uuid"),
    [
        (f"<domain><name>web1</name><uuid>{UUID}</uuid></domain>", "web1", UUID),
        (
            f"<domain type='kvm'>\n  <name> web1 </name>\n <uuid>\n{UUID.upper()}\n</uuid></domain>",
            "web1",
            UUID,
        ),
        (f"<domain><name>web1</name><uuid>{UUID.replace('-', '')}</uuid></domain>", "web1", UUID),
        ("<domain><name>we<!-- not web2 -->b1</name></domain>", "web1", ""),
        ("<domain><!-- <name>web2</name> --><name>web1</name></domain>", "web1", ""),
        ("<domain><devices><name>disk</name></devices><name>web1</name></domain>", "web1", ""),
        ("<domain><name>web1</name><metadata><name>other</name></metadata></domain>", "web1", ""),
        ("<d:domain xmlns:d='urn:x'><d:name>web1</d:name></d:domain>", "web1", ""),
        (
            "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>a&amp;b</name></domain>",
            "a&b",
            "",
        ),
        ("<domain><name><![CDATA[web1]]></name></domain>", "web1", ""),
        ("<!DOCTYPE domain [<!ENTITY n 'web1'>]><domain><name>&n;</name></domain>", "web1", ""),
    ],
)
def test_name_and_uuid_are_found_whatever_the_xml_looks_like(content: str, name: str, uuid: str) -> None:
    found = parse(content.encode(), "/srv/web1.xml")
    assert (found.name, found.uuid) == (name, uuid)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "/srv/web1.xml:1: not XML"),
        (b"<domain>\n<name>web1</name", "/srv/web1.xml:2: not XML"),
        (b"<network><name>web1</name></network>", "<network> where <domain> is expected"),
        (b"<domain><uuid/></domain>", "no usable <name>"),
        (b"<domain><name>a/../b</name></domain>", "no usable <name>"),
        (b"<domain><name>web1</name><uuid>17</uuid></domain>", "not '17'"),
        (b"<?xml version='1.0' encoding='klingon'?><domain/>", "not XML"),
        (b"\x00\xff\xfe", "not XML"),
    ],
)
def test_what_is_no_definition_is_refused_with_file_and_reason(content: bytes, complaint: str) -> None:
    with pytest.raises(BadInput, match=r"/srv/web1\.xml") as error:
        parse(content, "/srv/web1.xml")
    assert complaint in str(error.value)


def test_a_definition_without_uuid_gets_the_one_of_the_parameter() -> None:
    definition = parse(b"<domain type='kvm'>\n <name>web1</name><memory>1</memory></domain>", "/x")
    assert f"<uuid>{UUID}</uuid><name>web1</name>" in definition.xml(UUID)
    again = parse(definition.xml(UUID).encode(), "/x")
    assert (again.name, again.uuid) == ("web1", UUID)
    assert again.xml("99999999-2222-3333-4444-555555555501") == definition.xml(UUID)


@pytest.mark.parametrize("given", ["", "web1", UUID[:-1], UUID + "0", UUID.replace("1", "g")])
def test_what_is_no_uuid_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must be a UUID"):
        normal_uuid(given)
