# SPDX-License-Identifier: GPL-2.0-or-later
"""Every promise of the documents has a claim, and every claim stands in its document (the rule: claims.py).

That each test of a claim exists is shown by tests/lint/test_claims.py, which collects them; that none is skipped is
seen to by tests/conftest.py, which turns a skip into a failure.
"""

from __future__ import annotations

import pytest

from tests.unit.style.claims import Claim, faults, parse, promises, unseen

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


MODULES = {
    "t/test_all.py": "import pytest\npytestmark = pytest.mark.long\ndef test_a(): ...\n",
    "t/test_one.py": "import pytest\n@pytest.mark.long\ndef test_b(): ...\ndef test_c(): ...\n",
    "t/test_some.py": "import pytest\n@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.long), 2])\n"
    "def test_d(x): ...\n",
}
ROW = "| 2026-11-20 | abc | `{}` | 9 s | {} |"


@pytest.mark.parametrize(
    ("test", "row", "result", "fault"),
    [
        ("t/test_all.py::test_a", "test_all.py -k a", "passed, both", ()),
        ("t/test_all.py::test_a[x]", "t/test_all.py", "57 passed; then another failed", ("t/test_all.py",)),
        ("t/test_all.py::test_a", "u/test_all.py", "passed", ("t/test_all.py",)),
        ("t/test_all.py::test_a", "test_all.py -k a", "failed: 3 passed", ("t/test_all.py",)),
        ("t/test_all.py::test_a", "test_all.py -k a", "it began", ("t/test_all.py",)),
        ("t/test_all.py::test_a", "test_all.pyc", "passed", ("t/test_all.py",)),
        ("t/test_one.py::test_b", "test_all.py", "passed; test_one.py was not run", ("t/test_one.py",)),
        ("t/test_one.py::test_c", "nothing", "passed", ()),
        ("t/test_some.py::test_d", "nothing", "passed", ()),
    ],
)
def test_a_claim_that_rests_on_what_nobody_saw_is_found(test, row, result, fault):
    assert unseen((Claim("x", "R", (test,)),), MODULES, ROW.format(row, result)) == fault


@pytest.mark.parametrize(("newest", "fault"), [("passed", ()), ("failed: it hung", ("t/test_all.py",))])
def test_the_newest_row_counts(newest, fault):
    before = "failed" if newest == "passed" else "passed"
    records = "\n".join(ROW.format("test_all.py", result) for result in (newest, before))
    assert unseen((Claim("x", "R", ("t/test_all.py::test_a",)),), MODULES, records) == fault


def test_what_claims_rest_on_was_seen(repository):
    claims = parse((repository / "tests/claims.toml").read_text(encoding="utf-8"))
    paths = {test.partition("::")[0] for claim in claims for test in claim.tests}
    modules = {path: (repository / path).read_text(encoding="utf-8") for path in paths}
    missing = unseen(claims, modules, (repository / "tests/records.md").read_text(encoding="utf-8"))
    if missing:
        text = "a claim names a long test of each, and the newest row of tests/records.md about it does not say that it passed"
        pytest.fail(f"{text}:\n" + "\n".join(missing), pytrace=False)
