# SPDX-License-Identifier: GPL-2.0-or-later
"""Names that code asks for, seen without running it."""

from __future__ import annotations

import os
from types import ModuleType

import pytest

from backstay.host.loading import Loading, asked_for, lazily, missing_from


def seen(source: str, **inside: object) -> list[str]:
    return [name for name, _ in asked_for(compile(source, "x", "exec"), inside)]


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("def f(a):\n    return a + len(b)", ["b"]),
        ("def f():\n    return [c for _ in range(3)]", ["c"]),
        ("def f():\n    return os.getpid() + os.getpidd", ["os.getpidd"]),
        ("def f():\n    def g():\n        return h()\n    return g", ["h"]),
        ("class A:\n    def f(self):\n        return self.whatever", []),
        ("def f(x: 'Unknown') -> None:\n    try:\n        pass\n    except ValueError:\n        raise", []),
    ],
)
def test_names_that_are_not_there(source, missing):
    assert seen(source, os=os) == missing


def test_the_line_is_told():
    assert list(asked_for(compile("\n\ndef f():\n    x = 1\n    return y", "x", "exec"), {})) == [("y", 5)]


def test_imports_inside_functions_and_what_they_take():
    code = compile("import a\ndef f():\n    import b\n    from c.d import e, g\n", "x", "exec")
    assert list(lazily(code)) == [("b", (), 3), ("c.d", ("e", "g"), 4)]
    assert missing_from(os, ("getpid", "nothing")) == ["nothing"]


def test_a_module_that_cannot_be_loaded_is_told_once():
    def load(name: str) -> ModuleType | str:
        return os if name == "os" else "ModuleNotFoundError: no"

    loading = Loading(load, loaded=tuple)
    loading.follow(["os", "nowhere"], "agent")
    loading.need("nowhere", "elsewhere")
    assert loading.troubles == ["agent needs nowhere, which cannot be loaded: ModuleNotFoundError: no"]
    assert loading.modules == {"os": True, "nowhere": False}
