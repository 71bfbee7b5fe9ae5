# SPDX-License-Identifier: GPL-2.0-or-later
"""DRBD's version, configuration and words in the kernel's log, as text."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.host.drbd import version_in
from backstay.host.drbd_configured import read
from backstay.host.drbd_log import last_word


@pytest.mark.parametrize(
    "text,version",
    [
        ("8.4.11\n", (8, 4, 11)),
        ("version: 8.4.11 (api:1/proto:86-101)\nsrcversion: ABC", (8, 4, 11)),
        ("9.2.4-1\n", (9, 2, 4)),
        ("", ()),
        ("version: new", ()),
    ],
)
def test_versions(text, version):
    assert version_in(text) == version


# drbdadm 9.22 and drbdadm-84 of the same package, dump-xml of one resource.
NINE = """<resource name="web1" conf-file-line="/etc/drbd.d/web1.res:3">
    <host name="n1"><volume vnr="0"><device minor="10"></device><disk>/dev/vg/web1</disk></volume></host>
    <host name="n2"><volume vnr="0"><device minor="10"></device><disk>/dev/vg/web1</disk></volume></host>
    <connection><host name="n1"/><host name="n2"/><section name="net"><option name="_name" value="n2"/></section></connection>
    <section name="net">
        <option name="allow-two-primaries" value="yes"/>
        <option name="fencing" value="resource-and-stonith"/>
    </section>
    <section name="handlers"><option name="fence-peer" value="/usr/lib/drbd/backstay-drbd-fence fence"/></section>
</resource>"""
EIGHT = NINE.replace('<option name="fencing" value="resource-and-stonith"/>', "").replace(
    "</resource>",
    '<section name="disk"><option name="fencing" value="resource-and-stonith"/></section></resource>',
)


@pytest.mark.parametrize("text", [NINE, EIGHT], ids=["9", "8.4"])
def test_a_configuration(text):
    there = read(text)
    assert (there.hosts, there.two_primaries, there.fencing) == (("n1", "n2"), True, "resource-and-stonith")
    assert there.handlers["fence-peer"].endswith(" fence")


def test_what_is_not_said_is_the_default():
    there = read('<config><resource name="r"><host name="n1"/></resource></config>')
    assert (there.two_primaries, there.fencing) == (False, "dont-care")


@pytest.mark.parametrize("text", ["", "<config/>", "drbdadm: no"])
def test_no_configuration(text):
    with pytest.raises(CannotAsk):
        read(text)


TORN = "6,1,2,-;block drbd10: Split-Brain detected but unresolved, dropping connection!"
WHOLE = "6,3,4,-;drbd web1: conn( WFReportParams -> Connected )"


@pytest.mark.parametrize(
    "records,torn",
    [
        ([], False),
        ([TORN], True),
        ([TORN.replace("block drbd10", "drbd web1 n2")], True),
        ([TORN.replace("drbd10", "drbd1")], False),
        ([TORN.replace("block drbd10", "drbd web10")], False),
        ([TORN, WHOLE], False),
        ([WHOLE, TORN], True),
        ([TORN, WHOLE.replace("web1", "web2")], True),
        # As the kernel said it when one side gave its changes up.
        (["6,1,2,-;block drbd10: Split-Brain detected, manually solved. Sync from this node"], False),
        (
            [TORN, "6,4,5,-;block drbd10: peer( Unknown -> Secondary ) conn( WFReportParams -> WFBitMapS )"],
            False,
        ),
        ([TORN, "6,4,5,-;drbd web1: conn( StandAlone -> Unconnected ) "], True),
    ],
)
def test_the_kernels_last_word_about_a_split_brain(records, torn):
    assert last_word(records, "web1", (10,)) is torn
