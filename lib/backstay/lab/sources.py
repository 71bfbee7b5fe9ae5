# SPDX-License-Identifier: GPL-2.0-or-later
"""Which package sources the lab's Debian root is built from: the machine's own, where they are Debian's.

Pure: text in, text out. Never names a mirror; without one of the machine's own the builder's default is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

COMPONENT = "main"
# What an admin may have set for apt that a build needs as well (proxies, mirrors with old signatures).
APT_SETTINGS = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::http::Proxy-Auto-Detect",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)


def entries(lists: Iterable[str], stanzas: Iterable[str], suite: str) -> tuple[str, ...]:
    """The one-line entries for Debian's `suite` in one-line files (`lists`) and deb822 files (`stanzas`).

    Entries of others (another suite, no component "main", source packages) are left out: the root needs Debian
    alone, and must not fail because somebody else's repository does.
    """
    found: list[str] = []
    for text in lists:
        found += [line.strip() for line in text.splitlines() if _wanted_line(line, suite)]
    for text in stanzas:
        for block in _blocks(text):
            found += _one_line(block, suite)
    return tuple(dict.fromkeys(found))


def settings(dump: str) -> tuple[str, ...]:
    """The lines of `apt-config dump` that a build needs as well."""
    return tuple(
        line for line in dump.splitlines() if line.split(" ")[0] in APT_SETTINGS and '""' not in line
    )


def release(text: str) -> Mapping[str, str]:
    """The fields of an os-release file."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key: value.strip().strip("\"'") for key, value in pairs}


def _of_suite(suites: Iterable[str], suite: str) -> list[str]:
    return [s for s in suites if s == suite or (s.startswith(f"{suite}-") and not s.endswith("-backports"))]


def _wanted_line(line: str, suite: str) -> bool:
    words = line.split("#")[0].replace("[", " [").replace("]", "] ").split()
    if not words or words[0] != "deb":
        return False
    if words[1].startswith("["):
        end = next(i for i, word in enumerate(words) if word.endswith("]"))
        words = words[:1] + words[end + 1 :]
    return len(words) > 3 and bool(_of_suite([words[2]], suite)) and COMPONENT in words[3:]


def _blocks(text: str) -> list[dict[str, str]]:
    blocks: list[dict[str, str]] = [{}]
    field = ""
    for line in text.splitlines():
        if not line.strip():
            blocks.append({})
        elif line[0] in " \t" and field in blocks[-1]:
            blocks[-1][field] += " " + line.strip()
        elif not line.startswith("#") and ":" in line:
            field, value = line.split(":", 1)
            field = field.lower()
            blocks[-1][field] = value.strip()
    return [block for block in blocks if block]


def _one_line(block: Mapping[str, str], suite: str) -> list[str]:
    if "deb" not in block.get("types", "").split() or COMPONENT not in block.get("components", "").split():
        return []
    if block.get("enabled", "yes").lower() in ("no", "false", "0"):
        return []
    key = block.get("signed-by", "")
    options = f"[signed-by={key}] " if key.startswith("/") else ""
    suites = _of_suite(block.get("suites", "").split(), suite)
    return [f"deb {options}{uri} {s} {COMPONENT}" for uri in block.get("uris", "").split() for s in suites]
