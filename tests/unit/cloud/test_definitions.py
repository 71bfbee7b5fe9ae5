# SPDX-License-Identifier: GPL-2.0-or-later
"""What a readable definition makes needless, and what contradicts it."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest

from backstay.cloud.definition import facts
from backstay.cloud.parse import parse
from backstay.cloud.problems import InvalidDescription
from backstay.host.definition_files import DefinitionFiles

XML = b"""<domain type='kvm'><name>web1</name><uuid>5A3C1F0E-7D64-4B51-9A0E-0D1B00000001</uuid>
<memory unit='GiB'>2</memory><currentMemory unit='GiB'>1</currentMemory><vcpu placement='static' current='1'>4</vcpu>
<devices>
<disk type='file' device='disk'><source file='/srv/a.qcow2'/></disk>
<disk type='block'><source dev='/dev/vg/b'/></disk>
<disk type='file' device='cdrom'><source file='/srv/cd.iso'/><readonly/></disk>
<disk type='file'><source file='/srv/shared.img'/><shareable/></disk>
<disk type='network'><source protocol='rbd' name='pool/c'/></disk>
</devices></domain>"""
CLOUD = """cluster: {{name: demo}}
hosts: {{n1: {{address: 10.0.0.1, bmc: {{address: 10.0.1.1, username: f, password_file: /p}}}}}}
domains:
  web1: {{config: /srv/web1.xml{more}}}
"""


def described(more="", content=XML):
    """The only domain of a cloud whose definition has `content`."""
    cloud = parse(CLOUD.format(more=more).encode(), "c.yaml", lambda path: content)
    return cloud.domains[0]


def problems(more="", content=XML, reader=None):
    """What is said."""
    with pytest.raises(InvalidDescription) as caught:
        parse(CLOUD.format(more=more).encode(), "c.yaml", reader or (lambda path: content))
    return [str(problem).removeprefix("c.yaml:") for problem in caught.value.problems]


def test_what_the_definition_says_need_not_be_repeated():
    domain = described()
    assert (domain.uuid, domain.memory, domain.vcpus) == (
        "5a3c1f0e-7d64-4b51-9a0e-0d1b00000001",
        2 * 2**30,
        4,
    )
    assert domain.disks == (PurePosixPath("/srv/a.qcow2"), PurePosixPath("/dev/vg/b"))


def test_what_is_repeated_may_be_written_otherwise():
    more = ", memory: 2048 MiB, vcpus: 4, uuid: 5a3c1f0e-7d64-4b51-9a0e-0d1b00000001, disks: [/dev/vg/b, /srv/a.qcow2]"
    assert described(more).memory == 2 * 2**30


def test_a_contradiction_is_an_error_with_its_place():
    more = ", memory: 4 GiB, vcpus: 2, uuid: 5a3c1f0e-7d64-4b51-9a0e-0d1b00000002, disks: /srv/other.img"
    assert problems(more, XML.replace(b"<name>web1", b"<name>web2")) == [
        "4:3: found the domain `web1` with the definition of `web2`, expected the name that `/srv/web1.xml` has",
        "4:41: found `4096 MiB` for `memory` of `web1`, expected `2048 MiB`, as `/srv/web1.xml` says",
        "4:55: found `2` for `vcpus` of `web1`, expected `4`, as `/srv/web1.xml` says",
        "4:64: found `5a3c1f0e-7d64-4b51-9a0e-0d1b00000002` for `uuid` of `web1`, expected "
        "`5a3c1f0e-7d64-4b51-9a0e-0d1b00000001`, as `/srv/web1.xml` says",
        "4:109: found `/srv/other.img` for `disks` of `web1`, expected `/srv/a.qcow2`, `/dev/vg/b`, as `/srv/web1.xml` says",
    ]


def test_a_definition_that_cannot_be_read_here_is_missed_only_when_it_is_needed():
    assert (
        parse(CLOUD.format(more=", memory: 1 GiB, vcpus: 1").encode(), "c.yaml", lambda path: None)
        .domains[0]
        .uuid
        == ""
    )
    assert problems(reader=lambda path: None) == [
        "4:9: found the domain `web1` without `memory`, expected the key `memory`, or a definition that can be read here",
        "4:9: found the domain `web1` without `vcpus`, expected the key `vcpus`, or a definition that can be read here",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "a definition that libvirt cannot use ("),
        (b"<domain>", "a definition that libvirt cannot use ("),
        (b"<network/>", "(<network> where <domain> is expected)"),
        (b"<domain><memory unit='GiG'>1</memory></domain>", "(the unit 'GiG' of its <memory>)"),
        (b"<domain><memory>lots</memory></domain>", "('lots' where a whole number is expected)"),
        (b"<domain><vcpu>-1</vcpu></domain>", "('-1' where a whole number is expected)"),
        (b"<domain><uuid>x</uuid></domain>", "(its <uuid> is none: 'x')"),
    ],
)
def test_a_broken_definition_is_said_at_its_name(content, said):
    first = problems(", memory: 1 GiB, vcpus: 1", content)[0]
    assert first.startswith("4:18: found ")
    assert said in first


def test_memory_without_a_unit_is_libvirts_kib():
    assert facts(b"<domain><memory>1048576</memory></domain>").memory == 2**30


def test_nothing_outside_is_read_for_a_definition(tmp_path):
    (tmp_path / "secret").write_text("hunter2")
    text = (
        f"<!DOCTYPE domain [<!ENTITY x SYSTEM 'file://{tmp_path}/secret'>]><domain><name>&x;</name></domain>"
    )
    assert "hunter2" not in facts(text.encode()).name


def test_two_definitions_with_one_disk_are_reported():
    text = CLOUD.format(more="") + "  web2: {config: /srv/web2.xml}\n"
    second = XML.replace(b"web1", b"web2").replace(b"00000001", b"00000002")
    with pytest.raises(InvalidDescription) as caught:
        parse(text.encode(), "c.yaml", lambda path: XML if path.stem == "web1" else second)
    assert "`/srv/a.qcow2` for the domain `web2`, expected disks of its own" in str(caught.value)


def test_files_are_read_from_this_machine(tmp_path):
    (tmp_path / "web1.xml").write_bytes(XML)
    read = DefinitionFiles()
    assert read(PurePosixPath(tmp_path / "web1.xml")) == XML
    assert read(PurePosixPath(tmp_path / "web2.xml")) is None
    assert read(PurePosixPath("/nonexistent/web1.xml")) is None


def test_what_is_there_and_no_file_is_no_definition(tmp_path):
    """It is not passed over like one that lies on another machine, and nobody waits for a pipe."""
    os.mkfifo(tmp_path / "web1.xml")
    (tmp_path / "web2.xml").mkdir()
    (tmp_path / "web3.xml").symlink_to(tmp_path / "gone")
    read = DefinitionFiles()
    found = [read(PurePosixPath(tmp_path / f"web{number}.xml")) for number in (1, 2, 3)]
    assert found == [b"", b"", None]
    with pytest.raises(InvalidDescription) as caught:
        parse(CLOUD.format(more="").encode(), "c.yaml", lambda _: b"")
    assert "a definition that libvirt cannot use (Document is empty), expected a domain's XML" in str(
        caught.value
    )
