# SPDX-License-Identifier: GPL-2.0-or-later
"""What fence_backstay_redfish can be told: fence_redfish's parameter names where they mean the same.

Decides names, defaults and limits. What fence_redfish has besides is ignored like any unknown name, and LIKE_REDFISH
says why.
"""

from __future__ import annotations

from backstay.fencing.parameters import HOW_LONG, IGNORED, PASSWORD_ELSEWHERE, PLUG, TIMES, WORDS, Parameter

PARAMETERS = (
    Parameter("action", "Fencing action", default="reboot", option="o", required=True),
    Parameter("ip", "Address or name of the BMC", option="a", old="ipaddr", required=True),
    Parameter("ipport", "TCP port of the BMC", "integer", "443", option="u", least=1, most=65535),
    Parameter("username", "Account on the BMC", option="l", old="login", required=True),
    Parameter("password", "Password of the account", option="p", old="passwd", secret=True),
    *PASSWORD_ELSEWHERE,
    Parameter(
        "session",
        "1: one login and one logout per run, by Redfish's session service; 0: HTTP Basic in each request",
        "boolean",
        "0",
    ),
    Parameter("redfish_uri", "Path of the service root", default="/redfish/v1/"),
    Parameter(
        "systems_uri",
        "Path of the system to switch, such as /redfish/v1/Systems/System.Embedded.1; not needed where there is "
        "one, or where plug is the id of one",
    ),
    Parameter("ssl", "HTTPS; nothing else is offered", "boolean", "1", option="z"),
    Parameter("ssl_secure", "Check the certificate, whatever ssl_insecure says", "boolean", "0"),
    Parameter(
        "ssl_insecure",
        "Accept any certificate: whoever sits between host and BMC can read the password and lie about the power",
        "boolean",
        "0",
    ),
    Parameter("ssl_ca", "File of the authorities (PEM) that may sign the certificate; default: the system's"),
    Parameter("ssl_name", "Name that the certificate must have; default: ip"),
    Parameter(
        "ssl_fingerprint",
        "SHA-256 fingerprint of the only certificate that is accepted (several: with commas), whoever signed it; "
        "with ssl_ca both must be right",
    ),
    *PLUG,
    *TIMES,
    *WORDS,
)

LIKE_REDFISH = {**IGNORED, "gnutlscli_path": "TLS is Python's own"}

LONGDESC = (
    "Switches the power of a host through its BMC with Redfish over HTTPS. off is successful when the BMC was seen to "
    "report PowerState Off (PoweringOff is not off), not when it accepted a command; a refusal is reported at once, "
    "with the BMC's reason, and a task that a command became is followed until it fails or the power is seen. "
    f"{HOW_LONG} The BMC's certificate is checked: against the system's authorities, those of ssl_ca, or a fingerprint "
    "(openssl s_client -connect ADDRESS:443 </dev/null | openssl x509 -noout -fingerprint -sha256 prints it, to be "
    "compared with what the BMC's own console shows). ssl_insecure=1 gives that up, and every action says so. "
    "off is ResetType ForceOff, on is On or ForceOn; where the BMC lists what it allows, nothing else is sent. A "
    "graceful shutdown, ForceRestart and PowerCycle are never sent: nobody would see the host off. A BMC with "
    "several systems needs systems_uri, or pcmk_host_map to the id of each. Redirects are followed on the same server "
    "only. The password never appears in a process list; password_file or password_script keep it out of the cluster "
    "configuration. Old names of parameters are accepted."
)
