# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verb, agent, option, parameter and key has its place in a manual page, in words that are kept in one place."""

from __future__ import annotations

import re
from importlib import import_module

import click
import pytest

from backstay.cli import cli, manual
from backstay.cli.roff import Code, Page, Term, Text, render
from backstay.cloud import reference
from backstay.fencing.metadata import options


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.is_file())


@pytest.fixture(scope="module")
def made(repository):
    return manual.pages(names(repository / "agents"), names(repository / "fencing"), "hosts:\n  n1: {}\n")


def plain(text):
    """A page as it is read."""
    text = re.sub(r"^\.(PP|IP|RS 4|RE|nf|fi|TP)$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\f[BR]|\\&", "", text)
    for roff, character in (
        ("\\-", "-"),
        ("\\(dq", '"'),
        ("\\(aq", "'"),
        ("\\(ga", "`"),
        ("\\(ti", "~"),
        ("\\(ha", "^"),
    ):
        text = text.replace(roff, character)
    return " ".join(text.replace("\\e", "\\").split())


def verbs(command, context):
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if not below.hidden:
                yield from verbs(below, click.Context(below, info_name=name, parent=context))


def test_every_verb_has_a_page_with_every_option_and_all_of_its_help(made):
    every = list(verbs(cli, click.Context(cli, info_name="backstay")))
    assert len(every) > 20
    for command, context in every:
        page = plain(made[context.command_path.replace(" ", "-") + ".8"])
        for parameter in command.get_params(context):
            for word in parameter.get_help_record(context) or ():
                assert plain(word) in page, (context.command_path, word)
        text = plain(command.help.partition("Exit codes:")[0].replace("\b", ""))
        assert text.replace("`", "") in page, context.command_path


def test_every_agent_has_a_page_with_every_parameter_and_action(made, repository):
    for name in names(repository / "agents"):
        agent, page = import_module(f"backstay.agents.{name}").AGENT, plain(made[f"ocf_backstay_{name}.7"])
        assert plain(agent.longdesc).replace("`", "") in page
        for each in agent.parameters.declared():
            assert f" {each.name} (" in page
            assert plain(each.shortdesc)[1:].replace("`", "") in page
            assert plain(each.longdesc).replace("`", "") in page
            assert not each.default or f"Default: {each.default}." in page
        for action in agent.actions:
            assert f" {action.name} " in page


def test_every_fence_agent_has_a_page_with_every_option_and_action(made, repository):
    for name in names(repository / "fencing"):
        agent = import_module(f"backstay.fencing.{name.removeprefix(manual.FENCES)}").AGENT
        page = plain(made[f"{name}.8"])
        for each in agent.parameters:
            assert options(each) in page
            assert f"On standard input: {each.name}." in page
            assert not each.old or f"Also called {each.old}." in page
        assert f"Actions: {', '.join(action.name for action in agent.actions)}." in page


def test_every_key_of_a_description_stands_in_its_page(made):
    page = plain(made["backstay-cloud.5"])
    found = [(key, section) for _, section in reference.sections() for key in section.keys]
    assert len(found) > 100
    for key, section in found:
        assert f" {key.name} " in page, (section.title, key.name)
        assert plain(key.doc).replace("`", "") in page


def test_the_same_declarations_give_the_same_bytes(made, repository):
    again = manual.pages(names(repository / "agents"), names(repository / "fencing"), "hosts:\n  n1: {}\n")
    assert again == made
    assert not any(re.search(r"[ \t]$|\x08", text, re.MULTILINE) for text in made.values())


def test_what_roff_would_take_for_its_own_is_printed_literally():
    blocks = (Text("'quoted' --option \\ `.x`"), Code(".SH no\n'so"), Term("-o, --out", ".TH no"))
    text = render(Page("a-b", 8, "Does it.", (("PART", blocks), ("EMPTY", ()))), "1.0")
    assert "EMPTY" not in text
    assert "a\\-b \\- Does it\n" in text
    requests = [line for line in text.splitlines() if line.startswith((".", "'"))]
    assert all(re.match(r"\.(\\\"|TH|SH|nh|ad|PP|RS|RE|nf|fi|TP)", line) for line in requests), requests
    assert "\\&.SH no\n\\(aqso\n" in text
    assert "\\(aqquoted\\(aq \\-\\-option \\e \\fB.x\\fR" in text


def test_a_promotable_agent_has_the_codes_of_the_promoted_role(made):
    for file, has in (("ocf_backstay_drbd.7", True), ("ocf_backstay_domain.7", False)):
        page = plain(made[file])
        assert ("it is promoted and has failed" in page) == has
