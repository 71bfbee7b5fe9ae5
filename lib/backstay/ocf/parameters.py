# SPDX-License-Identifier: GPL-2.0-or-later
"""Parameters of an agent, declared once: parsing, defaults, metadata and the manual all read the declaration.

    class Example(Parameters):
        directory = path("where the datastore is mounted", required=True)
        slow = seconds("a write slower than this is degraded", default="2s", reloadable=True)

    parameters = Example.read(os.environ, lenient=False)

Decides whether a value is well formed. Never looks whether it is right on this host: a path is not opened, a
name is not resolved. Declared attributes have plain types: str, FilePath, Seconds, bool, int.
"""

from __future__ import annotations

from backstay.errors import BadInput
from backstay.ocf import codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, ClassVar, Self, TypedDict, TypeVar, Unpack

    T = TypeVar("T")

    class Common(TypedDict, total=False):
        """What every declaration may say besides its description, default and type."""

        required: bool
        reloadable: bool
        unique_group: str
        longdesc: str
        otherwise: Callable[[str], str] | None


PREFIX = "OCF_RESKEY_"
TRUE = ("true", "on", "yes", "y", "1")  # what Pacemaker itself takes (crm_str_to_boolean)
FALSE = ("false", "off", "no", "n", "0")
UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 0.001, "msec": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}


class BadParameter(BadInput):
    """A value that is not well formed; wrong on every host alike, so its OCF code is 6."""

    code = codes.NOT_CONFIGURED

    def __init__(self, name: str, complaint: str, given: str = "") -> None:
        super().__init__(f"parameter {name} {complaint}")
        self.name = name
        self.given = given


class FilePath(str):
    """An absolute path; nothing is said about whether it exists."""

    __slots__ = ()


class Seconds(float):
    """A length of time in seconds."""

    __slots__ = ()


class Declaration:
    """One declared parameter. `kind` is the OCF content type; `options` are the values of a choice.

    `parse` turns the admin's text into the value and raises ValueError with a complaint ("must be ...").
    `default` is the text that stands in the metadata, or None when there is none. `otherwise` gives the text that
    counts in the place of one that is wrong, where that is not the default.
    """

    __slots__ = (
        "default", "kind", "longdesc", "name", "options", "otherwise", "parse", "reloadable", "required",
        "shortdesc", "unique_group",
    )  # fmt: skip

    def __init__(
        self,
        kind: str,
        parse: Callable[[str], object],
        shortdesc: str,
        default: str | None,
        options: tuple[str, ...] = (),
        *,
        required: bool = False,
        reloadable: bool = False,
        unique_group: str = "",
        longdesc: str = "",
        otherwise: Callable[[str], str] | None = None,
    ) -> None:
        self.name = ""
        self.otherwise = otherwise
        self.kind = kind
        self.parse = parse
        self.shortdesc = shortdesc
        self.default = default
        self.options = options
        self.required = required
        self.reloadable = reloadable
        self.unique_group = unique_group
        self.longdesc = longdesc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name


class Parameters:
    """Base of an agent's parameters; a subclass declares them as class attributes, in the order of the manual."""

    _declared: ClassVar[tuple[Declaration, ...]] = ()
    warnings: tuple[str, ...] = ()
    wrong: Mapping[str, str] = {}
    rejected: Mapping[str, str] = {}

    def __init_subclass__(cls) -> None:
        own = tuple(value for value in vars(cls).values() if isinstance(value, Declaration))
        cls._declared = cls._declared + own

    def __init__(self, **values: Any) -> None:
        """Take values as they are (for tests and for callers that parsed already); the rest is the default."""
        for declaration in self._declared:
            name = declaration.name
            setattr(self, name, values.pop(name) if name in values else _default(declaration))
        if values:
            raise TypeError(f"no such parameter: {', '.join(values)}")

    def contradiction(self) -> str:
        """Say which values contradict each other, in one sentence; empty when none do. A subclass may know some."""
        return ""

    @classmethod
    def declared(cls) -> tuple[Declaration, ...]:
        """Give the declarations in order, for the metadata and the manual."""
        return cls._declared

    @classmethod
    def read(cls, environ: Mapping[str, str], lenient: bool, lenient_if_reloadable: bool = False) -> Self:
        """Read OCF_RESKEY_* from the environment; an empty value counts as not given.

        `lenient` turns a bad or missing value into the default, or into what counts otherwise, and a line in
        `warnings`, for actions that must not fail for it; by name `wrong` has the complaint and `rejected` what was
        given. `lenient_if_reloadable` does that only for reloadable parameters.
        Otherwise raises BadParameter.
        """
        values: dict[str, object] = {}
        warnings: list[str] = []
        wrong: dict[str, str] = {}
        rejected: dict[str, str] = {}
        for declaration in cls._declared:
            try:
                values[declaration.name] = _read(declaration, environ.get(PREFIX + declaration.name, ""))
            except BadParameter as bad:
                if not (lenient or (lenient_if_reloadable and declaration.reloadable)):
                    raise
                wrong[declaration.name], rejected[declaration.name] = str(bad), bad.given
                instead = declaration.otherwise(bad.given) if declaration.otherwise else ""
                if instead:
                    values[declaration.name] = declaration.parse(instead)
                warnings.append(f"{bad}; {repr(instead) if instead else 'the default'} is used")
        parameters = cls(**values)
        parameters.warnings, parameters.wrong, parameters.rejected = tuple(warnings), wrong, rejected
        return parameters


