# SPDX-License-Identifier: GPL-2.0-or-later
"""Every promise of the documents has a claim, and every claim stands in its document (the rule: claims.py).

That each test of a claim exists is shown by tests/lint/test_claims.py, which collects them; that none is skipped is
seen to by tests/conftest.py, which turns a skip into a failure.
"""

from __future__ import annotations

import pytest

from tests.unit.style.claims import Claim, faults, parse, promises

DOCUMENT = """# Thing
- not a promise
## What it promises
- It keeps
  its word.
| what | proof |
|---|---|
| never twice | audit |

```
- code
```
## Else
- no
"""


def test_bullets_and_rows_are_promises():
    assert promises(DOCUMENT) == ("It keeps its word.", "never twice | audit")


def test_claims_are_read():
    text = '[[claim]]\ntext = "a"\nwhere = "README.md"\ntests = ["tests/x.py::test_y"]\n'
    assert parse(text) == (Claim("a", "README.md", ("tests/x.py::test_y",)),)
    assert parse("") == ()


KEEPS = Claim("It keeps its word", "R", ("t",))
TWICE = Claim("never twice", "R", ("t",))


@pytest.mark.parametrize(
    ("claims", "part"),
    [
        ((KEEPS,), "no claim proves it: never twice"),
        ((KEEPS, TWICE, Claim("never once", "R", ("t",))), "R does not say: never once"),
        ((KEEPS, TWICE, Claim("x", "S", ("t",))), "S is not there"),
        ((KEEPS, Claim("never twice", "R", ())), "no test proves: never twice"),
    ],
)
def test_what_does_not_fit_is_found(claims, part):
    assert any(part in fault for fault in faults(claims, {"R": DOCUMENT}))


def test_what_fits_is_left_alone():
    assert faults((KEEPS, TWICE), {"R": DOCUMENT}) == ()


def test_the_documents_of_backstay(repository):
    claims = parse((repository / "tests/claims.toml").read_text(encoding="utf-8"))
    pages = [
        repository / "README.md",
        *repository.glob("docs/**/*.md"),
        *repository.glob("packaging/man/**/*.[1-8]"),
    ]
    named = {repository / claim.where for claim in claims}
    documents = {
        str(page.relative_to(repository)): page.read_text(encoding="utf-8")
        for page in {*pages, *named}
        if page.is_file()
    }
    wrong = faults(claims, documents)
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
