# SPDX-License-Identifier: GPL-2.0-or-later
"""The header of a template: what it is for and which values it takes, declared once, in the template itself.

Decides how a header reads, and what is wrong with values that somebody gives. Knows no template and reads no file.

The header is YAML in a comment of the template that begins with the word "template":

    summary: one sentence
    explains: more about it, in paragraphs
    takes:
      name:                  # what `--set` calls the value
        about: one sentence
        is: path             # a kind of kinds.py, `integer` (with least and most) or `choice` (with `of`)
        at: domain.config    # what the template calls it; `hosts[name]` is a list of things that have a name
        default: ...         # a value without one has to be given; an empty one means "not given"
        many: true           # several, with commas between them; least and most say how many
        two_with: NAME       # two of them at most, unless the value NAME is `no`
        only_with: NAME      # means nothing unless the value NAME is given; `NAME=WORD`: unless it is that
      example: ...         # what tests and wizards show
        scripts: no          # not offered by cluster scripts; `each`: a cluster script for each choice;
                             # `least`: as many items of a list as there have to be, where their number is written;
                             # a number: so many items of a list
    one_of: [[a, b]]         # of each list, one value has to be given
    scripts: no              # there is no cluster script of it; `call`: it calls backstay and cibadmin
    crmsh_replaces: ...      # what `crm configure load xml update` would take away beside what it brings
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import yaml

from backstay.cib import kinds
from backstay.cloud.problems import listed, nearest, quote
from backstay.cloud.secrets import INSTEAD, found_in
from backstay.errors import BadInput

_HEADER = re.compile(r"<!--\s*template\n(.*?)-->", re.DOTALL)
_PLACE = re.compile(r"([a-z_]+(?:\.[a-z_]+)*)(?:\[([a-z_]+)\])?")
_KEYS = (
    "about",
    "is",
    "at",
    "default",
    "of",
    "least",
    "most",
    "many",
    "two_with",
    "only_with",
    "example",
    "scripts",
)
_FAR = 999_999_999
PAIR = 2


@dataclass(frozen=True, slots=True)
class Value:
    """One value that a template takes. `default` is None when it has to be given, and "" where it may be missing."""

    name: str
    about: str
    kind: str
    at: str
    default: str | None = None
    of: tuple[str, ...] = ()
    least: int = 0
    most: int = _FAR
    many: bool = False
    example: str = ""
    scripts: str = "yes"
    two_with: str = ""
    only_with: str = ""

    @property
    def required(self) -> bool:
        """Whether it has to be given."""
        return self.default is None

    @property
    def _kind(self) -> kinds.Kind:
        if self.kind == "choice":
            return kinds.choice(self.of)
        return kinds.integer(self.least, self.most) if self.kind == "integer" else kinds.KINDS[self.kind]

    @property
    def expected(self) -> str:
        """What may be given, in words."""
        if not self.many:
            return self._kind.expected
        count = f", at least {self.least}" if self.least else ""
        count += f", at most {self.most}" if self.most != _FAR else ""
        return f"{self._kind.expected}; several with commas between them{count}"

    def read(self, text: str) -> object:
        """The value that `text` means; ValueError when it is none. An empty default is no value: None, or no items."""
        if not self.many:
            return None if text == "" == self.default else self._kind.read(text)
        words = [word.strip() for word in text.split(",")] if text else []
        if len(set(words)) != len(words) or (words and not self.least <= len(words) <= self.most):
            raise ValueError(text)
        return tuple(self._kind.read(word) for word in words)


@dataclass(frozen=True, slots=True)
class Header:
    """What a template is for and what it takes; `path` is its file, for messages."""

    template: str
    path: str
    summary: str = ""
    explains: str = ""
    takes: tuple[Value, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    scripts: str = "yes"
    crmsh_replaces: str = ""

    def values(self, given: Mapping[str, str]) -> dict[str, object]:
        """Every value of the template, by name: what is given, else its default.

        Raises BadInput, one sentence for each, for values that are unknown, missing or not what is expected.
        """
        known = [value.name for value in self.takes]
        problems = [self._unknown(name, known) for name in given if name not in known]
        missing = [f"`{value.name}` ({value.about})" for value in self.takes if _missing(value, given)]
        if missing:
            problems.append(f"the template {self.template} needs {' and '.join(missing)}")
        problems += [
            f"the template {self.template} needs one of {' and '.join(map(quote, names))}"
            for names in self.one_of
            if sum(bool(given.get(name)) for name in names) != 1
        ]
        problems += [
            f"`{value.name}` of the template {self.template} means nothing without `{value.only_with}`"
            for value in self.takes
            if given.get(value.name, "") not in ("", value.default) and not self._counts(value, given)
        ]
        found: dict[str, object] = {}
        for value in self.takes:
            text = given.get(value.name, value.default)
            if secret := found_in(text or ""):
                problems.append(
                    f"found {secret} for `{value.name}` of the template {self.template}, expected {INSTEAD}"
                )
                continue
            try:
                found[value.name] = None if _missing(value, given) else value.read(text or "")
            except ValueError:
                problems.append(self._bad(value, str(text)))
        problems += [
            f"found {len(items)} {value.name} for the template {self.template}, expected two, or {value.two_with}=no"
            for value in self.takes
            if found.get(value.two_with)
            and isinstance(items := found.get(value.name), tuple)
            and len(items) > PAIR
        ]
        if problems:
            raise BadInput(
                "\n".join(problems), hint=f"backstay render --describe {self.template} says what it takes"
            )
        return found

    def _counts(self, value: Value, given: Mapping[str, str]) -> bool:
        name, _, wanted = value.only_with.partition("=")
        others = {other.name: given.get(other.name) or other.default for other in self.takes}
        return others.get(name) == wanted if wanted else bool(others.get(name, True))

    def _unknown(self, name: str, known: list[str]) -> str:
        meant = nearest(name, known)
        wish = f" (did you mean `{meant}`?)" if meant else f" (it takes {listed(known) or 'none'})"
        return f"the template {self.template} takes no value {quote(name)}{wish}"

    def _bad(self, value: Value, text: str) -> str:
        meant = nearest(text, value.of)
        wish = f" (did you mean `{meant}`?)" if meant else ""
        return (
            f"found {quote(text)} for `{value.name}` of the template {self.template},"
            f" expected {value.expected}{wish}"
        )

    def context(self, values: Mapping[str, object]) -> dict[str, object]:
        """`values` (by name) as the template sees them: `at` says where each one is."""
        top = SimpleNamespace()
        for value in self.takes:
            match = _PLACE.fullmatch(value.at)
            if match is None:
                raise BadInput(f"{self.path}: `at: {value.at}` of {value.name} is no place")
            found = values[value.name]
            if match[2] and isinstance(found, tuple):
                found = tuple(SimpleNamespace(**{match[2]: item}) for item in found)
            _put(top, match[1].split("."), found)
        return vars(top)


def _missing(value: Value, given: Mapping[str, str]) -> bool:
    return value.required and not given.get(value.name)


def _put(top: SimpleNamespace, words: list[str], value: object) -> None:
    for word in words[:-1]:
        if not hasattr(top, word):
            setattr(top, word, SimpleNamespace())
        top = getattr(top, word)
    setattr(top, words[-1], value)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _value(name: str, said: Mapping[str, object], path: str) -> Value:
    wrong = next((key for key in said if key not in _KEYS), None)
    kind = str(said.get("is", ""))
    if wrong is not None or not said.get("about") or not said.get("at"):
        hint = f"a value has the keys {listed(_KEYS)}; about, is and at are needed"
        raise BadInput(f"{path}: the value {name} in the header cannot be used", hint=hint)
    if kind not in (*kinds.KINDS, "integer", "choice"):
        known = listed((*kinds.KINDS, "integer", "choice"))
        raise BadInput(f"{path}: `is: {kind}` of the value {name} is no kind of value", hint=f"use {known}")
    of, default = said.get("of", ()), said.get("default")
    return Value(
        name=name,
        about=str(said["about"]).strip(),
        kind=kind,
        at=str(said["at"]),
        default=None if default is None else _word(default),
        of=tuple(map(str, of)) if isinstance(of, list) else (),
        least=int(str(said.get("least", 0))),
        most=int(str(said.get("most", _FAR))),
        many=said.get("many") is True,
        example=_word(said.get("example", "")),
        scripts=_word(said.get("scripts", "yes")),
        two_with=str(said.get("two_with", "")),
        only_with=str(said.get("only_with", "")),
    )


def parse(text: str, template: str, path: str) -> Header:
    """The header in the text of a template; an empty one when it has none. BadInput when it cannot be used."""
    match = _HEADER.search(text)
    if match is None:
        return Header(template, path)
    try:
        said = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = text[: match.start(1)].count("\n") + (mark.line if mark else 0) + 1
        raise BadInput(f"{path}:{line}: the header is not YAML", hint="mend the template") from error
    takes = said.get("takes") or {} if isinstance(said, dict) else None
    if not isinstance(takes, dict) or not all(isinstance(value, dict) for value in takes.values()):
        raise BadInput(f"{path}: the header cannot be used", hint="it has summary, explains and takes")
    values = tuple(_value(str(name), value, path) for name, value in takes.items())
    summary, explains, replaces = (
        str(said.get(key, "")).strip() for key in ("summary", "explains", "crmsh_replaces")
    )
    one_of = tuple(tuple(map(str, names)) for names in said.get("one_of") or ())
    scripts = _word(said.get("scripts", "yes"))
    return Header(template, path, summary, explains, values, one_of, scripts, replaces)


def joined(own: Header, base: Header) -> Header:
    """The header of a template that extends another one: it takes the other's values too, and may change them."""
    mine = {value.name: value for value in own.takes}
    takes = [mine.pop(value.name, value) for value in base.takes]
    return Header(
        own.template, own.path, own.summary, own.explains, (*takes, *mine.values()), base.one_of + own.one_of
    )
