# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a BMC with Redfish did not do it, in one sentence for the admin: cause before advice, and short.

Decides words only. See wording.py for what the sentences around them must not say.
"""

from __future__ import annotations

from dataclasses import dataclass

from backstay.host.bmc import Kind, Trouble


@dataclass(frozen=True, slots=True)
class Device:
    """The BMC as messages call it. `host` is the cluster's name for the machine, or empty."""

    address: str
    port: int
    user: str
    host: str = ""

    @property
    def bmc(self) -> str:
        """The BMC in a sentence that has named its machine: `its BMC (10.0.0.2)`."""
        return f"its BMC ({self.address})"

    @property
    def machine(self) -> str:
        """The machine itself."""
        return self.host or f"the host behind {self.address}"

    def cause(self, trouble: Trouble, deed: str) -> str:
        """The trouble, and what to do next."""
        if trouble.kind is Kind.OFFER:  # says itself what to do next
            return f"{self.bmc} {trouble.said}"
        what, then = _cause(trouble, self, deed)
        return f"{what}; {then}"


def unchecked(device: Device) -> str:
    """What an admin should know as long as anybody may pretend to be the BMC."""
    return (
        f"the certificate of the BMC {device.address} of {device.machine} is not checked (ssl_insecure=1); "
        "set ssl_ca or ssl_fingerprint"
    )


def _cause(trouble: Trouble, device: Device, deed: str) -> tuple[str, str]:
    odd = (
        f"{device.bmc} gave an answer that is not Redfish's ({trouble.said})",
        "check ip, ipport and redfish_uri",
    )
    return {**_no_answer(trouble, device, deed), **_no(trouble, device, deed)}.get(trouble.kind, odd)


def _no_answer(trouble: Trouble, device: Device, deed: str) -> dict[Kind, tuple[str, str]]:
    """What kept the BMC from saying anything."""
    bmc, said = device.bmc, trouble.said
    return {
        Kind.SILENT: (
            f"{bmc} does not answer on TCP port {device.port} ({said})",
            "check its power, its cable and every firewall on the way",
        ),
        Kind.SLOW: (
            f"{bmc} takes a connection and then does not agree on TLS in time",
            "check the network on the way, or restart the BMC",
        ),
        Kind.CUT: (
            f"{bmc} gave no complete answer in the time that it has",
            "check the network on the way, or give it longer",
        ),
        Kind.UNANSWERED: (
            f"{bmc} takes a connection but leaves the request to {deed} unanswered",
            "restart the BMC",
        ),
        Kind.DROPPED: (
            f"{bmc} takes a connection and drops it ({said})",
            "check that HTTPS is on there and that the port is right, or restart the BMC",
        ),
        Kind.NAME: (
            f"the name {device.address} has no address ({said})",
            "use an address that needs no name service",
        ),
        Kind.CERTIFICATE: (
            f"the certificate of {bmc} is not accepted ({said})",
            "correct ssl_ca, ssl_name or ssl_fingerprint, or give the BMC another one",
        ),
    }


def _no(trouble: Trouble, device: Device, deed: str) -> dict[Kind, tuple[str, str]]:
    """What the BMC said in place of a yes."""
    bmc, user, said = device.bmc, device.user, trouble.said
    busy = trouble.after or trouble.code in (429, 503)
    return {
        Kind.PASSWORD: (
            f"{bmc} does not accept the account {user} with this password ({said})",
            "correct username or password",
        ),
        Kind.ROLE: (
            f"the account {user} may not {deed} ({said}) at {bmc}",
            "give it the role Operator there",
        ),
        Kind.SESSIONS: (f"{bmc} has no session free ({said})", "end other sessions, or restart the BMC"),
        Kind.NOT_NOW: (
            f"{bmc} will not {deed} in its present state ({said})",
            "look at the machine, and see the BMC's own log",
        ),
        Kind.TASK: (
            f"{bmc} accepted the command, and then its task failed ({said})",
            "see the BMC's own log",
        ),
        Kind.BLANK: (
            f"{bmc} answers, but names no power state ({said})",
            "if it stays so, restart the BMC",
        ),
        Kind.REFUSED: (
            f"{bmc} refused to {deed} ({said})",
            "if it stays busy, restart the BMC" if busy else "see the BMC's own log",
        ),
    }
