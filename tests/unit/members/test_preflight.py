# SPDX-License-Identifier: GPL-2.0-or-later
"""What speaks against a machine as a new host: one thing wrong at a time, and nothing about one that is as it should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from backstay.cloud.model import Bmc, Cloud, Cluster, Device, Domain, Host, Quorum, QuorumDevice, Storage
from backstay.cloud.units import Bytes
from backstay.host.far import Machine
from backstay.members.candidate import ERROR, NOTE, Candidate
from backstay.members.preflight import findings, questions, questions_to_members

SECRET = "/etc/backstay/bmc.password"
PROGRAMS = {"pacemaker": "2.1.5", "corosync": "3.1.7", "libvirt": "9.0.0", "backstay": "0.1"}
VIRSH = "Using library: libvirt 9.0.0\nRunning hypervisor: QEMU 7.2.22\n"
OURS = "totem {\n  cluster_name: demo\n}\nnodelist {\n  node {\n    name: n1\n    ring0_addr: 192.0.2.1\n  }\n}\n"
UNTOUCHED = OURS.replace("demo", "debian").replace("192.0.2.1", "127.0.0.1").replace("n1", "node1")


def host(number: int, *, remote: bool = False) -> Host:
    bmc = Bmc(f"192.0.2.10{number}", "fencer", PurePosixPath(SECRET), None)
    return Host(f"n{number}", f"192.0.2.{number}", bmc, (f"192.0.2.{number}",), number, remote)


DOMAIN = Domain(
    "web1",
    PurePosixPath("/srv/vm/web1.xml"),
    Bytes(1 << 30),
    1,
    disks=(PurePosixPath("/srv/disks/web1.raw"),),
)
MEMBER = Machine(
    "n1", "n1", programs=PROGRAMS, active={"corosync": "active", "pacemaker": "active"}, conf=OURS, libvirt=True,
    virsh=VIRSH, addresses={"n2": ("192.0.2.2",)}, key="k",
)  # fmt: skip
GOOD = Machine(
    "n2", "n2", 0.2, 0.1, PROGRAMS, libvirt=True, virsh=VIRSH, secrets={SECRET: "0:600:16"},
    addresses={"n1": ("192.0.2.1",), "n2": ("127.0.1.1",)},
)  # fmt: skip
CLOUD = Cloud(Cluster("demo"), (host(1), host(2)), (DOMAIN,))


def candidate(machine: Machine = GOOD, **facts: object) -> Candidate:
    base = Candidate(host(2), CLOUD, machine, {"n1": MEMBER}, "n1", "demo", {"n1": "identical"})
    return replace(base, **facts)  # type: ignore[arg-type]


def test_a_machine_that_is_as_it_should_be() -> None:
    assert findings(candidate()) == ()


WRONG = {
    "another name": ({"uname": "n22"}, "calls itself n22, not n2"),
    "no Pacemaker": ({"programs": {**PROGRAMS, "pacemaker": ""}}, "pacemaker is not installed"),
    "no libvirt": ({"programs": {**PROGRAMS, "libvirt": ""}}, "libvirt is not installed"),
    "an older Pacemaker": (
        {"programs": {**PROGRAMS, "pacemaker": "2.0.12"}},
        "it has pacemaker 2.0.12, n1 has 2.1.5",
    ),
    "another Backstay": ({"programs": {**PROGRAMS, "backstay": "0.2"}}, "it has Backstay 0.2, n1 has 0.1"),
    "a clock ahead": ({"offset": 3.2}, "its clock is 3 s ahead of that of n1"),
    "a clock behind": ({"offset": -61.0}, "its clock is 61 s behind that of n1"),
    "an unknown name": ({"addresses": {}}, "it does not know the name n1"),
    "no share": ({"missing": ("/srv/disks",)}, "/srv/disks is not there"),
    "no password": ({"secrets": {SECRET: ""}}, f"{SECRET} is missing or empty"),
    "an empty password": ({"secrets": {SECRET: "0:600:0"}}, f"{SECRET} is missing or empty"),
    "an open password": ({"secrets": {SECRET: "0:644:9"}}, "can be read by others than root"),
    "somebody's password": ({"secrets": {SECRET: "1000:600:9"}}, "can be read by others than root"),
    "a silent libvirtd": ({"libvirt": False}, "its libvirtd does not answer"),
    "autostart": ({"autostart": ("old",)}, "libvirt starts the guest old by itself there"),
    "a described guest": ({"running": ("web1",)}, "the guest web1 runs there already"),
    "another cluster's file": (
        {"conf": OURS.replace("demo", "other")},
        "it has the corosync.conf of the cluster other",
    ),
    "a cluster of the same name": (
        {"conf": OURS.replace("n1", "n9"), "active": {"corosync": "active"}},
        "Corosync runs there with n9",
    ),
    "another cluster's CIB": ({"cib": ("other", 4)}, "it has the configuration of the cluster other"),
    "a remote host's service": ({"active": {"pacemaker_remote": "active"}}, "pacemaker_remote runs there"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_what_to_do(case: str) -> None:
    facts, text = WRONG[case]
    (found,) = findings(candidate(replace(GOOD, **facts)))  # type: ignore[arg-type]
    assert found.severity == ERROR
    assert text in found.text
    assert found.todo


KNOWN = {
    "a newer Pacemaker": (
        candidate(replace(GOOD, programs={**PROGRAMS, "pacemaker": "2.1.10"})),
        "it has pacemaker",
    ),
    "another emulator": (
        candidate(replace(GOOD, virsh=VIRSH.replace("7.2", "8.0"))),
        "its emulator is QEMU 8.0.22",
    ),
    "a guest of its own": (candidate(replace(GOOD, running=("old",))), "the guest old runs there"),
    "an older processor": (candidate(cpus={"n1": "incompatible"}), "its processor lacks something"),
    "a quorum device": (
        candidate(cloud=replace(CLOUD, quorum=Quorum(device=QuorumDevice("q")))),
        "certificates",
    ),
}


@pytest.mark.parametrize("case", KNOWN)
def test_what_only_has_to_be_known(case: str) -> None:
    new, text = KNOWN[case]
    (found,) = findings(new)
    assert found.severity == NOTE
    assert text in found.text


def test_a_member_that_does_not_know_the_name() -> None:
    (found,) = findings(candidate(members={"n1": replace(MEMBER, addresses={})}))
    assert found.text == "n1 does not know the name n2"


@pytest.mark.parametrize(
    "facts",
    [
        {"conf": UNTOUCHED, "active": {"corosync": "active", "pacemaker": "active"}},
        {"cib": ("", 0)},
        {"cib": ("debian", 0)},
        {"cib": ("demo", 12)},
        {"conf": OURS},
        {"offset": 3.0, "doubt": 2.5},
    ],
)
def test_what_is_no_trouble(facts: dict[str, object]) -> None:
    assert findings(candidate(replace(GOOD, **facts))) == ()  # type: ignore[arg-type]


def test_a_remote_host_has_other_programs_and_no_secret() -> None:
    programs = {"pacemaker-remote": "/usr/sbin/pacemaker-remoted", "libvirt": "9.0.0", "backstay": "0.1"}
    machine = replace(GOOD, programs=programs)
    assert findings(candidate(machine, host=host(2, remote=True))) == ()
    (found,) = findings(candidate(replace(GOOD, active={"pacemaker": "active"}, programs=programs),
                                  host=host(2, remote=True)))  # fmt: skip
    assert "pacemaker runs there, and a remote host has none" in found.text
    assert not [word for word in questions(host(2, remote=True), CLOUD) if "secret" in word]


def test_errors_come_first() -> None:
    machine = replace(GOOD, running=("old",), autostart=("old",))
    assert [each.severity for each in findings(candidate(machine))] == [ERROR, NOTE]


def test_what_is_asked_leaves_out_what_pacemaker_mounts() -> None:
    asked = questions(host(2), CLOUD)
    assert asked == ("name:n1", "name:n2", "path:/srv/vm/web1.xml", "path:/srv/disks", f"secret:{SECRET}")
    mounted = replace(CLOUD, storage=(Storage("vm", "nfs", PurePosixPath("/srv/vm")),))
    assert "path:/srv/vm/web1.xml" not in questions(host(2), mounted)


BMC_SCRIPT, DEVICE_SCRIPT = "/usr/local/sbin/bmc-password", "/usr/local/sbin/pdu-password"
SCRIPTED = replace(
    CLOUD,
    hosts=(
        replace(host(1), bmc=Bmc("192.0.2.101", "fencer", None, PurePosixPath(BMC_SCRIPT))),
        host(2),
    ),
    devices=(Device("pdu", "fence_apc", (("n1", "1"),), password_script=PurePosixPath(DEVICE_SCRIPT)),),
)


def test_programs_that_print_a_password_are_asked_for_as_well() -> None:
    asked = [word for word in questions(host(2), SCRIPTED) if word.startswith("secret:")]
    assert asked == [f"secret:{SECRET}", f"secret:{BMC_SCRIPT}", f"secret:{DEVICE_SCRIPT}"]
    assert not [word for word in questions(host(2, remote=True), SCRIPTED) if "secret" in word]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("0:755:90", ""),
        ("0:700:90", ""),
        ("", "is missing or empty"),
        ("0:700:0", "is missing or empty"),
        ("0:644:90", "cannot be run"),
        ("1000:755:90", "can be changed by others than root"),
        ("0:775:90", "can be changed by others than root"),
        ("0:757:90", "can be changed by others than root"),
    ],
)
@pytest.mark.parametrize("path", [BMC_SCRIPT, DEVICE_SCRIPT])
def test_a_program_that_prints_a_password_is_no_secret_and_nobody_elses(
    path: str, told: str, said: str
) -> None:
    found = findings(candidate(replace(GOOD, secrets={path: told}), cloud=SCRIPTED))
    assert [each.severity for each in found] == [ERROR] * bool(said)
    assert all(each.text.startswith(path) and said in each.text for each in found)
    assert all(("0700" in each.todo) and ("0600" not in each.todo) for each in found)


CA, OTHER_CA = "/etc/backstay/bmc-ca.pem", "/etc/backstay/old-ca.pem"


def by_redfish(number: int, tls_ca: str, *, remote: bool = False) -> Host:
    made = host(number, remote=remote)
    assert made.bmc
    return replace(made, bmc=replace(made.bmc, protocol="redfish", tls_ca=PurePosixPath(tls_ca)))


SIGNED = replace(CLOUD, hosts=(by_redfish(1, OTHER_CA), by_redfish(2, CA)))


def test_who_is_asked_for_which_certificates() -> None:
    """The new host fences all of them; the members fence it."""
    joins = by_redfish(2, CA)
    asked = [word for word in questions(joins, SIGNED) if word.startswith("certificate:")]
    assert asked == [f"certificate:{OTHER_CA}", f"certificate:{CA}"]
    assert questions_to_members(joins) == ("name:n2", f"certificate:{CA}")
    assert questions_to_members(host(2)) == ("name:n2",)
    assert not [word for word in questions(by_redfish(2, CA, remote=True), SIGNED) if "certificate" in word]


@pytest.mark.parametrize(
    ("word", "said"),
    [("good", ""), ("missing", "is missing"), ("none", "holds no certificate"), ("", "cannot be read")],
)
@pytest.mark.parametrize("where", ["there", "on n1"])
def test_certificates_that_a_bmc_cannot_be_checked_with(where: str, word: str, said: str) -> None:
    words = {"there": {CA: "good", OTHER_CA: "good"}, "on n1": {CA: "good"}}
    words[where] |= {CA: word}
    machine, member = (
        replace(known, certificates=words[who]) for who, known in (("there", GOOD), ("on n1", MEMBER))
    )
    found = findings(candidate(machine, members={"n1": member}, host=by_redfish(2, CA), cloud=SIGNED))
    place = "" if where == "there" else " on n1"
    assert [each.text for each in found] == ([f"{CA} (tls_ca){place} {said}"] if said else [])
    assert all(each.severity == ERROR and each.todo for each in found)


def test_certificates_of_which_nothing_was_said_are_not_good() -> None:
    found = findings(candidate(host=by_redfish(2, CA), cloud=SIGNED))
    assert [each.text for each in found] == [
        f"{OTHER_CA} (tls_ca) cannot be read",
        f"{CA} (tls_ca) cannot be read",
        f"{CA} (tls_ca) on n1 cannot be read",
    ]
