# SPDX-License-Identifier: GPL-2.0-or-later
"""One step of what a verb has to do in several places, and what it is called in the admin's words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

V = TypeVar("V", bound=Enum)


@dataclass(frozen=True, slots=True)
class Step(Generic[V]):
    """One step; `where` is the host on which it is done, where the sentence names one.

    The value of the verb is the sentence, with {where} and the words that `text` is given.
    """

    verb: V
    where: str = ""

    def text(self, **words: str) -> str:
        """The step in the admin's words."""
        return str(self.verb.value).format(where=self.where, **words)
