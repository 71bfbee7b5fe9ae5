# SPDX-License-Identifier: GPL-2.0-or-later
"""The house rules over the whole repository; each rule reports everything that it finds, with file and line."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.unit.style.rules import RULES, Rule, a_licence_is_named, words_are_ours
from tests.unit.style.source import Source

PLACES = (
    "agents",
    "ansible",
    "bench",
    "crm-scripts",
    "crm-templates",
    "examples",
    "fencing",
    "lib",
    "packaging",
    "scripts",
    "tests",
    ".ci",
)
SUFFIXES = frozenset(
    {".py", ".sh", ".toml", ".cfg", ".yaml", ".yml", ".j2", ".xml", ".md", ".spec", ".txt", ""}
)
# What others wrote or what a machine answered is kept as it was: recordings, expected output, Debian's own forms.
RECORDED = frozenset({"data", "golden", "recorded", "fixtures"})
BUILT = frozenset({"__pycache__", ".cache"})
NO_COMMENTS = frozenset({"LICENSE", "changelog", "control", "copyright", "format", "py.typed", "SOURCES.txt"})
ABOUT_RULES = ("tests/unit/style/rules.py", "tests/unit/style/test_rules.py")


@cache
def sources(repository: Path) -> list[Source]:
    """Every text file that somebody here wrote (no process may be started, so git is not asked).

    Read and parsed once for all rules.
    """
    files = [path for path in repository.iterdir() if path.is_file() and not path.name.startswith(".git")]
    for place in PLACES:
        files += (repository / place).rglob("*")
    found = []
    for path in sorted(files):
        name = path.relative_to(repository)
        unwritten = any(part in BUILT or part.endswith(".egg-info") for part in name.parts)
        recorded = name.parts[0] == "tests" and RECORDED & set(name.parts)
        if path.is_file() and path.suffix in SUFFIXES and not unwritten and not recorded:
            found.append(Source(str(name), path.read_text(encoding="utf-8")))
    return found


def applies(rule: Rule, source: Source) -> bool:
    """Whether a rule is asked about a file at all."""
    if rule is a_licence_is_named:
        name = Path(source.path).name
        return name not in NO_COMMENTS and not source.path.endswith(
            (".md", ".install", ".manpages", ".1", ".7", ".8")
        )
    if rule is words_are_ours:
        return source.path not in ABOUT_RULES and source.path not in ("LICENSE", "packaging/debian/copyright")
    return source.path not in ABOUT_RULES or source.is_python


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house_rule(repository, rule):
    found = [
        f"{source.path}:{finding.line}: {finding.text}"
        for source in sources(repository)
        if applies(rule, source)
        for finding in rule(source)
    ]
    if found:
        said = "\n".join(found)
        pytest.fail(f"{rule.__doc__}\n{len(found)} findings:\n{said}", pytrace=False)


def test_the_sources_are_found(repository):
    paths = {source.path for source in sources(repository)}
    assert {"lib/backstay/errors.py", "Makefile", "setup.cfg", ".ci/run", "tests/conftest.py"} <= paths
