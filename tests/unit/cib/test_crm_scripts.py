# SPDX-License-Identifier: GPL-2.0-or-later
"""Cluster scripts: made from the templates, and nothing but them."""

from __future__ import annotations

import pytest
import yaml
from lxml import etree

from backstay.cib.crm_scripts import script, scripts
from backstay.cib.crm_words import words
from backstay.cib.templates import Templates
from backstay.errors import BadInput
from tests.unit.cib.test_shipped_templates import NAMES, SHIPPED

SCRIPTS = scripts(SHIPPED)


@pytest.mark.parametrize("path", SCRIPTS)
def test_the_scripts_are_those_of_the_templates(golden, path):
    golden(f"crm-scripts/{path}", SCRIPTS[path])


def test_every_template_is_a_script(repository):
    assert {path.split("/")[0] for path in SCRIPTS} == {f"backstay-{name}" for name in NAMES}
    assert {path.name for path in (repository / "crm-scripts").iterdir()} == {
        path.split("/")[0] for path in SCRIPTS
    }


@pytest.mark.parametrize("path", SCRIPTS)
def test_parameters_are_those_of_the_header(path):
    head = SHIPPED.header(path.split("/")[0].removeprefix("backstay-"))
    made = yaml.safe_load(SCRIPTS[path])
    offered = {value.name: value for value in head.takes if value.scripts != "no"}
    for one in made["parameters"]:
        value = offered.get(one["name"]) or offered[one["name"].rpartition("_")[0]]
        assert one["shortdesc"].startswith(value.about.rstrip("."))
        assert not one["required"] or value.required
    assert {value.name for value in offered.values() if value.required and not value.many} <= {
        one["name"] for one in made["parameters"] if one["required"]
    }


@pytest.fixture
def own(tmp_path):
    """A function that makes the script of a template written for the test."""

    def make(body, takes):
        text = f"<!-- template\nsummary: A.\ntakes:\n{takes}\n-->\n<configuration>{body}</configuration>"
        (tmp_path / "own.xml").write_text(text)
        return yaml.safe_load(script(Templates([tmp_path]), "own"))

    return make


NAME = "  name: {about: N., is: name, at: x.name, example: a}\n"
PRIMITIVE = (
    '<resources><primitive id="{{ x.name }}" class="ocf" provider="p" type="T">%s</primitive></resources>'
)


def test_what_may_be_missing_is_asked_for(own):
    body = PRIMITIVE % (
        '<instance_attributes id="s">{% if x.more %}<nvpair id="i" name="more" value="{{ x.more }}"/>'
        '{% else %}<nvpair id="j" name="less" value="1"/>{% endif %}</instance_attributes>'
    )
    made = own(body, NAME + '  more: {about: M., is: text, at: x.more, default: ""}')
    assert made["actions"] == [
        {
            "cib": "primitive {{name}} ocf:p:T\n"
            '  params $id="s"{{#more}} more="{{more}}"{{/more}}{{^more}} less="1"{{/more}}\n'
        }
    ]


def test_a_decision_is_an_action_each(own):
    body = (
        PRIMITIVE
        % '{% if x.live %}<operations><op id="o" name="monitor" interval="1s"/></operations>{% endif %}'
    )
    made = own(body, NAME + "  live: {about: L., is: boolean, at: x.live, default: yes}")
    assert [(action["when"], "op monitor" in action["cib"]) for action in made["actions"]] == [
        ('"{{live}}" == "true"', True),
        ('"{{live}}" == "false"', False),
    ]


def test_each_item_of_a_list_is_there_when_it_is_given(own):
    body = (
        '<constraints>{% for one in x.needs %}<rsc_order id="o{{ loop.index }}" first="{{ one }}" then="b"/>'
        "{% endfor %}</constraints>"
    )
    made = own(body, NAME + '  needs: {about: N., is: name, many: yes, most: 2, at: x.needs, default: ""}')
    assert made["actions"][0]["cib"] == (
        "{{#needs}}\norder o1 Mandatory: {{needs}} b\n{{/needs}}\n"
        "{{#needs_2}}\norder o2 Mandatory: {{needs_2}} b\n{{/needs_2}}\n"
    )


