# SPDX-License-Identifier: GPL-2.0-or-later
"""`python3 -m backstay.lab.bmc`: one BMC simulator in the foreground, until it is told to stop.

Decides which chassis it has: a file (`--directory` alone) or a node of the lab (`--node`). Prints one line
`listening ADDRESS PORT` when it can be asked, so that whoever started it need not guess.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

from backstay.errors import BackstayError
from backstay.lab.bmc import users
from backstay.lab.bmc.chassis import FIRMWARE, Chassis, FileChassis
from backstay.lab.bmc.server import Settings, bind, serve
from backstay.lab.layout import Layout


def arguments(argv: list[str]) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python3 -m backstay.lab.bmc", description=__doc__)
    parser.add_argument("--node", help="a node of the lab, whose power this BMC switches")
    parser.add_argument("--directory", type=Path, help="its files: faults/, events.jsonl, users, power")
    parser.add_argument(
        "--users", type=Path, help="file of lines: name role password (default: users in --directory)"
    )
    parser.add_argument("--address", default="127.0.0.1", help="where it listens (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, help="UDP port, 0 for any free one (default: %(default)s)"
    )
    parser.add_argument("--slots", type=int, default=8, help="sessions at once (default: %(default)s)")
    parser.add_argument("--suites", default="3,17", help="cipher suites offered (default: %(default)s)")
    parser.add_argument(
        "--kg", type=bytes.fromhex, default=b"", help="its Kg key, hexadecimal (default: none)"
    )
    parser.add_argument("--guid", type=bytes.fromhex, default=b"", help="its 16 bytes as they are sent")
    parser.add_argument(
        "--leash", action="store_true", help="end when the standard input ends: with its starter"
    )
    parser.add_argument("--ready", type=Path, help="a file that is written once it listens")
    chosen = parser.parse_args(argv)
    if not chosen.node and not chosen.directory:
        parser.error("give --node or --directory")
    return chosen


def settings(chosen: argparse.Namespace) -> Settings:
    """The settings of the BMC that was asked for; raises BadInput for a bad file of users."""
    directory = chosen.directory or Layout.from_environment().node(chosen.node).bmc
    directory.mkdir(parents=True, exist_ok=True)
    return Settings(
        host=chosen.node or directory.name,
        address=chosen.address,
        port=chosen.port,
        accounts=users.read(chosen.users or directory / "users"),
        directory=directory,
        firmware=FIRMWARE if chosen.node else 0.0,
        slots=chosen.slots,
        suites=tuple(int(number) for number in chosen.suites.split(",")),
        key=chosen.kg,
        guid=chosen.guid,
    )


def chassis_of(chosen: argparse.Namespace, directory: Path) -> Chassis:
    """The power that this BMC switches."""
    if not chosen.node:
        return FileChassis(directory / "power")
    from backstay.lab.bmc.node import NodeChassis

    return NodeChassis(Layout.from_environment(), chosen.node)


async def run(
    configured: Settings, listener: socket.socket, chassis: Chassis, ready: Path | None, *, leash: bool
) -> None:
    """Serve until SIGTERM or SIGINT, on a leash also until whoever started it is gone."""

    def announce(address: str, port: int) -> None:
        sys.stdout.write(f"listening {address} {port}\n")
        sys.stdout.flush()
        if ready:
            fresh = ready.with_name(ready.name + ".new")
            fresh.write_text(json.dumps({"pid": os.getpid(), "address": address, "port": port}))
            fresh.replace(ready)

    serving = asyncio.ensure_future(serve(configured, listener, chassis, announce))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    if leash:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        return


def main(argv: list[str]) -> int:
    """Run one BMC; the exit code and one sentence say why it could not."""
    try:
        chosen = arguments(argv)
        configured = settings(chosen)
        listener = bind(configured.host, configured.address, configured.port)
        asyncio.run(
            run(
                configured,
                listener,
                chassis_of(chosen, configured.directory),
                chosen.ready,
                leash=chosen.leash,
            )
        )
    except BackstayError as error:
        sys.stderr.write(f"{error}; {error.hint}\n" if error.hint else f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
