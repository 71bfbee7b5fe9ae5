# SPDX-License-Identifier: GPL-2.0-or-later
"""What is taken for a cloud description, and what is not."""

from __future__ import annotations

import pytest

from backstay.cli import options, plan, validate
from backstay.errors import BadInput
from backstay.plan import planned
from backstay.plan.prediction import Prediction


@pytest.fixture
def written(tmp_path):
    """A plan in a file."""
    path = tmp_path / "next.plan"
    made = planned.Plan("demo", "<cib/>", "<cib/>", Prediction((), (), (), frozenset()))
    path.write_bytes(planned.write(made))
    return str(path)


def test_a_plan_in_the_place_of_a_description_is_called_one(written):
    """Every verb that reads a description says the same."""
    words = {"directories_": (), "output": "text"}
    for read in (
        lambda: plan.plan.callback(file=written, cib=None, out=None, **words),
        lambda: validate.validate.callback(file=written, schema_name=None, **words),
        lambda: options.read_cloud(written),
    ):
        with pytest.raises(BadInput) as caught:
            read()
        assert str(caught.value) == f"{written} is a plan of backstay plan --out, not a cloud description"
        assert caught.value.hint == f"backstay apply {written} carries it out"