def test_a_value_that_may_be_missing_is_never_just_used(own):
    body = (
        PRIMITIVE
        % '<meta_attributes id="s"><nvpair id="i" name="more" value="{{ x.more }}"/></meta_attributes>'
    )
    with pytest.raises(BadInput, match="more is used where it may be missing"):
        own(body, NAME + '  more: {about: M., is: text, at: x.more, default: ""}')


def test_what_has_no_words_is_said():
    with pytest.raises(BadInput, match="<node> are not known here"):
        words(etree.fromstring("<configuration><nodes><node id='1'/></nodes></configuration>"))


@pytest.mark.parametrize("text", ['say "x"', "a\\b", "caf\u00e9", "a\nb"])
def test_what_crmsh_would_alter_is_not_written(text):
    made = etree.fromstring(
        "<configuration><resources><primitive id='a' class='systemd' type='b'><meta_attributes id='c'>"
        "<nvpair id='d' name='e' value='x'/></meta_attributes></primitive></resources></configuration>"
    )
    made.find(".//nvpair").set("value", text)
    with pytest.raises(BadInput, match="no way to write"):
        words(made)


CALLED = (
    "  name: {about: N., is: name, at: x.name, example: a}\n  %s: {about: M., is: %s, at: x.m, default: ''%s}"
)


@pytest.fixture
def called(tmp_path):
    """A function that makes the script of a template whose script calls a command."""

    def make(kind, more=""):
        takes = CALLED % ("more", kind, more)
        text = f"<!-- template\nsummary: A.\nscripts: call\ntakes:\n{takes}\n-->\n<configuration/>"
        (tmp_path / "own.xml").write_text(text)
        return yaml.safe_load(script(Templates([tmp_path]), "own"))

    return make


def test_a_script_that_calls_takes_only_what_crmsh_checks(called):
    with pytest.raises(BadInput, match="crmsh does not check more"):
        called("text")
    assert called("text", ", scripts: no")["actions"][0]["call"].count("{{more}}") == 0


@pytest.mark.parametrize(
    ("kind", "more", "line", "asked"),
    [
        ("word", "", "more={{more}}", "resource"),
        ("size", "", "{{#more}}more={{more}} MiB{{/more}}", "integer"),
        ("word", ", many: yes, most: 2", "more={{more}}{{#more_2}},{{more_2}}{{/more_2}}", "resource"),
    ],
)
def test_values_of_a_script_that_calls_stand_in_a_here_document(called, kind, more, line, asked):
    made = called(kind, more)
    (action,) = made["actions"]
    before, values, after = action["call"].partition("<<'VALUES-OF-THE-TEMPLATE'\n")
    assert "{{" not in before
    assert values
    assert after.split("\nVALUES-OF-THE-TEMPLATE\n")[0].splitlines() == ["name={{name}}", line]
    assert {one["type"] for one in made["parameters"]} == {"resource", asked}
    assert action["nodes"] == "local"


def test_part_of_a_list_is_gone_through(own):
    body = (
        '<constraints>{% for one in x.needs[1:] %}<rsc_order id="o{{ loop.index }}" first="{{ one }}" then="{{ x.needs[0] }}"/>'
        "{% endfor %}</constraints>"
    )
    made = own(body, NAME + "  needs: {about: N., is: name, many: yes, least: 2, at: x.needs, scripts: 3}")
    assert made["actions"][0]["cib"] == (
        "{{#needs_2}}\norder o1 Mandatory: {{needs_2}} {{needs}}\n{{/needs_2}}\n"
        "{{#needs_3}}\norder o2 Mandatory: {{needs_3}} {{needs}}\n{{/needs_3}}\n"
    )
    assert [one["required"] for one in made["parameters"]] == [True, True, True, False]
