# SPDX-License-Identifier: GPL-2.0-or-later
"""What a shell is told when an admin presses Tab: click's answers, and the names of this cluster besides.

Decides by what an argument is called (HOST, DOMAIN, RESOURCE, FILE ...) what it may be, so that a new verb is completed
without a word about it. The shells' side is packaging/completion/. Changes nothing and complains of nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    _resolve_context,
    _resolve_incomplete,
)

from backstay.errors import BackstayError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.cib.header import Header, Value
    from backstay.cli.known_names import Names

VARIABLE = "_BACKSTAY_COMPLETE"
"""Set by the shells' scripts to what they ask for: `bash_complete`, `zsh_complete`, `fish_complete`."""
BREAK = "="
"""Between the name and the value of `--set NAME=VALUE`; for bash it is a word of its own."""

Source = Callable[[], Iterable[str]]
FILES = ("FILE", "CIB", "DEB", "PLAN")
DIRECTORIES = ("DIR", "DIRECTORY")


class Line:
    """A command line that is being typed: `words` stand before the one that is completed."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    @property
    def names(self) -> Names:
        """What the description or CIB on the line, or the cluster, has."""
        from backstay.cli.known_names import names

        return names(self.words)

    def hosts(self) -> Iterable[str]:
        return _nodes() if self._in_lab() else self.names.hosts

    def domains(self) -> Iterable[str]:
        return self.names.domains

    def resources(self) -> Iterable[str]:
        return self.names.resources

    def mirrors(self) -> Iterable[str]:
        return self.names.mirrors

    def devices(self) -> Iterable[str]:
        return self.names.devices

    def named(self) -> Iterable[str]:
        """What NAME means, by the verb."""
        if self._in_lab():
            return _faults() if "fault" in self.words else _stories()
        return self.devices() if "rotate" in self.words else _templates()

    def settings(self) -> Iterable[str]:
        """`NAME=` of each value that the template on the line takes, and where a value is one of a few, all of it."""
        place = [number for number, word in enumerate(self.words) if word == "--template"]
        chosen = self.words[place[-1] + 1] if place and place[-1] + 1 < len(self.words) else ""
        return [each for value in _header(chosen).takes for each in self._settings(value)] if chosen else ()

    def _settings(self, value: Value) -> Iterable[str]:
        word = value.name.rstrip("s").rpartition("_")[2]
        known = (
            value.of or {"host": self.hosts, "node": self.hosts, "domain": self.domains}.get(word, tuple)()
        )
        return [f"{value.name}={one}" for one in known] or [f"{value.name}="]

    def _in_lab(self) -> bool:
        return self.words[:1] == ["lab"]


MEANINGS: MappingProxyType[str, Callable[[Line], Iterable[str]]] = MappingProxyType(
    {
        "HOST": Line.hosts,
        "HOSTS": Line.hosts,
        "NODE": Line.hosts,
        "DOMAIN": Line.domains,
        "GUEST": Line.domains,
        "VM": Line.domains,
        "RESOURCE": Line.resources,
        "MIRROR": Line.mirrors,
        "DEVICE": Line.devices,
        "NAME": Line.named,
        "NAME=VALUE": Line.settings,
        "CHECKPOINT": lambda _line: _checkpoints(),
    }
)


def _nodes() -> Iterable[str]:
    from backstay.lab.layout import Layout

    return Layout.from_environment().names()


def _faults() -> Iterable[str]:
    from backstay.lab.faults.catalogue import FAULTS

    return FAULTS


def _stories() -> Iterable[str]:
    from backstay.lab.stories import STORIES

    return [story.name for story in STORIES]


def _templates() -> Iterable[str]:
    from backstay.cib.templates import Templates, directories

    return Templates(directories()).names()


def _header(template: str) -> Header:
    from backstay.cib.templates import Templates, directories

    return Templates(directories()).header(template)


def _checkpoints() -> Iterable[str]:
    from backstay.host.checkpoints import Checkpoints

    return Checkpoints().names()


def possible(
    parameter: click.Parameter, words: Sequence[str], incomplete: str
) -> list[CompletionItem] | None:
    """What `parameter` may be, by what it is called; None when that says nothing and click has to know."""
    if not isinstance(parameter.type, click.types.StringParamType | click.types.UnprocessedParamType):
        return None
    called = (parameter.metavar or parameter.human_readable_name).strip("[].").upper()
    for names, kind in ((FILES, "file"), (DIRECTORIES, "dir")):
        if called in names:
            return [CompletionItem(incomplete, type=kind)]
    meaning = MEANINGS.get(called)
    if meaning is None:
        return None
    try:
        return [CompletionItem(name) for name in meaning(Line(words)) if name.startswith(incomplete)]
    except (BackstayError, OSError):
        return []


class Named(ShellComplete):
    """Click's way of completing, with our names first."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        words = list(args)
        context = _resolve_context(self.cli, self.ctx_args, self.prog_name, list(args))
        asked, incomplete = _resolve_incomplete(context, args, incomplete)
        found = possible(asked, words, incomplete) if isinstance(asked, click.Parameter) else None
        return asked.shell_complete(context, incomplete) if found is None else found


class Bash(Named, BashComplete):
    """Bash makes three words of `NAME=VALUE` and wants the last one alone."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words = joined([*args, incomplete])
        return words[:-1], words[-1]

    def format_completion(self, item: CompletionItem) -> str:
        _, equals, last = str(item.value).rpartition(BREAK)
        whole = item.type != "plain" or not (equals and last)
        return f"{item.type},{item.value if whole else last}"


class Zsh(Named, ZshComplete):
    """Zsh, as click knows it."""


class Fish(Named, FishComplete):
    """Fish, as click knows it."""


def joined(words: Sequence[str]) -> list[str]:
    """Words of bash with those around a `=` put together again: `--set name = x` is `--set name=x`."""
    found: list[str] = []
    for word in words:
        if found and (word == BREAK or found[-1].endswith(BREAK)):
            found[-1] += word
        else:
            found.append(word)
    return found


SHELLS = MappingProxyType({"bash_complete": Bash, "zsh_complete": Zsh, "fish_complete": Fish})


def answer(cli: click.Command) -> int:
    """Print what the shell asked for; 1 when no shell that we know has asked."""
    shell = SHELLS.get(os.environ.get(VARIABLE, ""))
    if shell is None:
        return 1
    click.echo(shell(cli, {}, "backstay", VARIABLE).complete())
    return 0
