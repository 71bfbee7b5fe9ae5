# SPDX-License-Identifier: GPL-2.0-or-later
"""What OCF 1.1 wants of every agent that is shipped (and of the tests' own one)."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from backstay.agents import datastore, domain, frontend, libvirtd
from backstay.ocf import codes

Run = Callable[..., Any]
TOP = Path(__file__).resolve().parents[3]
SHIPPED = sorted(entry.name for entry in (TOP / "agents").glob("[a-z]*") if entry.is_file())
AGENTS = [*SHIPPED, "sample"]
PARAMETERS = {
    "datastore": [declared.name for declared in datastore.AGENT.parameters.declared()],
    "domain": [declared.name for declared in domain.AGENT.parameters.declared()],
    "frontend": [declared.name for declared in frontend.AGENT.parameters.declared()],
    "libvirtd": [declared.name for declared in libvirtd.AGENT.parameters.declared()],
    "sample": ["directory", "way", "wait"],
}
PARAMETERS |= {
    name: [declared.name for declared in agent.AGENT.parameters.declared()]
    for name in SHIPPED
    if (agent := importlib.import_module(f"backstay.agents.{name}"))
}

NOTHING_OUTSIDE = """
def hook(event, arguments):
    if event.startswith(("subprocess.", "socket.", "os.fork", "os.exec", "os.posix_spawn", "ctypes.", "syslog.")):
        raise RuntimeError(event)
    if event == "open" and not str(arguments[0]).endswith((".py", ".pyc")) and "/" in str(arguments[0]):
        if str(arguments[0]) not in sys.argv:
            raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(hook)
"""


@pytest.fixture(scope="module")
def schema(schemas: Path) -> etree.RelaxNG:
    """The schema that pcs uses."""
    return etree.RelaxNG(etree.parse(schemas / "ocf-1.1.rng"))


@pytest.mark.parametrize("agent", AGENTS)
def test_metadata_is_valid(call: Run, schema: etree.RelaxNG, agent: str) -> None:
    done = call(agent, "meta-data")
    assert (done.returncode, done.stderr) == (0, "")
    document = etree.fromstring(done.stdout.encode())
    schema.assertValid(document)
    assert document.get("name") == agent
    assert document.findtext("version") == "1.1"


@pytest.mark.parametrize("agent", AGENTS)
def test_metadata_says_what_an_admin_and_pacemaker_need(call: Run, agent: str) -> None:
    document = etree.fromstring(call(agent, "meta-data").stdout.encode())
    actions = {action.get("name") for action in document.iter("action")}
    assert {"start", "stop", "monitor", "meta-data", "validate-all"} <= actions
    if document.xpath("//parameter[@reloadable='1']"):
        assert "reload-agent" in actions
    for parameter in document.iter("parameter"):
        assert parameter.findtext("shortdesc", "").strip(), parameter.get("name")
        assert parameter.findtext("longdesc", "").strip(), parameter.get("name")


@pytest.mark.parametrize("agent", AGENTS)
def test_metadata_looks_at_nothing_outside(call: Run, agent: str) -> None:
    done = call(agent, "meta-data", before=NOTHING_OUTSIDE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("agent", AGENTS)
def test_metadata_for_nobody_is_the_same(call: Run, agent: str) -> None:
    assert call(agent, "meta-data", user="nobody").stdout == call(agent, "meta-data").stdout != ""


@pytest.mark.parametrize("agent", AGENTS)
def test_an_unknown_action_is_3(call: Run, agent: str) -> None:
    done = call(agent, "dance")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("ocf-exit-reason:there is no action 'dance'")


@pytest.mark.parametrize("agent", AGENTS)
def test_arguments_after_the_action_are_ignored(call: Run, agent: str) -> None:
    assert call(agent, "meta-data", "start", "--x").stdout == call(agent, "meta-data").stdout


@pytest.mark.parametrize("agent", AGENTS)
def test_validate_all_looks_at_parameters_only(call: Run, agent: str) -> None:
    document = etree.fromstring(call(agent, "meta-data").stdout.encode())
    given = {
        f"OCF_RESKEY_{parameter.get('name')}": "/nowhere/at-all"
        for parameter in document.xpath("//parameter[@required='1']")
    }
    done = call(agent, "validate-all", user="nobody", **given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


VALUES = st.one_of(
    st.binary(max_size=30).map(lambda value: value.replace(b"\0", b"")),
    st.sampled_from(
        [b"\xff\xfe", b"a\nb", b"\x1b[31m", b"9" * 400, b"-1", b"nan", b"<!--", b"true", b"/srv/web1.xml"]
    ),
)


@pytest.mark.parametrize("agent", AGENTS)
@settings(max_examples=12)
@given(data=st.data())
def test_any_bytes_in_the_environment_give_a_code_and_one_line(call: Run, agent: str, data: Any) -> None:
    names = sorted(PARAMETERS[agent]) + ["CRM_meta_timeout", "CRM_meta_interval"]
    some = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=5))
    environ = {f"OCF_RESKEY_{name}": os.fsdecode(value) for name, value in some.items()}
    around = st.sampled_from(["OCF_RESOURCE_INSTANCE", "OCF_EXIT_REASON_PREFIX", "OCF_CHECK_LEVEL"])
    environ |= {
        name: os.fsdecode(value) for name, value in data.draw(st.dictionaries(around, VALUES)).items()
    }
    environ["OCF_CHECK_LEVEL"] = environ.get("OCF_CHECK_LEVEL", "")[
        :1
    ]  # validate-all itself looks at no host
    done = call(agent, "validate-all", **environ)
    assert done.returncode in (codes.SUCCESS, codes.NOT_CONFIGURED), done
    assert done.stdout == ""
    prefix = environ.get("OCF_EXIT_REASON_PREFIX", "").replace("\r", "\n")  # as Python reads a text
    assert done.stderr.count("\n") <= 1 + prefix.count("\n")
    assert bool(done.stderr) == (done.returncode != codes.SUCCESS)


def test_each_door_is_executable_and_isolated_and_nothing_else() -> None:
    assert SHIPPED
    for agent in SHIPPED:
        door = TOP / "agents" / agent
        assert door.stat().st_mode & 0o777 == 0o755, agent
        lines = door.read_text().splitlines()
        assert lines[0] == "#!/usr/bin/python3 -IS", agent
        assert len([line for line in lines if line and not line.startswith("#")]) <= 7, agent
