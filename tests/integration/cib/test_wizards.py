# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster scripts as Hawk asks for them: its three questions to the real crmsh, and what its models take of each answer.

Source: hawk/app/lib/crm_script.rb (a file with `script json "[...]"`, run by `crm -f`, a line of JSON for each answer)
and hawk/app/models/wizard.rb, step.rb, step_parameter.rb of ClusterLabs/hawk (2.x). Hawk itself is in no package of
Debian and was not run.
"""

from __future__ import annotations

import json

import pytest
from lxml import etree

from backstay.cib.alone import render_alone
from backstay.cib.document import write
from tests.integration.cib.test_crm_scripts_live import SCRIPTED, crm, parameters, without
from tests.integration.cib.test_templates_alone import agents, live, shipped
from tests.unit.cib.test_shipped_templates import SHIPPED

__all__ = ["agents", "crm", "live", "shipped"]  # fixtures

KINDS = {"string", "boolean", "integer", "resource", "enum"}


@pytest.fixture
def hawk(crm, live, tmp_path):
    """`hawk(question)` gives the answers, parsed; whatever Hawk would show as an error fails the test."""
    cib = tmp_path / "live.xml"

    def ask(*question, base=live):
        cib.write_bytes(write(base))
        words = "".join(f"\\{sign}" if sign in "&\"'><" else sign for sign in json.dumps(question))
        path = tmp_path / "question"
        path.write_text(f'script json "{words}"')
        done = crm("-f", path, cib=cib)
        assert (done.returncode, done.stderr.strip()) == (0, ""), done.stdout + done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]
        assert not [line for line in done.stdout.splitlines() if line and not line.startswith(("{", "["))]
        assert not [answer for answer in answers if "error" in answer]
        return answers

    return ask


def test_hawk_lists_each_script_as_a_wizard(hawk, repository):
    ours = {path.name for path in (repository / "crm-scripts").iterdir()}
    wizards = {
        each["name"]: each
        for each in hawk("list")
        # what Hawk leaves out: scripts without a short description, and those of the category "script"
        if each.get("shortdesc") and each["category"].strip().lower() != "script"
    }
    assert ours <= set(wizards)
    assert {wizards[name]["category"] for name in ours} == {"backstay"}
    assert all(wizards[name]["longdesc"] for name in ours)


def test_hawk_shows_the_fields_of_each_wizard(hawk, repository):
    for name in sorted(path.name for path in (repository / "crm-scripts").iterdir()):
        (wizard,) = hawk("show", name)
        steps = [*wizard["steps"], *(inner for step in wizard["steps"] for inner in step.get("steps", []))]
        assert all(isinstance(step["shortdesc"], str) for step in steps), name
        fields = [field for step in steps for field in step.get("parameters", [])]
        assert fields or name == "backstay-libvirtd", name
        for field in fields:
            assert field["name"], name
            assert field["shortdesc"].strip(), (name, field["name"])
            assert field["type"] in KINDS, (name, field["name"])


@pytest.mark.parametrize("label", list(SCRIPTED)[::5])  # each is verified in test_crm_scripts_live.py
def test_hawk_is_told_what_a_wizard_would_do(hawk, shipped, live, label):
    name, given = SCRIPTED[label]
    words, kept = parameters(name, given)
    values = dict(word.split("=", 1) for word in words)
    base = without(etree.fromstring(etree.tostring(live)), render_alone(shipped, name, kept))
    actions = hawk("verify", f"backstay-{name}", values, base=base)
    assert actions
    # Hawk asks for root's password unless the first action is one on the CIB
    # (a `call` on the host alone is none that needs it, crmsh's needs_sudo says so: Hawk asks for it all the same)
    assert actions[0]["name"] in ("cib", "crm") or SHIPPED.header(name).scripts == "call"
    assert all(action["text"].strip() for action in actions if action["name"] in ("cib", "crm"))
