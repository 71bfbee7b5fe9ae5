# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages installed with the real package managers, into a copy of this machine that is gone afterwards."""

from __future__ import annotations

import json
import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
from lxml import etree

from backstay import __version__
from backstay.lab.installation import parts

LIMIT = 600.0
# A layer over everything that is here, in memory and in a mount namespace of its own. Nothing runs in it (/run is
# empty), so it is for the packages an image that is being built. What others do on this machine meanwhile shows through
# it, so only what is called after Backstay counts.
COPY = """set -e
mount --make-rprivate /
mount -t tmpfs none {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay none -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {place}/root
mount -t tmpfs none {place}/root/run
mount --rbind /dev {place}/root/dev
mount --bind {packages} {place}/root/mnt
mount -t proc none {place}/root/proc
inside() {{ chroot {place}/root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }}
here() {{ (cd {place}/root && find etc home opt run srv usr var -xdev \\( -path 'var/lib/backstay-lab' -o -path 'var/cache/backstay' -o -path 'var/tmp' -o \\
    -path '*/dpkg' -o -path 'tmp' \\) -prune -o -name '*backstay*' -print | LC_ALL=C sort); }}
rm -rf {place}/root/var/lib/backstay {place}/root/run/backstay
here >{place}/before
"""
SHOWN = """echo "@version"; inside backstay --version
echo "@domain"; inside /usr/lib/ocf/resource.d/backstay/domain meta-data
echo "@fence"; inside /usr/sbin/fence_backstay_ipmi -o metadata
echo "@switched"; inside backstay agents switch && inside backstay agents switch --insist && inside backstay agents switch --output json
echo "@compiled"; find {place}/root/usr/lib/backstay/ -name 'domain_stop.*.pyc' | grep -v delivered
"""
# As crmsh, pcs and crmsh's cluster scripts show them to an admin.
TOOLS = """echo "@list"; inside crm ra list ocf backstay
echo "@stonith"; inside crm ra info stonith:fence_backstay_ipmi
echo "@fencing"; inside pcs stonith describe fence_backstay_ipmi
for agent in $(inside crm ra list ocf backstay); do
    inside crm ra info ocf:backstay:$agent >{place}/info && inside pcs resource describe ocf:backstay:$agent >{place}/described
    echo "@of-$agent"; cat {place}/info {place}/described
done
echo "@script"; inside crm script show backstay-domain
echo "@wizard"; inside crm script json '["show", "backstay-domain"]'
inside cibadmin --empty >{place}/root/root/cib.xml
complete() {{ inside env CIB_file=/root/cib.xml crm --compgen ${{#1}} "$1" 2>/dev/null; }}
echo "@complete-agent"; complete "crm configure primitive web9 ocf:backstay:do"
echo "@complete-parameter"; complete "crm configure primitive web9 ocf:backstay:domain params migration_t"
echo "@complete-fencing"; complete "crm configure primitive f stonith:fence_backstay_i"
echo "@complete-script"; complete "crm script run backstay-domain-d"
"""
REST = 'echo "@rest"; here | LC_ALL=C comm -13 {place}/before -\n'


def asked(repository: Path) -> str:
    """The superficial test of Debian's autopkgtest, which looks at what is installed."""
    return f"inside /bin/sh -s <{repository}/packaging/debian/tests/metadata >&2\n"


def play(script: str, tmp_path: Path, packages: Path) -> dict[str, str]:
    """What a script in such a copy printed, by the marks (`@name`) in it."""
    place = tmp_path / "copy"
    place.mkdir()
    text = (COPY + script).format(place=place, packages=packages)
    argv = ["unshare", "--mount", "--pid", "--fork", "--net", "/bin/bash", "-c", text]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, str] = {}
    for part in f"\n{done.stdout}".split("\n@")[1:]:
        name, _, said = part.partition("\n")
        found[name] = said.strip()
    return found


