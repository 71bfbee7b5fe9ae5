# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of the documentation that need no cluster of several hosts are carried out as they stand.

Each block that names this file (`<!-- done by ... -->`) is given whole to a shell, in a corner of this machine with an
/etc of its own, Pacemaker's tools on a CIB in a file, its CIB manager (alone, so only asked) for `backstay`, libvirt's test
driver with a domain web1, a package manager that only says what it would do, and a simulated BMC where n2's is in the
tutorial. The real ones see nothing of it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.docs.test_commands import BLOCKS, Block

REPOSITORY = Path(__file__).resolve().parents[3]
OURS = [block for block in BLOCKS if any(name.endswith(Path(__file__).name) for name in block.done)]
CORNER = """set -e
mount --make-rprivate /
mount -t tmpfs none {place}
mkdir {place}/upper {place}/work {place}/here
mount -t overlay none -o lowerdir=/etc,upperdir={place}/upper,workdir={place}/work /etc
for each in /run /dev/shm /srv /var/lib/backstay /var/lib/pacemaker /var/log/pacemaker; do
    [ ! -d $each ] || mount -t tmpfs none $each
done
ip link set lo up
mkdir -p /run/crm /var/lib/pacemaker/cib /var/lib/pacemaker/cores /etc/backstay /srv/vm/domains
cp {cib} /var/lib/pacemaker/cib/cib.xml
cp {cib} {place}/here/cib.xml
chown -R hacluster:haclient /run/crm /var/lib/pacemaker /var/log/pacemaker
chmod 600 /var/lib/pacemaker/cib/cib.xml
cp {repository}/examples/three-hosts.yaml /etc/backstay/cloud.yaml
cp {repository}/examples/three-hosts.yaml {place}/here/my-cloud.yaml
for name in backstay backstay-resource-agents backstay-fence-agents python3-backstay; do
    mkdir -p {place}/$name/DEBIAN
    printf 'Package: %s\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@x>\\nDescription: x\\n' $name >{place}/$name/DEBIAN/control
    dpkg-deb --build {place}/$name {place}/here/${{name}}_1_all.deb >/dev/null
done
printf 'APT::Get::Simulate "true";\\n' >{place}/apt.conf
/usr/lib/pacemaker/pacemaker-based --stand-alone >/dev/null 2>&1 &
tries=0
until cibadmin --query >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || {{ echo "Pacemaker's CIB manager does not answer" >&2; exit 99; }}
    sleep 0.2
done
case $1 in *fence_backstay_ipmi*)
    ip address add 10.0.1.12/32 dev lo
    mkdir {place}/bmc
    echo "fencer operator secret" >{place}/bmc/users
    install -m 600 /dev/null /etc/backstay/bmc.password
    printf secret >/etc/backstay/bmc.password
    PYTHONPATH={repository}/lib /usr/bin/python3 -m backstay.lab.bmc --directory {place}/bmc --address 10.0.1.12 --port 623 \
        --ready {place}/bmc/ready >/dev/null &
    tries=0
    until [ -e {place}/bmc/ready ]; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || {{ echo "the BMC does not answer" >&2; exit 99; }}
        sleep 0.2
    done ;;
esac
export PATH={repository}/bin:{repository}/fencing:$PATH HOME={place}/here APT_CONFIG={place}/apt.conf VIRSH_DEFAULT_CONNECT_URI=test://{domains}
export CIB_file={place}/cib.xml
cp {cib} {place}/cib.xml
cd {place}/here
exec sh -e -c "$1"
"""
DOMAINS = """<node><domain type='test'><name>web1</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>
<on_crash>destroy</on_crash></domain></node>
"""


@pytest.fixture(scope="module")
def cib(need, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's CIB with its three hosts, settled by the real scheduler."""
    place = tmp_path_factory.mktemp("cib") / "cib.xml"
    up = [word for host in ("n1", "n2", "n3") for word in ("--node-up", host)]
    golden = REPOSITORY / "tests/golden/three-hosts.xml"
    argv = [need("crm_simulate"), "--simulate", "--xml-file", golden, "--save-output", place, *up]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert place.exists(), done.stderr
    return place


@pytest.fixture
def carried_out(need, cib: Path, tmp_path: Path):
    """Carries out a script in such a corner; how it ended."""
    need("cibadmin", "virsh", "dpkg-deb", "/usr/lib/pacemaker/pacemaker-based")
    (tmp_path / "place").mkdir()
    (tmp_path / "domains.xml").write_text(DOMAINS)

    def run(script: str) -> subprocess.CompletedProcess[str]:
        corner = CORNER.format(
            place=tmp_path / "place", cib=cib, repository=REPOSITORY, domains=tmp_path / "domains.xml"
        )
        argv = ["unshare", "--mount", "--ipc", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
        return subprocess.run(
            [*argv, "bash", "-c", corner, "bash", script],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.mark.parametrize("block", OURS, ids=lambda block: f"{block.page}:{block.line}")
def test_each_block_that_names_this_file_is_carried_out(carried_out, block: Block) -> None:
    done = carried_out(block.text)
    assert done.returncode == 0, (
        f"{block.page}:{block.line} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    )


def test_there_are_some() -> None:
    assert len(OURS) > 10


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("backstay validate nothing.yaml", "there is no file nothing.yaml"),
        ("crm_resource --resource nothing --set-parameter a --parameter-value b", "nothing"),
        ("apt-get install no-such-package-anywhere", "Unable to locate package"),
        (
            "fence_backstay_ipmi --ip 10.0.1.12 --username nobody --password-file /etc/backstay/bmc.password --action status",
            "10.0.1.12",
        ),
        ("virsh dumpxml web2 >web2.xml", "failed to get domain 'web2'"),
    ],
)
def test_what_is_wrong_fails(carried_out, script: str, said: str) -> None:
    done = carried_out(script)
    assert done.returncode not in (0, 99)
    assert said in done.stderr


def test_what_is_done_is_done_to_the_corner_alone(carried_out) -> None:
    done = carried_out(
        "crm_attribute --name corner --update yes; touch /etc/backstay/corner; crm_attribute --name corner -G -q"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "yes"), done.stderr
    assert not Path("/etc/backstay/corner").exists()
