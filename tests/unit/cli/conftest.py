# SPDX-License-Identifier: GPL-2.0-or-later
"""The command as a test of it runs it: within its own process."""

from __future__ import annotations

import pytest

from backstay import cli


@pytest.fixture
def backstay(capfdbinary):
    """`backstay(words)` runs the command: its exit code, stdout and stderr."""

    def call(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in words])
        said = capfdbinary.readouterr()
        return ended.value.code, said.out.decode(), said.err.decode()

    return call