def looks_installed(said: dict[str, str]) -> None:
    assert said["version"] == f"backstay {__version__}"
    assert etree.fromstring(said["domain"].encode()).get("name") == "domain"
    assert etree.fromstring(said["fence"].encode()).get("name") == "fence_backstay_ipmi"
    switched = json.loads(said["switched"])
    assert (switched["switched"], switched["refused"]) == (True, "")
    assert switched["serves"].startswith(f"{__version__}-")
    assert said["compiled"].count("\n") == 0 and f"/{__version__}-" in said["compiled"]


def looks_right_to_tools(said: dict[str, str], repository: Path) -> None:
    """Each tool shows the agents, with their parameters, from the metadata that they give."""
    assert said["list"].split() == sorted(path.name for path in (repository / "agents").iterdir())
    assert "config (required) (unique group: config)" in said["of-domain"]
    for name in ("stonith", "fencing"):
        assert "IPMI 2.0" in said[name]
        assert "password_file" in said[name]
    for name in said["list"].split():
        agent = import_module(f"backstay.agents.{name}").AGENT
        assert said[f"of-{name}"].count(agent.shortdesc) >= 2, "crmsh and pcs say what it is"
        for each in agent.parameters.declared():
            assert len(re.findall(rf"^ *{each.name}\b", said[f"of-{name}"], re.MULTILINE)) >= 2, (
                name,
                each.name,
            )
    assert said["script"].startswith("backstay-domain (Backstay)")
    assert json.loads(said["wizard"])["name"] == "backstay-domain", "what Hawk asks for"
    assert said["complete-agent"].split() == ["domain"]
    assert said["complete-parameter"].split() == ["migration_transport="]
    assert said["complete-fencing"].split() == ["fence_backstay_ipmi"]
    assert said["complete-script"].split() == ["backstay-domain-drbd"]


def test_deb_installed_removed_and_purged(deb, repository, need, tmp_path):
    need("crm", "pcs")
    files = " ".join(f"/mnt/{each.name}" for each in parts(deb.file))
    names = "backstay backstay-resource-agents backstay-fence-agents python3-backstay"
    script = f"""inside dpkg -i {files} >&2
{SHOWN}{asked(repository)}{TOOLS}inside mkdir -p /var/lib/backstay/checkpoints /run/backstay
inside dpkg --remove {names} >&2
echo "@removed"; here | LC_ALL=C comm -13 {{place}}/before -
inside dpkg --purge {names} >&2
{REST}"""
    said = play(script, tmp_path, deb.file.parent)
    looks_installed(said)
    looks_right_to_tools(said, repository)
    assert "usr/" not in said["removed"], "what is kept until the purge is state, and no program"
    assert said["rest"] == ""


def test_rpm_installed_into_a_root_and_erased(rpm, repository, tmp_path):
    # Debian's packages are not in rpm's database, so what it depends on is there and not known to be.
    rpm_in_root = "rpm --root {place}/root --dbpath /var/lib/rpm"
    script = f"""{rpm_in_root} --initdb
{rpm_in_root} --install --nodeps {rpm.file.parent}/*.rpm >&2
{SHOWN}{asked(repository)}{rpm_in_root} --erase --nodeps $({rpm_in_root} --query --all) >&2
{REST}"""
    said = play(script, tmp_path, rpm.file.parent)
    looks_installed(said)
    assert said["rest"] == ""


@pytest.mark.parametrize("name", ["backstay_1.2_all.deb", "python3-backstay_1.2_all.deb"])
def test_what_lies_beside_a_package_belongs_to_it(tmp_path, name):
    for each in ("backstay", "backstay-doc", "backstay-lab", "backstay-fence-agents", "python3-backstay"):
        (tmp_path / f"{each}_1.2_all.deb").touch()
    (tmp_path / "backstay-resource-agents_1.1_all.deb").touch()
    wanted = ["python3-backstay", "backstay-fence-agents", "backstay"]
    assert [file.name for file in parts(tmp_path / name)] == [f"{each}_1.2_all.deb" for each in wanted]
    assert parts(tmp_path / "other_1_all.deb") == (tmp_path / "other_1_all.deb",)
