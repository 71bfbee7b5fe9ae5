# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster scripts in the real crmsh: each is verified, and, run on a CIB file, makes what the template alone makes."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib.alone import add, render_alone
from backstay.cib.document import write, write_snippet
from tests.integration.cib.test_templates_alone import agents, live, run, run_crm, shipped
from tests.unit.cib.test_shipped_templates import SHIPPED, VARIANTS

__all__ = ["agents", "live", "shipped"]  # fixtures

SCRIPTED = {label: (name, given) for label, (name, given) in VARIANTS.items() if label != name}


@pytest.fixture
def crm(need, agents, repository, tmp_path):
    """`crm(words, cib=file)` runs crmsh with the scripts of the source tree."""
    need("crm")
    home = tmp_path / "home"
    (home / ".config/crm").mkdir(parents=True)
    (home / ".config/crm/scripts").symlink_to(repository / "crm-scripts")

    def call(*argv, cib=None):
        return run_crm(
            agents, "env", f"HOME={home}", f"XDG_CONFIG_HOME={home}/.config", need("crm"), *argv, cib=cib
        )

    return call


def parameters(name, given):
    """The values of a template as its script takes them: lists one by one, sizes in MiB, and no blank in a time."""
    words, kept = [], {}
    for value in SHIPPED.header(name).takes:
        text = given.get(value.name)
        if text is None or value.scripts == "no":
            continue
        kept[value.name] = text
        if value.many:
            items = [item.strip() for item in text.split(",")]
            words += [f"{value.name}{'' if n == 1 else f'_{n}'}={item}" for n, item in enumerate(items, 1)]
        elif value.kind == "size":
            words.append(f"{value.name}={value.read(text) // 2**20}")
        else:
            words.append(f"{value.name}={text.replace(' ', '') if value.kind == 'time' else text}")
    return words, kept


def shape(cib):
    """A configuration without the ids that crmsh gives by itself."""
    configuration = etree.fromstring(etree.tostring(cib)).find("configuration")
    etree.strip_tags(configuration, etree.Comment)
    for element in configuration.iter():
        element.text = element.tail = None
        if element.tag in ("nvpair", "op", "expression", "recipient") or element.getparent().tag == "op":
            element.attrib.pop("id", None)
    for holder in configuration.iter("cluster_property_set"):
        holder[:] = sorted(holder, key=lambda pair: pair.get("name"))
    for empty in [part for part in configuration if not len(part)]:
        configuration.remove(empty)
    return sorted(etree.tostring(child, method="c14n") for part in configuration for child in part)


def without(cib, made):
    """`cib` without what `made` brings, and without what refers to that."""
    ids = {child.get("id") for child in made.iterfind("configuration/*/*")}
    for child in cib.findall("configuration/*/*"):
        refers = {child.get(key) for key in ("rsc", "with-rsc", "first", "then")} & ids
        if (refers or child.get("id") in ids) and child.tag != "cluster_property_set":
            child.getparent().remove(child)
    return cib


@pytest.fixture
def scripted(shipped, live, tmp_path):
    """`scripted(label)`: the words of a script's call, a CIB without what it brings (in a file, too), and that."""

    def prepare(label):
        name, given = SCRIPTED[label]
        words, kept = parameters(name, given)
        made = render_alone(shipped, name, kept)
        base = without(etree.fromstring(etree.tostring(live)), made)
        path = tmp_path / "live.xml"
        path.write_bytes(write(base))
        return (f"backstay-{name}", *words), base, path, made

    return prepare


@pytest.mark.parametrize("label", SCRIPTED)
def test_a_script_makes_what_its_template_makes(crm, scripted, label):
    words, base, path, made = scripted(label)
    # It ends with 1, because it waits for a cluster to settle and there is none; in the lab there is.
    done = crm("script", "run", *words, cib=path)
    assert shape(etree.parse(str(path)).getroot()) == shape(add(base, made)), done.stdout + done.stderr


@pytest.mark.long  # what is run is verified first; Hawk has some verified in test_wizards.py
@pytest.mark.parametrize("label", SCRIPTED)
def test_a_script_is_verified_without_an_objection(crm, scripted, label):
    words, _, path, _ = scripted(label)
    verified = crm("script", "verify", *words, cib=path)
    assert (verified.returncode, "ERROR" in verified.stderr) == (0, False), verified.stderr


def test_crmsh_lists_all_scripts(crm, repository):
    said = crm("script", "list", "names").stdout.split()
    assert {path.name for path in (repository / "crm-scripts").iterdir()} <= set(said)


