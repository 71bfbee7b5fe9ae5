# SPDX-License-Identifier: GPL-2.0-or-later
"""The .deb and the .rpm are the same packages, and their own checkers have nothing to complain of."""

from __future__ import annotations

import re

import pytest

from tests.integration.packaging.built import PARTS, Package, run

AGENTS = "usr/lib/ocf/resource.d/backstay"


def contents(package: Package, name: str) -> set[str]:
    """What a package installs, links with where they lead, under the names that Debian has for the same places."""
    file = package.files[name]
    if file.suffix == ".deb":
        listing = run("dpkg-deb", "--contents", file).stdout.splitlines()
        found = [line.split(maxsplit=5)[5].lstrip(".") for line in listing if not line.startswith("d")]
    else:
        listing = run("rpm", "--query", "--package", "--list", "--verbose", file).stdout.splitlines()
        found = [line.split(maxsplit=8)[8] for line in listing if not line.startswith("d")]
    same = (
        (r"/usr/lib/python3[.\d]*/(site|dist)-packages", "/usr/lib/python3/dist-packages"),
        (r"/zsh/site-functions/", "/zsh/vendor-completions/"),
        (r"(/man/.*)\.gz$", r"\1"),
    )
    for pattern, ours in same:
        found = [re.sub(pattern, ours, each) for each in found]
    return {each for each in found if not re.match(r"/usr/share/(doc|licenses|lintian)/", each)}


@pytest.mark.parametrize("name", PARTS)
def test_both_formats_install_the_same(deb, rpm, name):
    there = contents(deb, name)
    assert there == contents(rpm, name)
    assert there or name == "backstay-doc"


def test_every_file_is_in_one_package(package):
    every = [each for name in PARTS for each in contents(package, name)]
    assert len(every) == len(set(every))
    assert "/usr/lib/backstay/delivered/agents/domain" in contents(package, "python3-backstay")
    assert any(
        each.startswith(f"/{AGENTS}/domain -> ") for each in contents(package, "backstay-resource-agents")
    )
    assert any("/fence_backstay_ipmi -> " in each for each in contents(package, "backstay-fence-agents"))
    assert any(each.startswith("/usr/bin/backstay -> ") for each in contents(package, "backstay"))


def test_lintian_and_rpmlint_are_content(deb, rpm, repository, need):
    """What lintian is told not to say has its reason beside it; so has what rpmlint is told."""
    lenient = ("--fail-on", "error,warning", "--allow-root")
    run(need("lintian"), *lenient, *deb.files.values(), timeout=900)
    config = repository / "packaging/rpm/rpmlint.toml"
    said = run(
        need("rpmlint"), "--config", config, *rpm.files.values(), repository / "packaging/rpm/backstay.spec"
    ).stdout
    assert re.search(r"\b0 errors, 0 warnings", said), said
