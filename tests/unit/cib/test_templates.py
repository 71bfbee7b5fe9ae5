# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates: whose wins, that every value is escaped, and what is said about one that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backstay.cib import templates
from backstay.cib.templates import Templates, directories
from backstay.errors import BadInput


@pytest.fixture
def place(tmp_path):
    """A directory of templates and a function that writes one."""

    def write(text, name="domain.xml", where="one"):
        path = tmp_path / where / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_the_first_directory_that_has_a_template_wins(place):
    place("shipped", where="shipped")
    place("shipped", "other.xml", where="shipped")
    mine = place("mine", where="mine")
    both = Templates([mine.parent, mine.parent.parent / "absent", mine.parent.parent / "shipped"])
    assert both.render("domain.xml") == ("mine", str(mine))
    assert both.render("other.xml")[0] == "shipped"


def test_directories_begin_with_the_named_then_the_admins_then_the_shipped(tmp_path, repository):
    assert directories([tmp_path]) == (
        tmp_path,
        Path("/etc/backstay/crm-templates"),
        repository / "crm-templates",
    )


def test_without_a_source_tree_the_installed_templates_are_used(monkeypatch, tmp_path):
    monkeypatch.setattr(templates, "SOURCE_TREE", tmp_path)
    assert directories()[-1] == Path("/usr/share/backstay/crm-templates")


def test_a_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(BadInput, match="not a directory of templates"):
        directories([tmp_path / "absent"])


def test_values_are_escaped(place):
    path = place('<a b="{{ value }}"/>')
    assert (
        Templates([path.parent]).render("domain.xml", value="\"><x y='&")[0]
        == '<a b="&#34;&gt;&lt;x y=&#39;&amp;"/>'
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n\n{{ nmae }}", ":3: the template cannot be filled in ('nmae' is undefined)"),
        (
            "\n{{ value.nothing }}",
            ":2: the template cannot be filled in ('str object' has no attribute 'nothing')",
        ),
        ("\n{% if %}", ":2: not a valid template (Expected an expression, got 'end of statement block')"),
        ("{{ 1 / 0 }}", ":1: the template cannot be filled in (division by zero)"),
        ("{{ value | durations }}", ":1: not a valid template (No filter named 'durations'.)"),
        (
            "{{ value.__class__.__mro__ }}",
            ":1: the template cannot be filled in (access to attribute '__class__'",
        ),
        (
            "{% for x in range(1000000000) %}{% endfor %}",
            ":1: the template cannot be filled in (Range too big",
        ),
        ("{% include 'more.xml' %}", "there is no template more.xml in "),
    ],
)
def test_what_is_wrong_with_a_template_is_said_with_its_line(place, text, said):
    path = place(text)
    with pytest.raises(BadInput) as caught:
        Templates([path.parent]).render("domain.xml", value="x")
    assert said in str(caught.value)
    assert str(path) in str(caught.value) or said.startswith("there is no")


def test_a_template_that_is_not_text_is_bad_input(place):
    path = place("")
    path.write_bytes(b"\xff")
    with pytest.raises(BadInput, match="cannot be read"):
        Templates([path.parent]).render("domain.xml")


def test_a_missing_template_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match=r"there is no template domain\.xml in "):
        Templates([tmp_path]).render("domain.xml")


def test_what_is_called_a_template_and_is_no_file_is_not_passed_over(tmp_path):
    """Another directory's would be used, and nobody would know."""
    (tmp_path / ".#domain.xml").symlink_to("admin@host.4711")
    assert Templates([tmp_path]).names() == ()
    os.mkfifo(tmp_path / "domain.xml")
    with pytest.raises(BadInput, match=r"the template .*/domain\.xml is no file"):
        Templates([tmp_path])
    (tmp_path / "a.xml").symlink_to(tmp_path / "gone")
    with pytest.raises(BadInput, match=r"the template .*/a\.xml leads nowhere"):
        Templates([tmp_path])
