# SPDX-License-Identifier: GPL-2.0-or-later
"""The headers of templates: what they declare, and what is said about values that do not fit."""

from __future__ import annotations

import pytest

from backstay.cib import header
from backstay.cloud import model
from backstay.errors import BadInput

TEXT = """<!-- SPDX-License-Identifier: GPL-2.0-or-later -->
<!-- template
summary: A thing.
explains: More.
takes:
  name: {about: Its name., is: name, at: thing.name}
  port: {about: Its port., is: integer, least: 1, most: 10, at: thing.net.port, default: ""}
  how: {about: How., is: choice, of: [quickly, slowly], at: thing.how, default: quickly}
  live: {about: Alive., is: boolean, at: thing.live, default: yes}
  hosts: {about: Where., is: host, many: true, most: 2, at: "hosts[name]", default: ""}
  disks: {about: Copies., is: host, many: true, most: 3, two_with: live, at: disks, default: ""}
  cut: {about: How., is: word, only_with: how=slowly, at: thing.cut, default: none}
  where: {about: Where., is: word, only_with: port, at: thing.where, default: ""}
  file: {about: A file., is: path, at: thing.file, default: ""}
  program: {about: A program., is: path, at: thing.program, default: ""}
one_of: [[file, program]]
-->
<configuration/>
"""
GOOD = {"name": "web1", "file": "/f"}


@pytest.fixture
def head():
    """The header of TEXT."""
    return header.parse(TEXT, "thing", "/t/thing.xml")


def test_defaults_stand_in_for_what_is_not_given(head):
    found = head.values(GOOD)
    assert (found["name"], found["port"], found["how"], found["live"]) == ("web1", None, "quickly", True)
    assert found["hosts"] == ()


def test_the_context_has_each_value_at_its_place(head):
    context = head.context(head.values({**GOOD, "port": "7", "hosts": "n1, n2", "live": "no"}))
    assert (context["thing"].name, context["thing"].net.port, context["thing"].live) == ("web1", 7, False)
    assert [host.name for host in context["hosts"]] == ["n1", "n2"]


@pytest.mark.parametrize("given", [{"disks": "n1,n2"}, {"disks": "n1,n2,n3", "live": "no"}, {}])
def test_what_goes_with_two_alone_goes_with_two(head, given):
    assert head.values({**GOOD, **given})["disks"] == tuple(
        given.get("disks", "").split(",") if given else ()
    )


@pytest.mark.parametrize(
    "given", [{"cut": "x", "how": "slowly"}, {"where": "x", "port": "7"}, {"where": ""}, {"cut": "none"}]
)
def test_what_counts_only_with_another_counts_with_it(head, given):
    assert head.values({**GOOD, **given})["how"] == given.get("how", "quickly")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cut": "x"}, "`cut` of the template thing means nothing without `how=slowly`"),
        ({"where": "x"}, "`where` of the template thing means nothing without `port`"),
        ({"nmae": "x"}, "the template thing takes no value `nmae` (did you mean `name`?)"),
        (
            {"zzzzz": "x"},
            "takes no value `zzzzz` (it takes name, port, how, live, hosts, disks, cut, where, file, program)",
        ),
        ({"name": ""}, "the template thing needs `name` (Its name.)"),
        ({"name": "1 x"}, "found `1 x` for `name` of the template thing, expected a name of letters"),
        ({"port": "11"}, "expected a whole number from 1 to 10"),
        ({"how": "slowyl"}, "expected one of quickly, slowly (did you mean `slowly`?)"),
        ({"live": "maybe"}, "found `maybe` for `live` of the template thing, expected yes or no"),
        ({"hosts": "n1,n2,n3"}, "several with commas between them, at most 2"),
        ({"hosts": "n1,n1"}, "for `hosts`"),
        ({"disks": "n1,n2,n3"}, "found 3 disks for the template thing, expected two, or live=no"),
        ({"hosts": "n1,,n2"}, "for `hosts`"),
        ({"file": "x"}, "expected an absolute path"),
        ({"file": "/a\nb"}, "found `/a\\nb` for `file`"),
        ({"program": "/p"}, "the template thing needs one of `file` and `program`"),
        ({"file": ""}, "the template thing needs one of `file` and `program`"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(head, change, said):
    with pytest.raises(BadInput) as caught:
        head.values({**GOOD, **change})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "backstay render --describe thing" in caught.value.hint


def test_a_secret_is_not_taken_and_not_shown(head):
    with pytest.raises(BadInput) as caught:
        head.values({**GOOD, "file": "/f?token=hunter2"})
    assert "found a secret (`token=...`) for `file` of the template thing" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_everything_that_is_wrong_is_said_at_once(head):
    with pytest.raises(BadInput) as caught:
        head.values({"nmae": "x", "port": "0"})
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- template\nsummary: [\n-->", "/t.xml:3: the header is not YAML"),
        ("<!-- template\n- x\n-->", "the header cannot be used"),
        ("<!-- template\ntakes: {a: {is: path, at: x}}\n-->", "the value a in the header cannot be used"),
        ("<!-- template\ntakes: {a: {about: x, is: pth, at: x}}\n-->", "`is: pth` of the value a is no kind"),
        (
            "<!-- template\ntakes: {a: {about: x, is: path, at: x, defualt: 1}}\n-->",
            "the value a in the header",
        ),
    ],
)
def test_a_header_that_cannot_be_used_is_named_with_its_file(text, said):
    with pytest.raises(BadInput) as caught:
        header.parse(text, "t", "/t.xml")
    assert said in str(caught.value)


def test_a_template_without_a_header_takes_nothing():
    head = header.parse("<configuration/>", "t", "/t.xml")
    assert head.takes == ()
    with pytest.raises(BadInput, match="takes no value `x`"):
        head.values({"x": "1"})


def test_a_template_that_extends_another_takes_its_values_too(head):
    own = header.parse(
        "<!-- template\ntakes:\n  how: {about: Other., is: text, at: thing.how, default: x}\n"
        "  more: {about: M., is: text, at: more}\n-->",
        "more",
        "/m.xml",
    )
    both = header.joined(own, head)
    assert [value.name for value in both.takes] == [*(value.name for value in head.takes), "more"]
    assert both.takes[2].about == "Other."
    assert both.one_of == head.one_of


OWNERS = {"domain": model.Domain, "host.bmc": model.Bmc, "cluster": model.Cluster}


def test_defaults_are_those_of_a_cloud_description(repository):
    from dataclasses import MISSING, fields

    from backstay.cib.templates import Templates

    shipped = Templates([repository / "crm-templates"])
    compared = 0
    for name in ("domain", "fencing"):
        head = shipped.header(name)
        for value in head.takes:
            owner, _, field = value.at.rpartition(".")
            declared = {one.name: one for one in fields(OWNERS[owner])} if owner in OWNERS else {}
            if field in declared and declared[field].default is not MISSING and value.default:
                assert value.read(value.default) == declared[field].default, value.name
                compared += 1
    assert compared >= 8
