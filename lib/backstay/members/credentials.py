# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a new host has what fencing needs of it: passwords, programs that print them, certificates of BMCs.

Decides what is looked for where, and what is wrong with it. Asks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from backstay.cloud.model import Cloud, Host
from backstay.members.candidate import ERROR, Candidate, Finding


def all_signers(new: Host, cloud: Cloud) -> list[str]:
    """Those of every host, where the new one is to fence them."""
    found = [path for each in cloud.hosts for path in signers(each)]
    return [] if new.remote else list(dict.fromkeys(found))


def signers(host: Host) -> tuple[str, ...]:
    """The file of certificates that a BMC's is checked with, if there is one."""
    return (str(host.bmc.tls_ca),) if host.bmc and host.bmc.tls_ca else ()


def secrets(cloud: Cloud) -> list[str]:
    """The files with the password of a BMC."""
    return [str(host.bmc.password_file) for host in cloud.hosts if host.bmc and host.bmc.password_file]


def scripts(cloud: Cloud) -> list[str]:
    """The programs that print the password of a BMC or of another device."""
    found = [host.bmc.password_script for host in cloud.hosts if host.bmc]
    found += [device.password_script for device in cloud.devices]
    return [str(path) for path in found if path]


def secrets_there(new: Candidate) -> Iterator[Finding]:
    """Passwords and programs that are not there, or that others may read or change."""
    programs = frozenset(scripts(new.cloud))
    for path, told in new.machine.secrets.items():
        owner, mode, size = (told.split(":") + ["", "", ""])[:3]
        right = "0700" if path in programs else "0600"
        if not told or size == "0":
            yield Finding(ERROR, f"{path} is missing or empty", f"copy it from {new.here}, mode {right}")
        elif path in programs and not int(mode, 8) & 0o100:
            yield Finding(ERROR, f"{path} is to print a password, and cannot be run", f"chmod {right} {path}")
        elif path in programs and (owner != "0" or int(mode, 8) & 0o022):
            yield Finding(
                ERROR, f"{path} can be changed by others than root", f"chown root, chmod {right} {path}"
            )
        elif path not in programs and (owner != "0" or mode[-2:] != "00"):
            text = f"{path} can be read by others than root"
            yield Finding(ERROR, text, f"chown root, chmod {right} {path}")


_BAD_CERTIFICATES = {
    "missing": "is missing",
    "none": "holds no certificate",
    "": "cannot be read",
}
"""By the word of far.look; the fence agent could ask no BMC with such a file, and so fence nobody."""


def certificates(new: Candidate) -> Iterator[Finding]:
    """Files of certificates that TLS cannot use, on the new host or on a member that is to fence it."""
    asked = [("", new.machine, path) for path in all_signers(new.host, new.cloud)]
    asked += [
        (f" on {name}", machine, path) for name, machine in new.members.items() for path in signers(new.host)
    ]
    for where, machine, path in asked:
        wrong = _BAD_CERTIFICATES.get(machine.certificates.get(path, ""))
        if wrong:
            todo = "put the certificates that may sign the BMC's there, as PEM: no BMC is asked without them"
            yield Finding(ERROR, f"{path} (tls_ca){where} {wrong}", todo)
