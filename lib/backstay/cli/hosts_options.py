# SPDX-License-Identifier: GPL-2.0-or-later
"""The options of `backstay host add|remove|replace`.

Decides their names and what they mean in a word; nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import click

from backstay.cli import options
from backstay.cli.hosts_words import Asked
from backstay.fencing.drill import ALLOW_STOP, ONLY_THESE
from backstay.members.refusals import OLD_IS_OFF, SETTINGS

F = TypeVar("F", bound=Callable[..., object])
DESCRIPTION = "/etc/backstay/cloud.yaml"


def shared(function: Callable[..., int]) -> Callable[..., int]:
    """The options that all three have, given to the command as one Asked; what a command has besides stays."""

    @wraps(function)
    def collected(
        *,
        name: str,
        path: str,
        yes: bool,
        only_plan: bool,
        allow_stop: bool,
        settings: bool,
        seconds: float,
        output: str,
        only_these: bool = False,
        **besides: object,
    ) -> int:
        insisted = [word for word, said in ((ALLOW_STOP, allow_stop), (ONLY_THESE, only_these)) if said]
        return function(
            Asked(name, path, output, seconds, yes, only_plan, settings, tuple(insisted)), **besides
        )

    for option in (
        options.waiting(
            600.0, "How long guests may take to leave, the host to join, and the cluster to settle."
        ),
        click.option(
            SETTINGS,
            "settings",
            is_flag=True,
            help="Also when corosync.conf says of members or quorum what the description does not.",
        ),
        click.option(
            ALLOW_STOP, "allow_stop", is_flag=True, help="Also when something that runs would be stopped."
        ),
        click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and change nothing."),
        options.unasked,
        click.option("--cloud", "path", default=DESCRIPTION, show_default=True, help="The description."),
        click.argument("name", metavar="HOST"),
        options.common,
    ):
        collected = option(collected)
    return collected


def entry(function: F) -> F:
    """The options that write an entry."""
    for option in (
        click.option("--set", "given", multiple=True, metavar="KEY=VALUE", help="The same, key by key."),
        click.option(
            "--entry", metavar="FILE", help="The host's entry, for a description that does not have it."
        ),
    ):
        function = option(function)
    return function


only_these = click.option(
    ONLY_THESE, is_flag=True, help="Nothing runs there that the cluster does not manage: you looked."
)

old_is_off = click.option(
    OLD_IS_OFF, is_flag=True, help="You have seen the old machine off; its BMC is not asked."
)