def _read(declaration: Declaration, given: str) -> object:
    if not given:
        if declaration.required:
            raise BadParameter(declaration.name, "must be set")
        return _default(declaration)
    try:
        return declaration.parse(given)
    except ValueError as complaint:
        raise BadParameter(declaration.name, f"{complaint}, not {given!r}", given) from None


def _default(declaration: Declaration) -> object:
    if declaration.default is not None:
        return declaration.parse(declaration.default)
    return declaration.parse("") if declaration.kind == "string" else None


def _declare(
    kind: str,
    parse: Callable[[str], T],
    shortdesc: str,
    default: str | None,
    options: tuple[str, ...] = (),
    **common: Unpack[Common],
) -> T:
    """Declare a parameter, and tell the type checker what an instance has there: what `parse` gives."""
    return Declaration(kind, parse, shortdesc, default, options, **common)  # type: ignore[return-value]


def text(
    shortdesc: str,
    *,
    check: Callable[[str], str] | None = None,
    meaning: Callable[[str], str] | None = None,
    default: str = "",
    **common: Unpack[Common],
) -> str:
    """Declare a text; `check` gives a complaint ("must be ...") about a value that was given, or an empty text.

    `meaning` gives the one spelling of a value that may be written in several ways.
    """

    def parse(given: str) -> str:
        complaint = check(given) if check and given else ""
        if complaint:
            raise ValueError(complaint)
        return meaning(given) if meaning and given else given

    return _declare("string", parse, shortdesc, default or None, **common)


def path(shortdesc: str, *, default: str | None = None, **common: Unpack[Common]) -> FilePath:
    """Declare an absolute path; not given and without a default it is the empty path."""

    def parse(given: str) -> FilePath:
        if given and not given.startswith("/"):
            raise ValueError("must be an absolute path")
        return FilePath(given)

    return _declare("string", parse, shortdesc, default, **common)


def seconds(shortdesc: str, *, default: str, zero: bool = False, **common: Unpack[Common]) -> Seconds:
    """Declare a length of time: a number with an optional unit (ms, s, m, min, h), as in Pacemaker.

    `zero` allows 0, which then means something of its own (never, no limit).
    """
    return _declare("string", _seconds_or_zero if zero else _seconds, shortdesc, default, **common)


def boolean(shortdesc: str, *, default: bool = False, **common: Unpack[Common]) -> bool:
    """Declare a yes or no; takes the words that Pacemaker takes, in any case."""
    return _declare("boolean", _boolean, shortdesc, "true" if default else "false", **common)


def integer(
    shortdesc: str,
    *,
    default: int,
    minimum: int | None = None,
    maximum: int | None = None,
    **common: Unpack[Common],
) -> int:
    """Declare a whole number, with inclusive bounds if given."""

    def parse(given: str) -> int:
        try:
            number = int(given)
        except ValueError:
            raise ValueError("must be a whole number") from None
        if minimum is not None and number < minimum:
            raise ValueError(f"must be at least {minimum}")
        if maximum is not None and number > maximum:
            raise ValueError(f"must be at most {maximum}")
        return number

    return _declare("integer", parse, shortdesc, str(default), **common)


def choice(shortdesc: str, options: Sequence[str], *, default: str, **common: Unpack[Common]) -> str:
    """Declare one of several words."""
    words = tuple(options)

    def parse(given: str) -> str:
        if given not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return given

    return _declare("select", parse, shortdesc, default, words, **common)


def _seconds(given: str) -> Seconds:
    number = given.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = given.strip()[len(number) :]
    try:
        value = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        raise ValueError("must be a time such as 30s, 500ms or 2min") from None
    if not 0.0 < value < 1e9:
        raise ValueError("must be a time above zero")
    return Seconds(value)


def _seconds_or_zero(given: str) -> Seconds:
    if given.strip() in ("0", "0s"):
        return Seconds(0.0)
    try:
        return _seconds(given)
    except ValueError as complaint:
        raise ValueError(f"{complaint}, or 0") from None


def _boolean(given: str) -> bool:
    word = given.strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError("must be true or false")
