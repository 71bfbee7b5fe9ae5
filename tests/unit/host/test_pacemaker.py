# SPDX-License-Identifier: GPL-2.0-or-later
"""What the answers of Pacemaker's tools mean, and the lack of one."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk, Refused
from backstay.host.pacemaker import Pacemaker
from backstay.host.process import Completed, ProcessTimedOut

OLD = b'<cib admin_epoch="0" epoch="5" num_updates="7"/>'
DIFF = "<diff><version><source/><target/></version></diff>"


def cluster(patched):
    """A cluster whose cibadmin does `patched` when it gets a patch."""

    def run(argv, *, timeout, environment=None, stdin=""):
        return Completed(argv, 1, DIFF, "") if argv[0] == "crm_diff" else patched(argv, timeout)

    return Pacemaker(runner=run)


def test_a_patch_without_an_answer_is_not_called_a_failure_to_load():
    def silent(argv, timeout):
        raise ProcessTimedOut(argv, timeout)

    with pytest.raises(CannotAsk, match="so nobody knows whether the configuration was loaded") as caught:
        cluster(silent).replace(OLD, OLD)
    assert "backstay plan" in caught.value.hint


def test_a_configuration_that_moved_is_refused():
    with pytest.raises(Refused, match="has moved, nothing was loaded"):
        cluster(lambda argv, _: Completed(argv, 103, "", "old")).replace(OLD, OLD)
