# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the password of a BMC comes from: a script, a file, or the parameter itself, in this order.

Decides which of them counts and that it can be a password at all. Never logs it and never puts it into a message.
The same for the Kg key.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable
from pathlib import Path

from backstay.errors import BadInput, CannotAsk
from backstay.fencing.parameters import SCRIPT_TIME, Values
from backstay.host.process import Completed, ToolMissing

LONGEST = 20  # bytes that an IPMI 2.0 password has at most (IPMI 2.0, section 22.30)

MOST = 65536  # bytes of a password file that are looked at
Runner = Callable[..., Completed]


def find(values: Values, run: Runner, longest: int = LONGEST) -> str:
    """The password, whole. Raises CannotAsk when its file or script gives none, BadInput when it cannot be one.

    `longest` is in bytes.
    """
    script, file = values.word("password_script"), values.word("password_file")
    if script:
        text = _ask(script, run)
    elif file:
        text = _read(Path(file))
    else:
        text = values.text("password")
    return checked(text, longest)


def longest_wait(values: Values) -> float:
    """How long `find` may take, in seconds."""
    return SCRIPT_TIME if values.word("password_script") else 0.0


def require_given(values: Values) -> None:
    """Raise BadInput when no password is given in any way. An account may have an empty one, so a host is fenced so."""
    if not any(values.text(name) for name in ("password", "password_file", "password_script")):
        raise BadInput("no password is given", hint="set password_file, password_script or password")


def checked(password: str, longest: int = LONGEST) -> str:
    """The password again, if a BMC can have it."""
    size = len(password.encode("utf-8", "surrogateescape"))
    if size > longest:
        allows = "IPMI 2.0 allows" if longest == LONGEST else "this agent takes"
        raise BadInput(
            f"the password has {size} bytes, and {allows} {longest}",
            hint="set a shorter one on the BMC",
        )
    if "\0" in password:
        raise BadInput("the password has a NUL byte in it", hint="write it into its file as plain text")
    return password


def key(hexadecimal: str) -> str:
    """The Kg key in the form in which a process environment carries it; "" for none. BadInput for what is no key.

    HMAC pads keys with zero bytes (RFC 2104), so those at the end mean nothing; ipmitool takes one inside only as an
    argument, which every user of the host could read.
    """
    try:
        data = bytes.fromhex(hexadecimal.removeprefix("0x")).rstrip(b"\0")
    except ValueError as error:
        raise BadInput("hexadecimal_kg is not hexadecimal", hint="write two digits for each byte") from error
    if len(data) > LONGEST:
        raise BadInput(f"hexadecimal_kg has {len(data)} bytes, and IPMI 2.0 allows {LONGEST}")
    if b"\0" in data:
        raise BadInput("hexadecimal_kg has a zero byte inside", hint="set another key on the BMC")
    return os.fsdecode(data)


def _ask(script: str, run: Runner) -> str:
    try:
        argv = shlex.split(script)
    except ValueError as error:
        raise BadInput(
            f"password_script is no command: {error}", hint="close the quotation, or name a script"
        ) from error
    try:
        done = run(argv, timeout=SCRIPT_TIME, leashed=True)
    except ToolMissing as missing:
        raise CannotAsk(
            f"the password script {script} cannot be run: {missing.why}",
            hint="it must be there, and executable, on every host that may fence",
        ) from missing
    if done.returncode != 0:
        raise CannotAsk(
            f"the password script {script} failed with exit code {done.returncode}", hint="run it by hand"
        )
    return _line(done.stdout)


def _read(file: Path) -> str:
    """The first line of a file. What is none may never end, or never begin (a pipe), so it is not read."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            usable = stat.S_ISREG(os.fstat(handle).st_mode)
            data = os.read(handle, MOST) if usable else b""
        finally:
            os.close(handle)
    except OSError as error:
        raise CannotAsk(
            f"the password file {file} cannot be read: {error.strerror}",
            hint="it must exist on every host that may fence",
        ) from error
    if not usable:
        raise CannotAsk(
            f"the password file {file} is no regular file",
            hint="write the password into a file, or name a password_script that prints it",
        )
    return _line(data.decode("utf-8", "surrogateescape"))


def _line(text: str) -> str:
    """The first line, without its end and nothing else taken away."""
    return text.split("\n", 1)[0].removesuffix("\r")
