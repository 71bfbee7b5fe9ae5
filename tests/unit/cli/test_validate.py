# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay validate` asks whom, and when."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib import schema
from backstay.cli import validate
from backstay.errors import CannotAsk
from backstay.host.pacemaker import Verdict

CIB = etree.fromstring("<cib><configuration/><status/></cib>")
WRONG = schema.Finding("error", "wrong", source="the schema")


class Asked:
    """Pacemaker's tools, of which crm_verify gives this answer."""

    def __init__(self, answer):
        self.answer = answer

    def verify(self, _cib):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_crm_verify_is_heard_where_the_schema_finds_nothing(monkeypatch):
    monkeypatch.setattr(schema, "check", lambda _cib: ())
    found = validate.findings(CIB, Asked(Verdict(("bad",), ("odd",))))
    assert [(one.severity, one.message) for one in found] == [("error", "bad"), ("warning", "odd")]


@pytest.mark.parametrize("answer", [Verdict(("bad",), ()), CannotAsk("crm_verify could not judge the CIB")])
def test_crm_verify_does_not_count_where_the_schema_finds_something(monkeypatch, answer):
    monkeypatch.setattr(schema, "check", lambda _cib: (WRONG,))
    assert validate.findings(CIB, Asked(answer)) == [WRONG]


def test_a_crm_verify_that_does_not_answer_is_said(monkeypatch):
    monkeypatch.setattr(schema, "check", lambda _cib: ())
    with pytest.raises(CannotAsk):
        validate.findings(CIB, Asked(CannotAsk("no")))


def test_one_is_one_and_none_is_no(repository):
    one = b"""
cluster: {name: demo}
hosts: {n1: {address: 10.0.0.1, bmc: {address: 10.0.1.1, username: f, password_file: /p}}}
domains: {web1: {config: /a, memory: 1 GiB, vcpus: 1}}
"""
    none = (repository / "examples" / "ganeti.yaml").read_bytes()
    assert [validate._what([("a.yaml", text)], "a.yaml", ())[1] for text in (one, none)] == [
        "description of 1 host and 1 domain",
        "description of 3 hosts and no domain",
    ]
