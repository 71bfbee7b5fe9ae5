# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parameters ask of libvirt for a migration, and which of them contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from backstay.agents.domain_migration_way import ALWAYS, contradiction, options, way
from backstay.agents.domain_parameters import DomainParameters
from backstay.ocf.parameters import BadParameter


def given(**values: Any) -> DomainParameters:
    return DomainParameters(**{"migration_auto_converge": False, **values})


@pytest.mark.parametrize(
    ("values", "remote"),
    [
        ({}, "qemu://n3.example.org/system"),
        ({"migration_transport": "ssh"}, "qemu+ssh://n3.example.org/system?no_tty=1"),
        (
            {"migration_transport": "ssh", "migration_user": "mover"},
            "qemu+ssh://mover@n3.example.org/system?no_tty=1",
        ),
        (
            {"hypervisor": "qemu:///session", "migration_transport": "tcp"},
            "qemu+tcp://n3.example.org/session",
        ),
        (
            {"hypervisor": "qemu:///system?socket=/x", "migration_transport": "tls"},
            "qemu+tls://n3.example.org/system",
        ),
        (
            {"remoteuri": "qemu+tls://%n-mgmt/system", "migration_transport": "ssh"},
            "qemu+tls://n3.example.org-mgmt/system",
        ),
    ],
)
def test_libvirt_there(values: dict[str, Any], remote: str) -> None:
    assert way(given(**values), "n3.example.org").remote == remote


@pytest.mark.parametrize(
    ("transport", "complaint"), [("libssh", ""), ("libssh2", ""), ("unix", "must be"), ("ssh2", "must be")]
)
def test_a_transport_that_leads_to_another_host(transport: str, complaint: str) -> None:
    """libvirt: "using unix socket and remote server 'n3' is not supported"; libssh and libssh2 are its own ssh."""
    environ = {"OCF_RESKEY_config": "/srv/web1.xml", "OCF_RESKEY_migration_transport": transport}
    found = DomainParameters.read(environ, lenient=True).wrong.get("migration_transport", "")
    assert complaint in found
    assert bool(complaint) == bool(found)


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        ({}, {}),
        ({"migration_network_suffix": "-mig"}, {"migrate_uri": "tcp://n3-mig.example.org"}),
        (
            {"migration_network_suffix": "-mig", "migrateport": 49300},
            {"migrate_uri": "tcp://n3-mig.example.org:49300"},
        ),
        ({"migrateport": 49300}, {"migrate_uri": "tcp://n3.example.org:49300"}),
        (
            {"migrateuri": "tcp://%n:5000", "migration_network_suffix": "-mig"},
            {"migrate_uri": "tcp://n3.example.org:5000"},
        ),
        ({"migrate_options": "--migrateuri tcp://%n:6000"}, {"migrate_uri": "tcp://n3.example.org:6000"}),
        ({"migration_speed": 50}, {"bandwidth": 50}),
        ({"migration_speed": 50, "migration_postcopy": True}, {"bandwidth": 50, "bandwidth.postcopy": 50}),
        ({"migration_compression": "mt"}, {"compression": "mt"}),
        ({"migrate_options": "--compressed"}, {}),
    ],
)
def test_settings(values: dict[str, Any], settings: dict[str, Any]) -> None:
    assert way(given(**values), "n3.example.org").settings == settings


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({"migration_auto_converge": True}, ("AUTO_CONVERGE",)),
        ({"migration_auto_converge": True, "migrate_options": "--auto-converge"}, ("AUTO_CONVERGE",)),
        ({"migration_compression": "xbzrle"}, ("COMPRESSED",)),
        ({"migration_postcopy": True}, ("POSTCOPY",)),
        ({"migrate_options": "--postcopy"}, ("POSTCOPY",)),
        ({"migrate_options": "--unsafe --tls"}, ("UNSAFE", "TLS")),
    ],
)
def test_flags(values: dict[str, Any], flags: tuple[str, ...]) -> None:
    chosen = way(given(**values), "n3")
    assert chosen.flags == ALWAYS + flags
    assert chosen.postcopy == ("POSTCOPY" in flags)


def test_by_default_only_the_guest_may_be_slowed_down() -> None:
    chosen = way(DomainParameters(), "n3")
    assert chosen.flags == (*ALWAYS, "AUTO_CONVERGE")
    assert (chosen.settings, chosen.downtime, chosen.postcopy) == ({}, 0, False)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"migration_speed": 5, "migrate_options": "--bandwidth=6"}, ("migration_speed", "--bandwidth")),
        (
            {"migrateuri": "tcp://%n", "migrate_options": "--migrateuri=tcp://%n"},
            ("migrateuri", "--migrateuri"),
        ),
        (
            {"migration_network_suffix": "-m", "migrate_options": "--migrateuri=tcp://%n"},
            ("migration_network_suffix", "--migrateuri"),
        ),
        ({"migrateport": 4, "migrate_options": "--migrateuri=tcp://%n"}, ("migrateport", "--migrateuri")),
        ({"migrateport": 4, "migrate_options": "--tunnelled"}, ("migrateport", "--tunnelled")),
        ({"migrate_options": "--tunnelled --migrateuri=tcp://%n"}, ("--migrateuri", "--tunnelled")),
        ({"migrate_options": "--tunnelled --tls"}, ("--tls", "--tunnelled")),
        ({"migrate_options": "--tunnelled --parallel"}, ("--parallel", "--tunnelled")),
        ({"migration_postcopy": True, "migrate_options": "--tunnelled"}, ("postcopy", "--tunnelled")),
        ({"migration_postcopy": True, "migrate_options": "--parallel"}, ("postcopy", "--parallel")),
        ({"migrate_options": "--postcopy --parallel"}, ("--postcopy", "--parallel")),
    ],
)
def test_a_contradiction_is_one_sentence_that_names_both(
    values: dict[str, Any], words: tuple[str, ...]
) -> None:
    sentence = contradiction(given(**values))
    assert all(word in sentence for word in words)
    assert "leave one" in sentence or "exclude each other" in sentence


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"migration_speed": 5, "migrate_options": "--unsafe"},
        {"migration_auto_converge": True, "migrate_options": "--auto-converge"},
        {"migration_compression": "mt", "migrate_options": "--compressed"},
        {"migrateuri": "tcp://%n", "migration_network_suffix": "-mig", "migrateport": 5},
        {"remoteuri": "qemu+tls://%n/system", "migration_transport": "tls"},
        {"migrate_options": "nonsense"},
    ],
)
def test_what_goes_together_is_no_contradiction(values: dict[str, Any]) -> None:
    assert contradiction(given(**values)) == ""