@pytest.mark.parametrize("name", ["properties", "fencing", "libvirtd", "domain-drbd", "apart"])
def test_the_words_of_the_crm_shell_make_what_the_template_makes(
    crm, shipped, live, tmp_path, repository, name
):
    given = next(given for label, (one, given) in VARIANTS.items() if one == name and label != name)
    made = render_alone(shipped, name, given)
    path, commands = tmp_path / "live.xml", tmp_path / "commands"
    base = live if name == "properties" else without(etree.fromstring(etree.tostring(live)), made)
    path.write_bytes(write(base))
    sets = [word for item in given.items() for word in ("--set", "=".join(item))]
    argv = ("render", "--template", name, *sets, "--for", "crmsh", "-o", commands)
    done = run("env", f"PYTHONPATH={repository / 'lib'}", "/usr/bin/python3", "-m", "backstay", *argv)
    assert done.returncode == 0, done.stderr
    done = crm("configure", "load", "update", commands, cib=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert shape(etree.parse(str(path)).getroot()) == shape(add(base, made)), done.stdout + done.stderr


def test_a_hostile_value_stands_literally_and_reaches_no_shell(crm, live, tmp_path):
    path, canary = tmp_path / "live.xml", tmp_path / "canary"
    path.write_bytes(write(live))
    config = f"/srv/$(touch {canary})`touch {canary}`;touch {canary}&'<evil>.xml"
    done = crm("script", "run", "backstay-domain", "name=web9", f"config={config}", cib=path)
    loaded = etree.parse(str(path))
    values = [
        pair.get("value") for pair in loaded.iterfind(".//primitive[@id='web9']//nvpair[@name='config']")
    ]
    assert values == [config], done.stdout + done.stderr
    assert not canary.exists()


TAKES_AWAY = {
    "properties": ({}, "//crm_config//nvpair[@name='cluster-name']"),
    "host": ({"name": "n1", "nodeid": "1", "memory": "4096", "cpu": "8"}, "//node[@id='1']//nvpair[@name='standby']"),
    "fencing-levels": ({"host": "n2", "devices": "fence-n2", "devices_2": "fence-pdu-a"}, "//fencing-level[@target='n1']"),
}  # fmt: skip


def test_what_crmsh_takes_away_is_known():
    assert {name for name in SHIPPED.names() if SHIPPED.header(name).crmsh_replaces} == set(TAKES_AWAY)


@pytest.fixture
def furnished(live, shipped, tmp_path):
    """A CIB file with what crmsh would take away: a host in standby, levels of another host, the cluster's name."""
    levels = render_alone(shipped, "fencing-levels", {"host": "n1", "devices": "fence-n1,fence-pdu-b"})
    cib = add(live, levels)
    held = etree.SubElement(
        cib.find("configuration/nodes/node[@id='1']"), "instance_attributes", id="nodes-1"
    )
    etree.SubElement(held, "nvpair", id="nodes-1-standby", name="standby", value="on")
    path = tmp_path / "furnished.xml"
    path.write_bytes(write(cib))
    return path


@pytest.mark.parametrize("name", TAKES_AWAY)
def test_a_script_takes_nothing_away_where_crmsh_would(crm, shipped, furnished, tmp_path, name):
    given, kept = TAKES_AWAY[name]
    crm(
        "script",
        "run",
        f"backstay-{name}",
        *(f"{key}={value}" for key, value in given.items()),
        cib=furnished,
    )
    after = etree.parse(str(furnished))
    assert after.xpath(kept)
    assert after.xpath("//*[starts-with(@id, 'backstay-level-2-n2')]") or name != "fencing-levels"
    assert after.xpath("//nvpair[@name='vcpus' and @value='8']") or name != "host"


@pytest.mark.parametrize("name", TAKES_AWAY)
def test_crmsh_itself_takes_it_away_as_said(crm, shipped, furnished, tmp_path, name):
    given, kept = TAKES_AWAY[name]
    values = {"memory": "4 GiB"} if "memory" in given else {}
    values = {key: value for key, value in {**given, **values}.items() if key != "devices_2"}
    snippet = tmp_path / "snippet.xml"
    snippet.write_bytes(write_snippet(render_alone(shipped, name, values)))
    crm("configure", "load", "xml", "update", snippet, cib=furnished)
    assert not etree.parse(str(furnished)).xpath(kept)


@pytest.mark.parametrize(
    "value",
    [
        "n1'$(touch${IFS}{canary})'",
        "n1`touch${IFS}{canary}`",
        "n1\nVALUES-OF-THE-TEMPLATE\ntouch {canary}\n",
        'n1"/><x',
    ],
)
def test_no_value_reaches_the_shell_of_a_script_that_calls(crm, furnished, tmp_path, value):
    canary, before = tmp_path / "canary", furnished.read_bytes()
    value = value.replace("{canary}", str(canary))
    crm("script", "run", "backstay-fencing-levels", f"host={value}", "devices=fence-n1", cib=furnished)
    crm("script", "run", "backstay-fencing-levels", "host=n3", f"devices={value}", cib=furnished)
    assert not canary.exists()
    assert furnished.read_bytes() == before
