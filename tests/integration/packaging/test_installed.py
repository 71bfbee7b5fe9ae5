# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages installed with the real package managers, into a copy of this machine that is gone afterwards."""

from __future__ import annotations

import subprocess
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
here() {{ (cd {place}/root && find etc home opt run srv usr var -xdev \\( -path 'var/lib/backstay-lab' -o -path 'var/cache/backstay' -o \\
    -path '*/dpkg' -o -path 'tmp' \\) -prune -o -name '*backstay*' -print | LC_ALL=C sort); }}
rm -rf {place}/root/var/lib/backstay {place}/root/run/backstay
here >{place}/before
"""
SHOWN = """echo "@version"; inside backstay --version
echo "@domain"; inside /usr/lib/ocf/resource.d/backstay/domain meta-data
echo "@fence"; inside /usr/sbin/fence_backstay_ipmi -o metadata
echo "@compiled"; find {place}/root/usr/lib/backstay/ -name 'domain_stop.*.pyc' | grep -v delivered
"""
# As crmsh, pcs and crmsh's cluster scripts show them to an admin.
TOOLS = """echo "@list"; inside crm ra list ocf backstay
echo "@info"; inside crm ra info ocf:backstay:domain
echo "@stonith"; inside crm ra info stonith:fence_backstay_ipmi
echo "@describe"; inside pcs resource describe ocf:backstay:domain
echo "@fencing"; inside pcs stonith describe fence_backstay_ipmi
echo "@script"; inside crm script show backstay-domain
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
    assert said["compiled"].count("\n") == 0 and f"/{__version__}-" in said["compiled"]


def looks_right_to_tools(said: dict[str, str], repository: Path) -> None:
    """Each tool shows the agents, with their parameters, from the metadata that they give."""
    assert said["list"].split() == sorted(path.name for path in (repository / "agents").iterdir())
    for name in ("info", "describe"):
        assert "Starts, stops, watches and live-migrates one virtual machine" in said[name]
        assert "migration_transport" in said[name]
    assert "config (required) (unique group: config)" in said["describe"]
    for name in ("stonith", "fencing"):
        assert "IPMI 2.0" in said[name]
        assert "password_file" in said[name]
    assert said["script"].startswith("backstay-domain (Backstay)")


def test_deb_installed_removed_and_purged(repository, need, tmp_path):
    need("dpkg-buildpackage", "dpkg-deb", "crm", "pcs")
    built = subprocess.run(
        [repository / "scripts/build-deb"], capture_output=True, text=True, timeout=LIMIT, check=True
    )
    main = Path(built.stdout.strip())
    files = " ".join(f"/mnt/{each.name}" for each in parts(main))
    names = "backstay backstay-resource-agents backstay-fence-agents python3-backstay"
    script = f"""inside dpkg -i {files} >&2
{SHOWN}{asked(repository)}{TOOLS}inside mkdir -p /var/lib/backstay/checkpoints /run/backstay
inside dpkg --remove {names} >&2
echo "@removed"; here | LC_ALL=C comm -13 {{place}}/before -
inside dpkg --purge {names} >&2
{REST}"""
    said = play(script, tmp_path, main.parent)
    looks_installed(said)
    looks_right_to_tools(said, repository)
    assert "usr/" not in said["removed"], "what is kept until the purge is state, and no program"
    assert said["rest"] == ""


def test_rpm_installed_into_a_root_and_erased(repository, need, tmp_path):
    need("rpmbuild", "rpm2cpio")
    built = subprocess.run(
        [repository / "scripts/build-rpm"], capture_output=True, text=True, timeout=LIMIT, check=True
    )
    main = Path(built.stdout.strip())
    # Debian's packages are not in rpm's database, so what it depends on is there and not known to be.
    rpm = "rpm --root {place}/root --dbpath /var/lib/rpm"
    script = f"""{rpm} --initdb
{rpm} --install --nodeps {main.parent}/*.rpm >&2
{SHOWN}{asked(repository)}{rpm} --erase --nodeps $({rpm} --query --all) >&2
{REST}"""
    said = play(script, tmp_path, main.parent)
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
