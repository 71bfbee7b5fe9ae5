# SPDX-License-Identifier: GPL-2.0-or-later
"""More of what no rehearsal of fence_backstay_redfish can see (bench/mutation-records.md): edges and names."""

from __future__ import annotations

import base64

import pytest

from backstay.errors import BadInput
from backstay.fencing import redfish
from backstay.fencing.parameters import Values
from backstay.fencing.redfish_parameters import PARAMETERS
from backstay.host import redfish_answers as answers
from backstay.host.bmc import Trouble
from backstay.host.https import Answer
from backstay.host.redfish import Account, Places


def test_where_to_look_is_what_was_set() -> None:
    given = {"redfish_uri": "/r/", "systems_uri": "/r/Systems/1", "plug": "n2"}
    assert redfish.places_of(Values(given, PARAMETERS)) == Places("/r/", "/r/Systems/1", "n2")
    assert Places() == Places("/redfish/v1/", "", "")


@pytest.mark.parametrize("name", ["redfish_uri", "systems_uri"])
@pytest.mark.parametrize("path", ["redfish", "//elsewhere/", "/a\nb"])
def test_a_path_that_is_none_is_told_by_its_name(name: str, path: str) -> None:
    with pytest.raises(BadInput, match=f"^{name} must be a path that begins with one slash, not "):
        redfish.places_of(Values({name: path}, PARAMETERS))


def test_a_password_that_is_no_text_is_sent_as_it_is() -> None:
    account = Account("fencer", "\udcfc")
    assert base64.b64decode(account.basic) == b"fencer:\xfc"
    assert account.session is False


@pytest.mark.parametrize("more", [0, 1])
def test_a_long_list_of_systems_is_cut(more: int) -> None:
    first = "x" * (answers.LONGEST - len(", yX") + more)
    found = answers.choose_system([f"/r/SystemsX/{first}/", "/r/SystemsX/yX/"], "y")
    assert isinstance(found, Trouble)
    shown = f"{first}, yX" if not more else f"{first}, y..."
    assert found.said == f"has 2 systems ({shown}); set systems_uri to /r/SystemsX/ and one of them"


def test_a_bmc_that_names_no_time_is_asked_again_at_once() -> None:
    assert answers.retry_after(Answer(503, {})) == 0.0
    assert answers.retry_after(Answer(503, {"retry-after": " 2 "})) == 2.0


def test_what_a_path_keeps_as_it_is() -> None:
    assert answers.UNQUOTED == "%/?:@!$&'()*+,;=~"
