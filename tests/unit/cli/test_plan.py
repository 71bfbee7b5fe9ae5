# SPDX-License-Identifier: GPL-2.0-or-later
"""When a plan is foreseen once more, and when nothing of it is loaded."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cli import plan
from backstay.plan.planned import Plan
from backstay.plan.prediction import Prediction
from backstay.plan.transition import Transition

NOTHING = Prediction((), (), (), frozenset())
CIB = (
    '<cib epoch="{epoch}" admin_epoch="0" num_updates="{updates}"><configuration><crm_config/><nodes/><resources>'
    '<primitive id="web1" class="ocf" provider="backstay" type="domain"><instance_attributes id="a">{pairs}'
    "</instance_attributes></primitive></resources><constraints/></configuration><status/></cib>"
)
CONFIG = '<nvpair id="c" name="config" value="/srv/web1.xml"/>'


def cib(*, epoch=5, updates=7, pairs=CONFIG):
    """A CIB with one domain."""
    return CIB.format(epoch=epoch, updates=updates, pairs=pairs)


class Live:
    """A cluster with this CIB."""

    def __init__(self, text):
        self.text = text

    def live(self):
        """What cibadmin says."""
        return self.text.encode()


@pytest.fixture
def asked(monkeypatch):
    """How often the scheduler was asked."""
    seen = []

    class Counting:
        def transition(self, text):
            seen.append(text)
            return Transition((), {"web1": frozenset({"n1"})})

    monkeypatch.setattr(plan, "Simulated", Counting)
    return seen


def test_a_plan_is_foreseen_again_only_when_something_happened(asked):
    made = Plan("", cib(), cib(pairs=""), NOTHING)
    assert plan.as_of_now(made, Live(cib())) is made
    assert asked == []
    now = plan.as_of_now(made, Live(cib(updates=8)))
    assert (len(asked), now.before) == (2, cib(updates=8))


def test_a_plan_that_is_too_late_is_left_as_it_is(asked):
    """Loading it is refused, whatever would be foreseen now."""
    made = Plan("", cib(), cib(pairs=""), NOTHING)
    assert plan.as_of_now(made, Live(cib(epoch=6))) is made
    assert asked == []


METADATA = """<resource-agent name="domain"><parameters><parameter name="patience"><content type="time" default="2s"/>
</parameter></parameters></resource-agent>"""


def test_another_spelling_alone_is_no_change_and_beside_one_it_counts(monkeypatch):
    """Pacemaker restarts or reloads a resource for another text of a parameter, so it is told when it is loaded."""

    class Said:
        def agent(self, _name):
            return METADATA

        daemon = agent

    def changed(before, after):
        return [
            (detail.fact, detail.old, detail.new)
            for one in plan.changed(Plan("", cib(pairs=before), cib(pairs=after), NOTHING))
            for detail in one.details
        ]

    monkeypatch.setattr(plan, "Installed", Said)
    old, new = (
        '<nvpair id="p" name="patience" value="60s"/>',
        '<nvpair id="p" name="patience" value="1min"/>',
    )
    assert changed(CONFIG + old, CONFIG + new) == []
    assert changed(CONFIG + old, CONFIG.replace("web1", "web2") + new) == [
        ("parameter config", "/srv/web1.xml", "/srv/web2.xml"),
        ("parameter patience", "60s", "1min"),
    ]


NODES = "<cib><configuration><crm_config>{}</crm_config><nodes>{}</nodes></configuration><status/></cib>"
OURS = (
    '<node id="{0}" uname="n{0}"><utilization id="backstay-u-n{0}"><nvpair id="backstay-m-n{0}" name="memory"'
    ' value="{1}"/></utilization></node>'
)


def test_what_takes_the_place_of_the_live_one_makes_no_host_and_takes_none(monkeypatch):
    """A host that left since would be fenced if it had an entry; one that came since keeps its own, and its standby."""
    standby = '<node id="3" uname="n3"><instance_attributes id="nodes-3"/></node>'
    live = etree.fromstring(NODES.format("", OURS.format(1, 100) + standby))
    kept = etree.fromstring(
        NODES.format("<cluster_property_set id='old'/>", OURS.format(1, 50) + OURS.format(2, 50))
    )
    before = etree.tostring(live), etree.tostring(kept)
    found = []
    monkeypatch.setattr(plan, "between", lambda *given: found.extend(given))
    plan.replacing(live, kept, None)
    old, new = found[:2]
    assert [node.get("uname") for node in new.iterfind("configuration/nodes/node")] == ["n1", "n3"]
    assert new.find(".//nvpair[@name='memory']").get("value") == "50"
    assert new.find(".//instance_attributes[@id='nodes-3']") is not None
    assert new.find("configuration/crm_config/cluster_property_set[@id='old']") is not None
    assert old is live
    assert (etree.tostring(live), etree.tostring(kept)) == before


NAMED = (
    "<crm_config><cluster_property_set id='c'><nvpair id='n' name='cluster-name' value='production'/>"
    "</cluster_property_set></crm_config>"
)
TAKEN = CIB.replace("<cib ", '<cib validate-with="pacemaker-3.7" ').replace("backstay", "other")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (TAKEN, 4, "{0} already has web1, which Backstay did not create"),
        (CIB.replace("<crm_config/>", NAMED), 4, "for the cluster backstay-lab, {0} is that of production"),
        (CIB, 4, "{0} uses the schema none, and pacemaker-3.7 is needed"),
        (CIB, 4, "hint: CIB_file='{0}' cibadmin --upgrade --force"),
        ("<diff/>", 2, "{0} has the root <diff>, expected a whole CIB"),
        ("<cib/>", 2, "{0} has no <configuration>, expected a whole CIB"),
    ],
)
def test_a_cib_in_a_file_is_called_by_its_name(backstay, repository, tmp_path, text, code, said):
    """What it is not is the live one."""
    path = tmp_path / "of tuesday.xml"
    path.write_text(text.format(epoch=1, updates=1, pairs=CONFIG))
    answer, _, err = backstay("plan", repository / "examples" / "three-hosts.yaml", "--cib", path)
    assert answer == code
    assert said.format(path) in err
    assert "live" not in err


BAD = TAKEN.replace('id="web1"', 'id="x1" wrong="x"')


@pytest.mark.parametrize("file", ["examples/three-hosts.yaml", "tests/golden/three-hosts.xml"])
def test_what_is_wrong_with_a_cib_in_a_file_is_said_of_it(backstay, repository, tmp_path, file):
    """Beside a description, and beside another CIB."""
    path = tmp_path / "tuesday.xml"
    for text, code, said in (
        (BAD, 1, f"{path} is not valid"),
        ("<cib/>", 2, f"{path} has no <configuration>"),
    ):
        path.write_text(text.format(epoch=1, updates=1, pairs=CONFIG))
        answer, _, err = backstay("plan", repository / file, "--cib", path)
        assert (answer, said in err) == (code, True), err


def test_a_whole_cib_is_asked_for(backstay, repository, tmp_path):
    (tmp_path / "x.xml").write_text("<cib/>")
    code, _, err = backstay("plan", tmp_path / "x.xml", "--cib", repository / "tests/golden/three-hosts.xml")
    assert (code, "x.xml has no <configuration>, expected a whole CIB" in err) == (2, True)
