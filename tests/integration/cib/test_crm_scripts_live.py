# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster scripts in the real crmsh: each is verified, and run on a CIB file makes what the template alone makes."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib.alone import add, render_alone
from backstay.cib.document import write
from tests.integration.cib.test_templates_alone import agents, live, run, run_crm, shipped
from tests.unit.cib.test_crm_scripts import WITHOUT
from tests.unit.cib.test_shipped_templates import SHIPPED, VARIANTS

__all__ = ["agents", "live", "shipped"]  # fixtures

SCRIPTED = {
    label: (name, given) for label, (name, given) in VARIANTS.items() if label != name and name not in WITHOUT
}


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


@pytest.mark.parametrize("label", SCRIPTED)
def test_a_script_makes_what_its_template_makes(crm, shipped, live, tmp_path, label):
    name, given = SCRIPTED[label]
    words, kept = parameters(name, given)
    made = render_alone(shipped, name, kept)
    base = without(etree.fromstring(etree.tostring(live)), made)
    path = tmp_path / "live.xml"
    path.write_bytes(write(base))
    verified = crm("script", "verify", f"backstay-{name}", *words, cib=path)
    assert (verified.returncode, "ERROR" in verified.stderr) == (0, False), verified.stderr
    # It ends with 1, because it waits for a cluster to settle and there is none; in the lab there is.
    done = crm("script", "run", f"backstay-{name}", *words, cib=path)
    assert shape(etree.parse(str(path)).getroot()) == shape(add(base, made)), done.stdout + done.stderr


def test_crmsh_lists_all_scripts(crm, repository):
    said = crm("script", "list", "names").stdout.split()
    assert {path.name for path in (repository / "crm-scripts").iterdir()} <= set(said)


def test_properties_in_the_words_of_the_crm_shell_leave_the_others_alone(crm, live, tmp_path, repository):
    path, commands = tmp_path / "live.xml", tmp_path / "commands"
    path.write_bytes(write(live))
    argv = ("render", "--template", "properties", "--set", "two_hosts=yes", "--for", "crmsh", "-o", commands)
    done = run("env", f"PYTHONPATH={repository / 'lib'}", "/usr/bin/python3", "-m", "backstay", *argv)
    assert done.returncode == 0, done.stderr
    done = crm("configure", "load", "update", commands, cib=path)
    assert done.returncode == 0, done.stdout + done.stderr
    values = {
        pair.get("name"): pair.get("value")
        for pair in etree.parse(str(path)).iterfind(".//crm_config//nvpair")
    }
    assert (values["cluster-name"], values["priority-fencing-delay"]) == ("lab", "15s")


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
