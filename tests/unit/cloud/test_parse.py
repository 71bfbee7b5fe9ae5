# SPDX-License-Identifier: GPL-2.0-or-later
"""What a description may say, and what is said about one that is wrong: line, column, found, expected, nearest."""

from __future__ import annotations

from fractions import Fraction
from pathlib import PurePosixPath

import pytest
import yaml

from backstay.cloud import tree
from backstay.cloud.model import Bmc, Cluster, Domain, Host, Libvirtd, Migration
from backstay.cloud.parse import parse, read
from backstay.cloud.problems import InvalidDescription
from backstay.cloud.units import Seconds
from backstay.errors import BadInput

GOOD = """\
cluster: {name: demo}
hosts:
  n1:
    address: 10.0.0.1
    bmc: {address: 10.0.1.1, username: fencer, password_file: /etc/pw}
  n2:
    address: n2.example.org
    bmc: {address: bmc2.example.org, username: fencer, password_script: /usr/bin/pw}
domains:
  web1:
    config: /srv/web1.xml
    memory: 1 GiB
    vcpus: 2
"""


@pytest.fixture(autouse=True, params=["CSafeLoader", "SafeLoader"])
def loader(request, monkeypatch):
    """PyYAML with and without libyaml: both must give the same answers."""
    monkeypatch.setattr(tree, "_LOADER", getattr(yaml, request.param))


def problems(text):
    """What is wrong with `text`, as the lines of the message without the file name."""
    with pytest.raises(InvalidDescription) as caught:
        parse(text.encode(), "c.yaml")
    return [str(problem).removeprefix("c.yaml:") for problem in caught.value.problems]


def changed(old, new):
    """GOOD with one thing changed."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize("key", ["priority_fencing_delay", "tie_delay"])
def test_a_delay_before_fencing_may_be_nothing(key):
    assert getattr(parse(f"{GOOD}policy: {{{key}: 0s}}\n".encode(), "c.yaml").policy, key) == 0
    assert problems(f"{GOOD}policy: {{failure_timeout: 0s}}\n") != []


def test_a_description_becomes_typed_data_in_the_order_of_the_file():
    cloud = parse(GOOD.encode(), "c.yaml")
    assert cloud.cluster == Cluster("demo")
    assert cloud.hosts == (
        Host("n1", "10.0.0.1", Bmc("10.0.1.1", "fencer", PurePosixPath("/etc/pw"), None), ("10.0.0.1",), 1),
        Host(
            "n2",
            "n2.example.org",
            Bmc("bmc2.example.org", "fencer", None, PurePosixPath("/usr/bin/pw")),
            ("n2.example.org",),
            2,
        ),
    )
    assert cloud.domains == (Domain("web1", PurePosixPath("/srv/web1.xml"), 2**30, 2),)


def test_everything_that_has_a_default_can_be_said():
    text = changed(
        "    vcpus: 2\n",
        """\
    vcpus: 2
    uuid: 5a3c1f0e-7d64-4b51-9a0e-0d1b00000001
    importance: 7
    prefers: [n2, n1]
    live_migration: no
    start_timeout: 1 min
    stop_timeout: 5 min
    migrate_timeout: 1 h
