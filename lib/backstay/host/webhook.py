# SPDX-License-Identifier: GPL-2.0-or-later
"""One request to somebody's web server that takes what it is told: no redirect is followed, no proxy is asked.

Decides nothing. May block as long as the server likes, so it is called where it can be abandoned (host.child).
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from backstay.errors import CannotAsk


def post(url: str, body: bytes, headers: Mapping[str, str], ca: str, timeout: float) -> None:
    """Post; returns when the server has taken it (2xx). `timeout` is in seconds, for each step.

    Raises CannotAsk; what comes after the host in the URL may be a secret and is not in its words.
    """
    parts = urlsplit(url)
    host, place = parts.hostname or "", parts.path or "/"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca or None)
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    try:
        connection.request("POST", f"{place}?{parts.query}" if parts.query else place, body, dict(headers))
        answer = connection.getresponse()
    except (http.client.HTTPException, ValueError) as error:
        raise CannotAsk(f"{parts.scheme}://{host} does not speak HTTP: {type(error).__name__}") from error
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "verify_message", "") or error.strerror or str(error) or "it does not answer"
        raise CannotAsk(f"{parts.scheme}://{host} cannot be used: {reason}") from error
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise CannotAsk(f"{parts.scheme}://{host} refuses: {answer.status} {answer.reason}")
