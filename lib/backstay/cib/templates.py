# SPDX-License-Identifier: GPL-2.0-or-later
"""The XML templates: where they lie, whose wins, and how one is filled in.

Decides that an admin's own template wins over the shipped one, that a name nobody knows is an error, and that every
value is escaped. Templates run in Jinja2's sandbox: rendering a stranger's templates must not run a stranger's code.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jinja2
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from backstay.cib import header
from backstay.cib.header import Header
from backstay.cloud.problems import listed, nearest, quote
from backstay.cloud.units import cib_duration, mebibytes
from backstay.errors import BadInput

ADMINS = Path("/etc/backstay/crm-templates")
SHIPPED = Path("/usr/share/backstay/crm-templates")
SOURCE_TREE = Path(__file__).resolve().parents[3] / "crm-templates"
# What pip installed lies below one prefix: lib/pythonX.Y/site-packages/backstay/cib/templates.py, and share/ beside it.
BY_PIP = Path(__file__).resolve().parents[5] / "share/backstay/crm-templates"
SUFFIX = ".xml"
_EXTENDS = re.compile(r"{%-?\s*extends\s+[\"']([^\"']+)[\"']\s*-?%}")


def directories(first: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Where templates are looked for: `first`, the admin's own, the shipped ones (or those of a source tree).

    Raises BadInput when one of `first` is not a directory: a mistyped name must not silently mean "the shipped ones".
    """
    for directory in first:
        if not directory.is_dir():
            raise BadInput(
                f"{directory} is not a directory of templates", hint="name a directory that exists"
            )
    beside = (place for place in (SOURCE_TREE, BY_PIP) if (place / "domain.xml").is_file())
    return (*first, ADMINS, next(beside, SHIPPED))


def _only_files(places: Sequence[Path]) -> None:
    """BadInput for what is called a template and is no file: it would be passed over, and another one be used."""
    for place in places:
        found = sorted(
            path for path in place.glob(f"*{SUFFIX}") if not (path.is_file() or path.name.startswith("."))
        )
        if found:
            what = "leads nowhere" if not found[0].exists() else "is no file"
            raise BadInput(f"the template {found[0]} {what}", hint="mend it, or take it away")


def _given(value: object) -> object:
    """What a template writes; a value that was not given must not end up as the word None in a CIB."""
    if value is None:
        raise jinja2.UndefinedError("a value that was not given is used")
    return value


class Templates:
    """The templates of some directories; the first directory that has a name wins."""

    def __init__(
        self,
        places: Sequence[Path],
        environment: type[ImmutableSandboxedEnvironment] = ImmutableSandboxedEnvironment,
    ) -> None:
        self.places = tuple(places)
        _only_files(self.places)
        loader = jinja2.FileSystemLoader([str(place) for place in places])
        self._environment = environment(
            loader=loader,
            undefined=jinja2.StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_given,
        )
        # An environment of its own may have its own idea of them.
        self._environment.filters.setdefault("duration", cib_duration)
        self._environment.filters.setdefault("mebibytes", mebibytes)

    def names(self) -> tuple[str, ...]:
        """The names of all templates, without their suffix, in alphabetical order."""
        loader = self._environment.loader
        assert loader is not None
        with _said_as_input("", self.places):
            found = loader.list_templates()
        ours = (name for name in found if name.endswith(SUFFIX) and "/" not in name)
        return tuple(name.removesuffix(SUFFIX) for name in ours if not name.startswith("."))  # an editor's

    def header(self, name: str) -> Header:
        """What the template `name` (without suffix) takes, with what it takes from one that it extends.

        Raises BadInput for a name that nobody knows, with the nearest one, and for a header that cannot be used.
        """
        known = self.names()
        if name not in known:
            meant = nearest(name, known)
            wish = f"did you mean {meant}?" if meant else f"there are {listed(known)}"
            raise BadInput(f"there is no template {quote(name)} ({wish})", hint="backstay render --list")
        text, path = self._source(name + SUFFIX)
        own = header.parse(text, name, path)
        base = _EXTENDS.search(text)
        if base is None or base[1] == name + SUFFIX:
            return own
        return header.joined(own, header.parse(*_named(base[1], self._source(base[1]))))

    def tree(self, name: str) -> jinja2.nodes.Template:
        """The template `name` (without suffix) as Jinja's syntax tree, with that of the one that it extends."""
        text, path = self._source(name + SUFFIX)
        with _said_as_input(path, self.places):
            made = self._environment.parse(text, name, path)
            base = _EXTENDS.search(text)
            if base is not None and base[1] != name + SUFFIX:
                made.body += self._environment.parse(*self._source(base[1])).body
        return made

    def _source(self, file: str) -> tuple[str, str]:
        loader = self._environment.loader
        assert loader is not None
        with _said_as_input(file, self.places):
            text, path, _ = loader.get_source(self._environment, file)
        return text, path or file

    def render(self, name: str, **context: object) -> tuple[str, str]:
        """The template `name` filled in, and the path of its file.

        Raises BadInput, with file and line, for a template that is missing, cannot be read or uses an unknown name.
        """
        path = name
        with _said_as_input(name, self.places) as place:
            template = self._environment.get_template(name)
            path = place[0] = template.filename or name
            return template.render(**context), path
        raise AssertionError(path)  # for the type checker: every way out of the block returns or raises


def _named(file: str, source: tuple[str, str]) -> tuple[str, str, str]:
    return source[0], file.removesuffix(SUFFIX), source[1]


@contextmanager
def _said_as_input(name: str, places: Sequence[Path]) -> Iterator[list[str]]:
    """What can be wrong with a template is bad input; what is yielded holds the path of its file once it is known."""
    place = [name]
    try:
        yield place
    except jinja2.TemplateSyntaxError as error:
        where = f"{error.filename or place[0]}:{error.lineno}"
        raise BadInput(
            f"{where}: not a valid template ({error.message})", hint="mend the template"
        ) from error
    except jinja2.TemplateNotFound as error:
        looked = ", ".join(str(one) for one in places)
        raise BadInput(
            f"there is no template {error.name} in {looked}", hint="is the package complete?"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the template {place[0]} cannot be read: {error}", hint="mend the file") from error
    except (
        jinja2.TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        LookupError,
    ) as error:
        where = f"{place[0]}:{_line(error, place[0])}"
        raise BadInput(
            f"{where}: the template cannot be filled in ({error})", hint="mend the template"
        ) from error


def _line(error: Exception, path: str) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return (lines[-1] if lines else None) or 1
