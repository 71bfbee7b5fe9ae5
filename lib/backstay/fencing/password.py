# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the password of a BMC comes from: a script, a file, or the parameter itself, in this order.

Decides which of them counts and that it can be a password at all. Never logs it and never puts it into a message.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from backstay.errors import BadInput, CannotAsk
from backstay.fencing.parameters import Values
from backstay.host.process import Completed

LONGEST = 20  # bytes that an IPMI 2.0 password has at most (IPMI 2.0, section 22.30)
SCRIPT_TIME = 5.0  # seconds

Runner = Callable[..., Completed]


def find(values: Values, run: Runner) -> str:
    """The password, whole. Raises CannotAsk when its file or script gives none, BadInput when it cannot be one."""
    script, file = values.word("password_script"), values.word("password_file")
    if script:
        text = _ask(script, run)
    elif file:
        text = _read(Path(file))
    else:
        text = values.text("password")
    return checked(text)


def checked(password: str) -> str:
    """The password again, if a BMC can have it."""
    size = len(password.encode("utf-8", "surrogateescape"))
    if size > LONGEST:
        raise BadInput(
            f"the password has {size} bytes, and IPMI 2.0 allows {LONGEST}",
            hint="set a shorter one on the BMC",
        )
    if "\0" in password:
        raise BadInput("the password has a NUL byte in it", hint="write it into its file as plain text")
    return password


def _ask(script: str, run: Runner) -> str:
    try:
        argv = shlex.split(script)
    except ValueError as error:
        raise BadInput(
            f"password_script is no command: {error}", hint="close the quotation, or name a script"
        ) from error
    done = run(argv, timeout=SCRIPT_TIME)
    if done.returncode != 0:
        raise CannotAsk(
            f"the password script {script} failed with exit code {done.returncode}", hint="run it by hand"
        )
    return _line(done.stdout)


def _read(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CannotAsk(
            f"the password file {file} cannot be read: {error.strerror}",
            hint="it must exist on every host that may fence",
        ) from error
    return _line(data.decode("utf-8", "surrogateescape"))


def _line(text: str) -> str:
    """The first line, without its end and nothing else taken away."""
    return text.split("\n", 1)[0].removesuffix("\r")