""",
    ).replace(
        "name: demo",
        "name: demo, hypervisor: 'qemu:///session', migration: {transport: ssh, unsafe: yes}, libvirtd: {heal_budget: 2 min}",
    )
    text = text.replace(
        "username: fencer,", "username: fencer, port: 6230, cipher: 3, privilege: administrator,", 1
    )
    cloud = parse(text.encode(), "c.yaml")
    assert cloud.cluster == Cluster(
        "demo", "qemu:///session", Migration("ssh", True), Libvirtd(Seconds(Fraction(120)))
    )
    assert (cloud.hosts[0].bmc.port, cloud.hosts[0].bmc.cipher, cloud.hosts[0].bmc.privilege) == (
        6230,
        3,
        "administrator",
    )
    domain = cloud.domains[0]
    assert (domain.uuid, domain.importance, domain.prefers) == (
        "5a3c1f0e-7d64-4b51-9a0e-0d1b00000001",
        7,
        ("n2", "n1"),
    )
    assert (domain.live_migration, domain.start_timeout, domain.stop_timeout) == (False, 60, 300)
    assert domain.migrate_timeout == 3600


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # keys
        ("cluster:", "clusters:", "1:1: found a cloud description without `cluster`, expected the key `cluster`"),
        ("  web1:", "  web1: {}\n  web1:", "11:3: found the key `web1` again, expected each key once (first in line 10)"),
        ("    vcpus: 2", "    vcpu: 2", "13:5: found the key `vcpu` in the domain `web1`, expected one of config, uuid, memory, "
         "vcpus, disks, hypervisor, storage, drbd, importance, prefers, after, live_migration and 16 more "
         "(did you mean `vcpus`?)"),
        ("    vcpus: 2\n", "", "11:5: found the domain `web1` without `vcpus`, expected the key `vcpus`"),
        # shapes
        ("cluster: {name: demo}", "cluster: demo", "1:10: found text for `cluster`, expected a mapping with keys"),
        ("    memory: 1 GiB", "    memory: [1 GiB]", "12:13: found a list for `memory`, expected a size such as `512 MiB` or `4 GiB`"),
        ("    vcpus: 2", "    vcpus:", "13:11: found nothing for `vcpus`, expected a whole number from 1 to 4096"),
        # values
        ("    memory: 1 GiB", "    memory: 1", "12:13: found `1` for `memory`, expected a size such as `512 MiB` or `4 GiB`"),
        ("    vcpus: 2", "    vcpus: 0", "13:12: found `0` for `vcpus`, expected a whole number from 1 to 4096"),
        ("    vcpus: 2", "    vcpus: 2\n    importance: high", "14:17: found `high` for `importance`, expected a whole number from 0 to 1000"),
        ("    vcpus: 2", "    vcpus: 2\n    stop_timeout: 30",
         "14:19: found `30` for `stop_timeout`, expected a time such as `30s`, `2 min` or `500 ms` of at least 20s "
         "(did you mean `30s`?)"),
        ("    vcpus: 2", "    vcpus: 2\n    live_migration: nope",
         "14:21: found `nope` for `live_migration`, expected `true` or `false` (did you mean `no`?)"),
        ("/srv/web1.xml", "web1.xml", "11:13: found `web1.xml` for `config`, expected an absolute path such as `/srv/vm/domains/web1.xml`"),
        ("/srv/web1.xml", "/srv/../web1.xml",
         "11:13: found `/srv/../web1.xml` for `config`, expected an absolute path such as `/srv/vm/domains/web1.xml`"),
        ("10.0.0.1\n", "10.0.0.256\n", "4:14: found `10.0.0.256` for `address`, expected an IP address or a DNS name"),
        ("username: fencer,", "username: fen cer,",
         "5:40: found `fen cer` for `username`, expected a BMC user of 1 to 16 characters without blanks"),
        ("username: fencer,", "username: fencer, cipher: 0,", "5:56: found `0` for `cipher`, expected a whole number from 1 to 17"),
        ("bmc2.example.org", "fe80::1%eth0", "8:20: found `fe80::1%eth0` for `address`, expected an IP address or a DNS name"),
        ("name: demo", "name: demo, hypervisor: 'qemu+ssh://n2/system'",
         "1:35: found `qemu+ssh://n2/system` for `hypervisor`, expected one of qemu:///system, qemu:///session, lxc:///system (did you mean `qemu:///system`?)"),
        ("    memory: 1 GiB", "    memory: 9 KiB", "12:13: found `9 KiB` for `memory`, expected a size such as `512 MiB` or `4 GiB`"),
        ("    vcpus: 2", "    vcpus: 2\n    stop_timeout: 19s", "14:19: found `19s` for `stop_timeout`, "
         "expected a time such as `30s`, `2 min` or `500 ms` of at least 20s"),
        ("username: fencer,", "username: fencer, privilege: operater,",
         "5:59: found `operater` for `privilege`, expected one of operator, administrator (did you mean `operator`?)"),
        ("name: demo", "name: demo, libvirtd: {heal_budget: soon}",
         "1:47: found `soon` for `heal_budget`, expected a time such as `30s`, `2 min` or `500 ms`"),
        ("name: demo", "name: demo, migration: {transport: tsl}",
         "1:46: found `tsl` for `transport`, expected one of ssh, tls, tcp (did you mean `tls`?)"),
        ("    vcpus: 2", "    vcpus: 2\n    uuid: 5A3C1F0E-7D64-4B51-9A0E-0D1B00000001",
         "14:11: found `5A3C1F0E-7D64-4B51-9A0E-0D1B00000001` for `uuid`, expected a UUID in lower case, as `virsh domuuid` prints it"),
        # names
        ("  n1:", "  n_1!:", "3:3: found the host `n_1!`, expected a name of letters, digits, `.`, `_` and `-` that begins with a "
         "letter or digit (at most 63)"),
        ("  web1:", "  1web:", "10:3: found the domain `1web`, expected a name of letters, digits, `.`, `_` and `-` that begins with a "
         "letter (at most 63)"),
        ("  web1:", "  libvirtd:", "10:3: found the domain `libvirtd`, expected a name that Backstay and Pacemaker do not use for themselves"),
        # what must agree
        ("  n2:", "  N1:", "6:3: found the name for the host `N1`, expected a name of its own (the host `n1` has this one)"),
        ("bmc2.example.org", "10.0.1.1", "8:20: found `10.0.1.1` for the BMC of `n2`, expected an address of its own (the BMC of `n1` has this one)"),
        ("10.0.1.1", "10.0.0.1", "5:20: found `10.0.0.1` for the BMC of `n1`, expected an address of its own (the host `n1` has this one)"),
        ("    vcpus: 2", "    vcpus: 2\n    prefers: [n1, n9]", "14:19: found `n9` for `prefers` of `web1`, expected the name of a host (n1, n2)"),
        ("    vcpus: 2", "    vcpus: 2\n    prefers: N2",
         "14:14: found `N2` for `prefers` of `web1`, expected the name of a host (n1, n2) (did you mean `n2`?)"),
        ("    vcpus: 2", "    vcpus: 2\n    prefers: [n1, n1]", "14:19: found `n1` for `prefers` of `web1` again, expected each host once"),
        # secrets
        ("password_file: /etc/pw", "password: /etc/pw", "5:48: found the key `password` in the BMC of n1, expected "
         "`password_file: /etc/backstay/bmc.password` (a description holds no secret)"),
        (", password_file: /etc/pw", "", "5:10: found the BMC of n1 without a password, expected `password_file` or `password_script`"),
        ("password_file: /etc/pw", "password_file: /etc/pw, password_script: /x",
         "5:89: found two sources of the password, expected one of them"),
        # YAML that is not needed and not safe
        ("name: demo", "name: &x demo", "1:17: found the anchor `&x`, expected no anchors"),
        ("name: demo", "name: *x", "1:17: found the alias `*x`, expected the value itself"),
        ("name: demo", "name: !!python/object:os.system demo", "1:17: found the tag `tag:yaml.org,2002:python/object:os.system`, expected no tags"),
        ("  web1:", "  ? [a]\n  :", "10:5: found a list or a mapping as a key, expected a word as a key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(old, new, said):
    assert said in problems(changed(old, new))


PIN = "ab" * 32
REDFISH = "{protocol: redfish, address: 10.0.1.1, username: fencer-of-the-cluster, password_file: /etc/pw"
OLD_BMC = "{address: 10.0.1.1, username: fencer, password_file: /etc/pw}"


def test_a_bmc_with_redfish():
    more = f", system: node-1, tls_ca: /etc/ca.pem, tls_fingerprint: [{PIN}, 'SHA256:{PIN}']}}"
    bmc = parse(changed(OLD_BMC, REDFISH + more).encode(), "c.yaml").hosts[0].bmc
    assert (bmc.protocol, bmc.port, bmc.system) == ("redfish", 443, "/redfish/v1/Systems/node-1")
    assert (bmc.tls_ca, bmc.tls_fingerprints) == (PurePosixPath("/etc/ca.pem"), (":".join(["AB"] * 32),) * 2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (", cipher: 3}", "found the key `cipher` in the BMC of n1, expected `protocol: ipmi`"),
        (", privilege: operator}", "found the key `privilege` in the BMC of n1, expected `protocol: ipmi`"),
        (", password: pw}", "found the key `password` in the BMC of n1, expected `password_file:"),
        (", tls_fingerprint: abcd}", "found `abcd` for `tls_fingerprint`, expected a SHA-256 fingerprint"),
        (
            ", system: a/b}",
            "found `a/b` for `system`, expected the id of a system, or its path below /redfish/",
        ),
        (", system: /redfish/../x}", "found `/redfish/../x` for `system`"),
        (", system: //elsewhere/redfish/}", "found `//elsewhere/redfish/` for `system`"),
        (", tls_ca: ca.pem}", "found `ca.pem` for `tls_ca`"),
    ],
)
def test_what_is_wrong_with_a_bmc_with_redfish(more, said):
    assert said in "\n".join(problems(changed(OLD_BMC, REDFISH + more)))


def test_keys_of_redfish_mean_nothing_with_ipmi_and_names_with_colons_nothing_with_redfish():
    assert "expected `protocol: redfish`" in "".join(
        problems(changed("username: fencer,", "username: f, system: x,"))
    )
    assert "without blanks and colons" in "".join(
        problems(changed(OLD_BMC, REDFISH.replace("fencer-", "a:") + "}"))
    )


def test_two_systems_of_one_service_are_two_bmcs():
    both = changed(OLD_BMC, REDFISH + ", system: '1'}").replace(
        "{address: bmc2.example.org, username: fencer, password_script: /usr/bin/pw}",
        REDFISH + ", system: '2'}",
    )
    assert [host.bmc.system[-1] for host in parse(both.encode(), "c.yaml").hosts] == ["1", "2"]
    assert "an address of its own" in "".join(problems(both.replace("system: '2'", "system: '1'")))


def test_two_ports_of_one_address_are_two_bmcs():
    text = changed("username: fencer,", "username: fencer, port: 6230,").replace(
        "bmc2.example.org", "10.0.1.1"
    )
    bmcs = [host.bmc for host in parse(text.encode(), "c.yaml").hosts]
    assert [(bmc.address, bmc.port) for bmc in bmcs] == [("10.0.1.1", 6230), ("10.0.1.1", 623)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: found nothing, expected the keys `cluster`, `hosts` and `domains`"),
        ("# only a comment\n", "1:1: found nothing, expected the keys `cluster`, `hosts` and `domains`"),
        ("- a\n", "1:1: found a list for a cloud description, expected a mapping with keys"),
        ("just words\n", "1:1: found text for a cloud description, expected a mapping with keys"),
        (GOOD + "---\nmore: 1\n", "14:1: found a second YAML document, expected one document"),
        (
            "a: " + "[" * 50 + "]" * 50,
            "1:19: found more than 16 levels, expected hosts, domains and their fields",
        ),
        ("a: \x07", "1:4: found the character U+0007, expected printable text"),
        ("hosts: {}\ndomains: {}\ncluster: {name: x}", "1:8: found no hosts, expected at least one host"),
    ],
)
def test_a_file_that_is_no_description_is_refused(text, said):
    assert said in problems(text)


def test_bytes_that_are_no_text_are_named_by_their_place():
    with pytest.raises(InvalidDescription) as caught:
        parse("cluster:\n  näme: ".encode() + b"\xff", "c.yaml")
    assert str(caught.value.problems[0]) == "c.yaml:2:9: found the byte 0xff, expected text in UTF-8"


def test_broken_yaml_is_named_by_its_place():
    (said,) = problems("cluster: {name: x\nhosts: }}")
    assert said.startswith("2:6: found YAML that cannot be read (")


def test_all_problems_are_said_at_once_in_file_order():
    text = (
        changed("memory: 1 GiB", "memory: 1")
        .replace("vcpus: 2", "vcpus: two")
        .replace("name: demo", "nmae: demo")
    )
    said = problems(text)
    assert [line.split(":")[0] for line in said] == ["1", "1", "12", "13"]


def test_a_secret_is_never_repeated():
    text = changed("password_file: /etc/pw", "password: hunter2, password_file: hunter3")
    assert "hunter" not in "\n".join(problems(text))


def test_hostile_values_are_shown_short_and_on_one_line():
    text = changed("/srv/web1.xml", '"\\e[31m\\n' + "x" * 10_000 + '"')
    (said,) = problems(text)
    assert len(said) < 250
    assert said.isprintable()


def test_many_problems_are_cut_short_in_the_message_but_not_in_the_list():
    text = GOOD + "".join(f"  d{number}: 1\n" for number in range(300))
    with pytest.raises(InvalidDescription) as caught:
        parse(text.encode(), "c.yaml")
    assert len(caught.value.problems) == 300
    assert "and 200 more" in str(caught.value)


def test_a_file_that_is_too_large_is_not_parsed():
    with pytest.raises(InvalidDescription, match="expected at most 8388608 bytes"):
        parse(b"#" * (8 * 2**20 + 1), "c.yaml")


def test_a_description_that_cannot_be_read_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        read(tmp_path / "nothing.yaml")


def test_the_example_is_a_good_description(repository):
    cloud = read(repository / "examples" / "three-hosts.yaml")
    assert [host.name for host in cloud.hosts] == ["n1", "n2", "n3"]
    assert [host.address for host in cloud.hosts] == ["10.77.0.11", "10.77.0.12", "10.77.0.13"]
    assert [host.bmc.address for host in cloud.hosts] == ["10.77.0.201", "10.77.0.202", "10.77.0.203"]
    assert sorted(domain.name for domain in cloud.domains) == ["db1", "db2", "mail1", "mail2", "web1", "web2"]
    assert all(str(domain.config) == f"/srv/vm/domains/{domain.name}.xml" for domain in cloud.domains)


def test_a_hostile_name_is_listed_harmlessly():
    name = r"\e[31m\a" + "y" * 900
    text = (
        "cluster: {name: demo}\nhosts: {n1: {address: 10.0.0.1}}\n"
        f'domains:\n  "{name}": {{config: /srv/1.xml, memory: 1 GiB, vcpus: 1}}\n'
        "  b: {config: /srv/2.xml, memory: 1 GiB, vcpus: 1, after: [c]}\n"
    )
    with pytest.raises(InvalidDescription) as caught:
        parse(text.encode(), "c.yaml")
    said = str(caught.value)
    assert "`c` for" in said
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) < 500
