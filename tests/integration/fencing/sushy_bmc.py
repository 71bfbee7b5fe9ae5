# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC on sushy-tools' emulator with its fake driver, whose machines switch at once instead of some time later.

Run as: sushy_bmc.py DIRECTORY SYSTEMS [CERTIFICATE KEY]; DIRECTORY holds `users` (name:bcrypt) and its state, SYSTEMS
is how many machines it has (their ids: uuid_of(number)). It prints `listening PORT` when it can be asked; with a certificate
it speaks HTTPS by itself.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from types import SimpleNamespace

from sushy_tools.emulator.main import app
from sushy_tools.emulator.resources.systems import fakedriver
from werkzeug.serving import make_server

from tests.integration.fencing.redfish_bmc import uuid_of


def main(directory: Path, systems: int, certificate: str = "", key: str = "") -> None:
    """Serve until killed."""
    state = directory / "state"
    state.mkdir()
    machines = [
        {"uuid": uuid_of(number), "name": f"n{number}", "power_state": "On", "external_notifier": False, "nics": []}
        for number in range(systems)
    ]  # fmt: skip
    app.configure(
        extra_config={
            "SUSHY_EMULATOR_FAKE_DRIVER": True,
            "SUSHY_EMULATOR_FAKE_SYSTEMS": machines,
            "SUSHY_EMULATOR_AUTH_FILE": str(directory / "users"),
            "SUSHY_EMULATOR_STATE_DIR": str(state),
        }
    )
    # Its own machines take 1 to 11 s, by chance; here a test says what takes how long.
    fakedriver.random = SimpleNamespace(randint=lambda *_: 0)
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context)
    sys.stdout.write(f"listening {server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
