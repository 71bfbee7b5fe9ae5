# SPDX-License-Identifier: GPL-2.0-or-later
"""The XML templates: where they lie, whose wins, and how one is filled in.

Decides that an admin's own template wins over the shipped one, that a name nobody knows is an error, and that every
value is escaped. Templates run in Jinja2's sandbox: rendering a stranger's templates must not run a stranger's code.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from backstay.cloud.units import cib_duration, mebibytes
from backstay.errors import BadInput

ADMINS = Path("/etc/backstay/crm-templates")
SHIPPED = Path("/usr/share/backstay/crm-templates")
SOURCE_TREE = Path(__file__).resolve().parents[3] / "crm-templates"


def directories(first: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Where templates are looked for: `first`, the admin's own, the shipped ones (or those of a source tree).

    Raises BadInput when one of `first` is not a directory: a mistyped name must not silently mean "the shipped ones".
    """
    for directory in first:
        if not directory.is_dir():
            raise BadInput(
                f"{directory} is not a directory of templates", hint="name a directory that exists"
            )
    shipped = SOURCE_TREE if (SOURCE_TREE / "domain.xml").is_file() else SHIPPED
    return (*first, ADMINS, shipped)


class Templates:
    """The templates of some directories; the first directory that has a name wins."""

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = tuple(places)
        loader = jinja2.FileSystemLoader([str(place) for place in places])
        self._environment = ImmutableSandboxedEnvironment(
            loader=loader,
            undefined=jinja2.StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["duration"] = cib_duration
        self._environment.filters["mebibytes"] = mebibytes

    def render(self, name: str, **context: object) -> tuple[str, str]:
        """The template `name` filled in, and the path of its file.

        Raises BadInput, with file and line, for a template that is missing, cannot be read or uses an unknown name.
        """
        path = name
        try:
            template = self._environment.get_template(name)
            path = template.filename or name
            return template.render(**context), path
        except jinja2.TemplateSyntaxError as error:
            place = f"{error.filename or path}:{error.lineno}"
            raise BadInput(
                f"{place}: not a valid template ({error.message})", hint="mend the template"
            ) from error
        except jinja2.TemplateNotFound as error:
            looked = ", ".join(str(place) for place in self.places)
            raise BadInput(
                f"there is no template {error.name} in {looked}", hint="is the package complete?"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the template {path} cannot be read: {error}", hint="mend the file") from error
        except (
            jinja2.TemplateError,
            TypeError,
            ValueError,
            ArithmeticError,
            AttributeError,
            LookupError,
        ) as error:
            place = f"{path}:{_line(error, path)}"
            raise BadInput(
                f"{place}: the template cannot be filled in ({error})", hint="mend the template"
            ) from error


def _line(error: Exception, path: str) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return (lines[-1] if lines else None) or 1
