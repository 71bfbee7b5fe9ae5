# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian root is built from the machine's own Debian sources, and from nobody else's."""

from __future__ import annotations

import pytest

from backstay.lab import sources

KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"
STANZAS = f"""\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
  bookworm-backports
Components: main contrib
Signed-By: {KEY}

Types: deb
URIs: https://other.example/tool
Suites: nodistro
Components: main

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://inline.example/debian
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_stanzas_become_lines_for_each_suite() -> None:
    assert sources.entries([], [STANZAS], "bookworm") == (
        f"deb [signed-by={KEY}] http://mirror.example/debian bookworm main",
        f"deb [signed-by={KEY}] http://mirror.example/debian bookworm-updates main",
        "deb http://inline.example/debian bookworm-security main",
    )


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("deb http://m.example/debian bookworm main", True),
        ("deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main non-free", True),
        ("deb [ arch=amd64 ] http://m.example/debian bookworm-security main", True),
        ("deb-src http://m.example/debian bookworm main", False),
        ("# deb http://m.example/debian bookworm main", False),
        ("deb http://m.example/debian trixie main", False),
        ("deb http://m.example/debian bookworm-backports main", False),
        ("deb https://tool.example/debian bookworm stable", False),
        ("", False),
    ],
)
def test_lines_of_others_are_left_out(line: str, wanted: bool) -> None:
    assert sources.entries([line], [], "bookworm") == ((line,) if wanted else ())


def test_the_same_source_twice_is_taken_once() -> None:
    line = "deb http://m.example/debian bookworm main"
    assert sources.entries([line, line], [], "bookworm") == (line,)


def test_only_settings_that_a_build_needs() -> None:
    dump = 'APT "";\nAcquire::http::Proxy "http://p.example:3128";\nAcquire::https::Proxy "";\nAcquire::Languages "de";\n'
    assert sources.settings(dump) == ('Acquire::http::Proxy "http://p.example:3128";',)


def test_release_fields_without_quotes() -> None:
    fields = sources.release(
        'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian GNU/Linux 12"\n\n# x\n'
    )
    assert fields["VERSION_CODENAME"] == "bookworm"
    assert fields["PRETTY_NAME"] == "Debian GNU/Linux 12"
