# SPDX-License-Identifier: GPL-2.0-or-later
"""Values that would break XML or reach a shell, where a description takes them: all the way into a CIB, and literally."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from lxml import etree

from backstay.cib import schema
from backstay.cib.document import parse, write
from backstay.cib.files import files_of
from backstay.cib.merge import merge
from backstay.cib.render import render
from backstay.cloud.parse import parse as parse_cloud
from backstay.host.pacemaker import Pacemaker
from tests.integration.cib.conftest import with_hosts

# Each of these would leave a file behind that a shell, a template engine or an XML parser had acted upon.
HOSTILE = {
    "shells": "$(touch {canary}) `touch {canary}` ; touch {canary} ; ' ; touch {canary} ; ' \" & touch {canary} & \" |",
    "others": "<evil/> ]]> &amp;&lt; --><x/><!-- %s%n é漢😀 {{{{ 7 * 7 }}}} {{% raw %}} {{{{name}}}} \\\\$HOME",
}
EMPTY = b"""<cib admin_epoch="0" epoch="5" num_updates="7" validate-with="pacemaker-3.9" crm_feature_set="3.16.1">
<configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>"""


def described(text):
    """A description with `text` wherever it is taken."""
    path = "/srv/" + text.replace("/", "_")
    return {
        "cluster": {"name": "hostile"},
        "hosts": {
            f"n{number}": {
                "address": f"10.0.0.{number}",
                "bmc": {"address": f"10.0.1.{number}", "username": "fencer", "password_script": path},
            }
            for number in (1, 2, 3)
        },
        "storage": {
            "store": {
                "type": "nfs",
                "server": "nas",
                "export": path,
                "directory": path,
                "options": text or "x",
            }
        },
        "domains": {
            "web1": {
                "config": f"{path}/web1.xml",
                "memory": "1 GiB",
                "vcpus": 1,
                "disks": [f"{path}/web1.img"],
                "snapshot": f"{path}/save",
                "backingfile": f"{path}/base",
            }
        },
        "devices": {"pdu": {"agent": "fence_apc_snmp", "hosts": {"n1": "1"}, "parameters": {"snmp_x": text}}},
        "alerts": {"told": {"program": path, "recipients": [text], "parameters": {"from": text}}},
    }


def values(cib):
    """Every value in a configuration."""
    return {value for element in cib.find("configuration").iter("*") for value in element.attrib.values()}


@pytest.fixture
def cluster(need, tmp_path):
    """A "cluster" that is a CIB file, and the file."""
    need("cibadmin", "crm_diff", "crm_verify")
    path = tmp_path / "cib.xml"
    path.write_bytes(write(with_hosts(etree.fromstring(EMPTY))))
    return Pacemaker({"CIB_file": str(path)}), path


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_it_stands_literally_in_the_cib_and_nobody_ran_it(shipped, cluster, tmp_path, hostile):
    pacemaker, path = cluster
    canary = tmp_path / "canary"
    text = hostile.format(canary=canary)
    description = json.dumps(described(text), ensure_ascii=False).encode()
    cloud = parse_cloud(description, "c.yaml")
    live = pacemaker.live()
    new = merge(parse(live, "live"), render(cloud, shipped))
    assert pacemaker.replace(live, etree.tostring(new)) is True
    loaded = etree.parse(str(path)).getroot()
    assert schema.check(loaded) == ()
    assert {text, f"/srv/{text.replace('/', '_')}/web1.xml"} <= values(loaded)
    assert not list(loaded.iter("evil", "x"))
    mine = tmp_path / "mine.yaml"
    mine.write_bytes(description)
    for words in (
        ("validate", mine),
        ("render", mine, "--directory", tmp_path / "out"),
        ("plan", mine, "--cib", path),
    ):
        argv = [sys.executable, "-m", "backstay", *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    assert "nothing changes" in done.stdout
    assert files_of(cloud)[0].content.count("{") == files_of(cloud)[0].content.count("}")
    assert not canary.exists()


MIRRORED = rb"""
cluster: {name: demo}
hosts:
  n1: {address: 192.0.2.1, bmc: {address: 192.0.2.101, username: u, password_file: /p}}
  n2: {address: 192.0.2.2, bmc: {address: 192.0.2.102, username: u, password_file: /p}}
domains:
  web1:
    config: /srv/vm/web1.xml
    memory: 1 GiB
    vcpus: 1
    drbd: {hosts: [n1, n2], generation: 9, port: 7790, volumes: {0: {disk: '%s', minor: 10}}}
"""


@pytest.mark.parametrize(
    "disk", [r"/dev/disk/by-partlabel/a\x20b", '/dev/a"; } evil {', r"/dev/a\"b\\", "/dev/a #b"]
)
def test_drbdadm_reads_the_disk_that_was_described(need, tmp_path, disk):
    cloud = parse_cloud(MIRRORED % disk.encode(), "c.yaml")
    (text,) = (file.content for file in files_of(cloud) if file.name == "drbd.d/web1.res")
    (tmp_path / "web1.res").write_text(text)
    as_n1 = 'hostname n1; exec "$@"'
    ask = (need("drbdadm"), "--config-file", tmp_path / "web1.res", "sh-ll-dev", "web1")
    argv = [need("unshare"), "--uts", "sh", "-euc", as_n1, "sh", *map(str, ask)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, f"{disk}\n"), done.stderr
