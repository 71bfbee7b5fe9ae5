# SPDX-License-Identifier: GPL-2.0-or-later
"""Every cluster script, run by the real crmsh on a live cluster: it makes what its template makes.

The cluster is in maintenance mode, so that nothing of storage that is not there is started; only probes run.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

from backstay.cib.alone import add, render_alone
from tests.integration.cib.test_crm_scripts_live import SCRIPTED, parameters, shape, without
from tests.integration.cib.test_templates_alone import BASE
from tests.unit.cib.test_shipped_templates import SHIPPED

pytestmark = pytest.mark.long
MAINTENANCE = {"id": "rehearsal", "name": "maintenance-mode", "value": "true"}
RBD = "/usr/lib/ocf/resource.d/ceph/rbd"
# Its name is that of a host that is not there.
ELSEWHERE = frozenset({"remote-full"})


@pytest.fixture
def prepared(lab):
    """A host of a cluster in maintenance mode, and its configuration with what the templates build on."""
    cache = Path(os.environ.get("BACKSTAY_CACHE", "/var/cache/backstay")) / "schemas"
    node = lab.node("n1")
    for one in lab.nodes:
        one.check(f"mkdir -p {Path(RBD).parent}")
        one.write(RBD, (cache / "rbd").read_text(), mode=0o755)
    cib = etree.fromstring(node.check("cibadmin --query").encode())
    for name, given in BASE:
        cib = add(cib, render_alone(SHIPPED, name, given))
    etree.SubElement(cib.find("configuration/crm_config/cluster_property_set"), "nvpair", MAINTENANCE)
    yield node, cib
    lab.wanted = ""  # built anew: a script may have left anything


def configure(node, cib):
    """Make it the live configuration."""
    node.write("/root/base.xml", etree.tostring(cib.find("configuration")).decode())
    node.check("cibadmin --replace --scope configuration --xml-file /root/base.xml", timeout=60)


def test_every_script_is_loaded_into_a_live_cluster(prepared):
    node, cib = prepared
    wrong = {}
    for label, (name, given) in SCRIPTED.items():
        if label in ELSEWHERE:
            continue
        words, kept = parameters(name, given)
        made = render_alone(SHIPPED, name, kept)
        base = without(etree.fromstring(etree.tostring(cib)), made)
        configure(node, base)
        done = node.run(["crm", "script", "run", f"backstay-{name}", *words], timeout=180)
        loaded = etree.fromstring(node.check("cibadmin --query").encode())
        if not (done.ok and shape(loaded) == shape(add(base, made))):
            wrong[label] = done.stdout + done.stderr
    assert wrong == {}
