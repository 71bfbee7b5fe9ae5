# SPDX-License-Identifier: GPL-2.0-or-later
"""Which text is recognisably a secret: it would be rendered into the CIB, which every host and every reader of it has.

Decides by form alone, and rather misses one than refuses what is ordinary: names of files, users without a password and
addresses without a token are none.
"""

from __future__ import annotations

import re

SECRETS = r"pass|secret|token|credential|private.?key|community"
"""Parts of names that look like a secret, whatever their case."""
ELSEWHERE = r"_(?:script|file)$"
"""How the names end that say where a secret is."""
INSTEAD = "no secret here: a file or a program gives it (`password_file`, `password_script`)"

_NAME = re.compile(SECRETS, re.IGNORECASE)
_ELSEWHERE = re.compile(ELSEWHERE, re.IGNORECASE)
LONGEST = 2048
"""Characters of a text that are looked at: no value that is taken is longer."""
# //user:password@host (RFC 3986, userinfo); without a user too.
_PASSWORD_IN_URL = re.compile(r"(?P<before>://[^\s/?#:@]*:)[^\s/?#@]+@")
# name=value, of mount options, of arguments and in the query of an address. A path as value is a file's name.
_WORDS = r"pass(?:word|wd|phrase)?\d?|pwd|secret|token|(?:api|access|private|auth)[_-]?key|community"
_NAMED, _VALUE = rf"(?<![a-z0-9])(?P<name>{_WORDS})", r"(?![/\s,;&'\"{]|$)"
_OPTIONS = (
    re.compile(rf"{_NAMED}\s*=\s*['\"]?{_VALUE}", re.IGNORECASE),
    re.compile(rf"(?:^|\s)--[a-z0-9._-]*?{_NAMED}\s+(?!-){_VALUE}", re.IGNORECASE),
)
# Web addresses whose path is all that is needed to post there, as the services that give them out write them.
_HOOKS = re.compile(
    r"https?://(?:hooks\.slack\.com/(?:services|workflows|triggers)/|(?:[a-z]+\.)?discord(?:app)?\.com/api/webhooks/"
    r"|(?:[a-z0-9-]+\.)?(?:webhook\.office|office)\.com/webhook|api\.telegram\.org/bot\d+:"
    r"|events\.pagerduty\.com/integration/|[^\s/]+/hooks/[a-z0-9]{20,}"
    r"|[^\s?#]+\?(?:[^\s#]*&)?(?:key|sig|signature)=)[^\s]",
    re.IGNORECASE,
)


def is_a_name(name: str) -> bool:
    """Whether a key or a parameter called `name` would hold a secret itself."""
    return _NAME.search(name) is not None and _ELSEWHERE.search(name) is None


def found_in(text: str) -> str:
    """What kind of secret is in `text`, as the "found" half of a message that does not show it; else empty."""
    text = text[:LONGEST]
    if not any(sign in text for sign in ("=", "://", "--")):
        return ""
    if _PASSWORD_IN_URL.search(text):
        return "a password in an address"
    for pattern in _OPTIONS:
        if option := pattern.search(text):
            return f"a secret (`{option['name']}=...`)"
    return "an address that is a secret itself" if _HOOKS.search(text) else ""


def masked(text: str) -> str:
    """`text` with what is recognised as the password of an address left out."""
    return _PASSWORD_IN_URL.sub(r"\g<before>...@", text)