def test_where_they_contradict_each_other_the_options_win() -> None:
    chosen = way(given(migration_speed=5, migrateport=1, migrate_options="--bandwidth=6 --tunnelled"), "n3")
    assert chosen.settings == {"bandwidth": 6}
    assert not way(given(migration_postcopy=True, migrate_options="--tunnelled"), "n3").postcopy
    assert not way(given(migration_postcopy=True, migrate_options="--parallel"), "n3").postcopy


def test_migrate_options() -> None:
    flags, settings = options("--live --p2p --unsafe --bandwidth=100 --migrateuri tcp://n3")
    assert flags == ("LIVE", "PEER2PEER", "UNSAFE")
    assert settings == {"bandwidth": 100, "migrate_uri": "tcp://n3"}


def test_what_says_which_storage_is_copied_is_not_left_out() -> None:
    """Without it libvirt refuses, or with --unsafe the guest goes on with the older disk that lies at the target."""
    words = "--copy-storage-inc --migrate-disks vda,vdb"
    environ = {"OCF_RESKEY_config": "/x.xml", "OCF_RESKEY_migrate_options": words}
    chosen = way(DomainParameters.read(environ, lenient=False), "n3")
    assert "NON_SHARED_INC" in chosen.flags
    assert chosen.settings == {"migrate_disks": ["vda", "vdb"]}


@pytest.mark.parametrize("kept", ["", "--unsafe", "--bandwidth=6 --unsafe"])
@pytest.mark.parametrize(
    "strange",
    ["unsafe", "--bandwidth", "--bandwidth=much", "--timeout=60", "--timeout 60", "--unsafe=no"],
)
@pytest.mark.parametrize("comes_first", [True, False])
def test_of_migrate_options_only_what_is_not_understood_is_left_out_and_it_is_named(
    kept: str, strange: str, comes_first: bool
) -> None:
    """--unsafe must not be lost for a word beside it: the guest could not migrate any more."""
    words = f"{strange} {kept}" if comes_first else f"{kept} {strange}"
    environ = {"OCF_RESKEY_config": "/x.xml", "OCF_RESKEY_migrate_options": words}
    parameters = DomainParameters.read(environ, lenient=True)
    assert way(parameters, "n3").flags == way(DomainParameters(migrate_options=kept), "n3").flags
    assert way(parameters, "n3").settings == way(DomainParameters(migrate_options=kept), "n3").settings
    named = strange.replace(" ", "=") if strange.startswith("--timeout") else strange.split()[-1]
    assert f"without {named}" in parameters.warnings[0]
    assert parameters.warnings[0].endswith(f"{kept!r} is used" if kept else "the default is used")
    with pytest.raises(BadParameter, match="migrate_options must be made of"):
        DomainParameters.read(environ, lenient=False)


def test_options_of_virsh_that_change_nothing_here_are_taken_silently() -> None:
    words = "--verbose --live --p2p"
    environ = {"OCF_RESKEY_config": "/x.xml", "OCF_RESKEY_migrate_options": words}
    assert (
        way(DomainParameters.read(environ, lenient=False), "n3").flags == way(DomainParameters(), "n3").flags
    )


def test_a_value_may_have_an_equals_sign() -> None:
    assert options("--migrateuri=rdma://n3?a=b")[1] == {"migrate_uri": "rdma://n3?a=b"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("migration_user", "-x"),
        ("migration_user", "a b"),
        ("migration_user", "a@b"),
        ("remoteuri", "qemu+tls://n3/system"),
        ("remoteuri", "%n"),
        ("migrateuri", "tcp://n3"),
        ("migration_network_suffix", "/x"),
        ("migrateport", "70000"),
        ("migration_downtime", "-1"),
        ("migration_speed", "fast"),
        ("migration_compression", "zip"),
        ("migration_postcopy", "perhaps"),
    ],
)
def test_a_wrong_value_is_refused(name: str, value: str) -> None:
    environ = {"OCF_RESKEY_config": "/x.xml", f"OCF_RESKEY_{name}": value}
    assert DomainParameters.read(environ, lenient=True).warnings
    with pytest.raises(Exception, match=f"parameter {name} must"):
        DomainParameters.read(environ, lenient=False)
