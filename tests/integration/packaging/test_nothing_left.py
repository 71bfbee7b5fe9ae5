# SPDX-License-Identifier: GPL-2.0-or-later
"""What an admin and the timers have made since the installation goes with the packages, in each format."""

from __future__ import annotations

from backstay import __version__
from tests.integration.packaging.built import PARTS
from tests.integration.packaging.test_installed import play

TIMERS = "backstay-agents.timer backstay-fence.timer backstay-metrics.timer"
TEXTS = "/var/lib/prometheus/node-exporter"
# A lab of this machine is none of the copy's.
ALONE = """mkdir -p {place}/root/var/lib/backstay-lab
for each in cache lib/backstay-lab; do mount -t tmpfs none {place}/root/var/$each; done
"""
USED = f"""inside systemctl enable {TIMERS} backstay-ganeti-node.service >&2
inside mkdir -p {TEXTS} /var/lib/backstay/checkpoints /var/lib/backstay/definitions /run/backstay /var/cache/backstay
inside touch {TEXTS}/backstay.prom {TEXTS}/backstay-fence.prom {TEXTS}/another.prom /run/backstay/inhibit
links() {{{{ find {{place}}/root/etc/systemd -name 'backstay-*' | LC_ALL=C sort; }}}}
told() {{{{ ls {{place}}/root{TEXTS}; }}}}
echo "@enabled"; links | wc -l
"""
AFTERWARDS = """echo "@links"; links
echo "@told"; told
echo "@rest"; here | LC_ALL=C comm -13 {place}/before -
echo "@cache"; ls -d {place}/root/var/cache/backstay {place}/root/run/backstay {place}/root/var/lib/backstay 2>/dev/null || true
"""


def test_a_purge_leaves_nothing(deb, tmp_path):
    files = " ".join(f"/mnt/{name}_{__version__}_all.deb" for name in PARTS)
    script = f"""{ALONE}inside dpkg --force-depends -i {files} >&2
{USED}inside dpkg --remove {" ".join(PARTS)} >&2
echo "@removed"; links | wc -l; told
inside dpkg --purge {" ".join(PARTS)} >&2
{AFTERWARDS}"""
    said = play(script, tmp_path, deb.file.parent)
    assert said["enabled"] == "4"
    assert said["removed"].split() == ["4", "another.prom"], (
        "what was enabled is so again when it is installed again"
    )
    assert said["links"] == said["rest"] == said["cache"] == ""
    assert said["told"] == "another.prom"


def test_an_erased_rpm_leaves_what_the_host_remembered(rpm, tmp_path):
    """RPM knows no purge: whose BMC is whose, configurations of before and copies of definitions stay."""
    packages = "rpm --root {place}/root --dbpath /var/lib/rpm"
    script = f"""{ALONE}{packages} --initdb
{packages} --install --nodeps {{place}}/root/mnt/*.rpm >&2
{USED}{packages} --erase --nodeps {" ".join(PARTS)} >&2
{AFTERWARDS}"""
    said = play(script, tmp_path, rpm.file.parent)
    assert said["enabled"] == "4"
    assert said["links"] == ""
    assert said["told"] == "another.prom"
    assert said["rest"].split("\n") == ["run/backstay", "var/lib/backstay"]
