# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `backstay`: its verbs, and the one guard that turns every failure into an exit code and a sentence.

Decides the exit codes that come from outside of Backstay's own errors: 2 for wrong usage, 130 for an interrupt, 3 for
a failure of Backstay itself. What a verb does is decided in its own module, loaded only when it is asked for.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from backstay import __version__
from backstay.errors import BackstayError, CannotAsk

VERBS = {
    "agents": ("backstay.cli.agents", "agents"),
    "apply": ("backstay.cli.apply", "apply"),
    "drbd": ("backstay.cli.drbd", "drbd"),
    "fence": ("backstay.cli.fence", "fence"),
    "host": ("backstay.cli.hosts", "host"),
    "lab": ("backstay.cli.lab", "lab"),
    "metrics": ("backstay.cli.metrics", "metrics"),
    "plan": ("backstay.cli.plan", "plan"),
    "recover": ("backstay.cli.recover", "recover"),
    "render": ("backstay.cli.render", "render"),
    "rollback": ("backstay.cli.apply", "rollback"),
    "schema": ("backstay.cli.schema", "schema"),
    "validate": ("backstay.cli.validate", "validate"),
}
INTERNAL = 3
INTERRUPTED = 128 + signal.SIGINT
GONE = 128 + signal.SIGPIPE


class Verbs(click.Group):
    """A group whose commands are imported when they are asked for, so that no verb pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return sorted(VERBS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  (click's signature)
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, name = VERBS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in VERBS and not word.startswith("-"):
            from backstay.cloud.problems import nearest

            meant = nearest(word, VERBS)
            hint = f" (did you mean {meant}?)" if meant else ""
            ctx.fail(f"there is no verb {word}{hint}")
        return super().resolve_command(ctx, args)


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="backstay", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of a failure.")
def cli(verbose: bool) -> None:
    """Keeps virtual machines running on a Pacemaker cluster of libvirt hosts.

    Exit codes: 0 good; 1 the answer is no, or there are findings; 2 wrong usage or input; 3 the cluster or a tool could
    not be asked; 4 refused because it would hurt.
    """


def _say(error: BackstayError) -> int:
    click.echo(f"backstay: {error}", err=True)
    if error.hint:
        click.echo(f"  hint: {error.hint}", err=True)
    return error.exit_code


def _internal(error: Exception) -> int:
    from backstay.ocf.log import Log

    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{last.filename.rpartition('/backstay/')[2]}:{last.lineno}"
    log = Log("cli")
    for line in "".join(traceback.format_exception(error)).splitlines():
        log.error(line)
    click.echo(f"backstay: a failure of Backstay itself: {type(error).__name__}: {error} ({place})", err=True)
    click.echo(
        "  hint: run it again with -v for the traceback (the journal has it too), and report it", err=True
    )
    return INTERNAL


def _run(argv: Sequence[str], *, verbose: bool) -> int:
    try:
        answer = cli.main(args=list(argv), prog_name="backstay", standalone_mode=False)
        return answer if isinstance(answer, int) else 0
    except SystemExit as ended:
        # How click answers to a reader that went away (`backstay render ... | head`).
        return GONE if isinstance(ended.__context__, BrokenPipeError) else INTERNAL
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("backstay: interrupted", err=True)
        return INTERRUPTED
    except BackstayError as error:
        if verbose:
            traceback.print_exc()
        return _say(error)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _internal(error)
        return _say(CannotAsk(f"not everything could be written: {error.strerror}", hint="make room"))
    except Exception as error:  # noqa: BLE001  (the guard)
        if verbose:
            traceback.print_exc()
        return _internal(error)


def _complete() -> int:
    """Answer a shell in which somebody has pressed Tab; whatever goes wrong, there is just nothing to choose from."""
    try:
        from backstay.cli.completion import answer

        return answer(cli)
    except Exception:  # noqa: BLE001  (a guard: a traceback would stand in the middle of what is being typed)
        return INTERNAL


def _open_streams() -> None:
    """A stream that the caller closed is None; it leads nowhere instead, and holds nothing."""
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BytesIO())
    sys.stdout = sys.stdout or io.TextIOWrapper(io.BytesIO())
    sys.stderr = sys.stderr or io.TextIOWrapper(io.BytesIO())


def _answer_to_interrupts() -> None:
    """From here on Ctrl-C is an exception, of which the guard makes a sentence; whoever ignores it goes on doing so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command with `argv` (default: this process's arguments) and end the process with its exit code."""
    _answer_to_interrupts()
    _open_streams()
    if "_BACKSTAY_COMPLETE" in os.environ:
        sys.exit(_complete())
    words = sys.argv[1:] if argv is None else list(argv)
    own = words[: words.index("--")] if "--" in words else words
    code = _run(words, verbose=bool({"-v", "--verbose"} & set(own)))
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would complain again while it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or (GONE if isinstance(error, BrokenPipeError) else INTERNAL)
    sys.exit(code)
