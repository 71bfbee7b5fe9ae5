# SPDX-License-Identifier: GPL-2.0-or-later
"""What fence_backstay_ipmi can be told: fence_ipmilan's parameter names where they mean the same.

Decides names, defaults and limits. The defaults are safer than fence_ipmilan's: IPMI 2.0 only, an explicit cipher
suite, the role operator. What fence_ipmilan has besides is ignored like any unknown name, and LIKE_IPMILAN says why.
"""

from __future__ import annotations

from backstay.fencing.parameters import HOW_LONG, IGNORED, PASSWORD_ELSEWHERE, PLUG, TIMES, WORDS, Parameter

PARAMETERS = (
    Parameter("action", "Fencing action", default="reboot", option="o", required=True),
    Parameter("ip", "Address or name of the BMC", option="a", old="ipaddr", required=True),
    Parameter("ipport", "UDP port of the BMC", "integer", "623", option="u", least=1, most=65535),
    Parameter("username", "Account on the BMC", option="l", old="login", required=True),
    Parameter("password", "Password of the account, at most 20 bytes", option="p", old="passwd", secret=True),
    *PASSWORD_ELSEWHERE,
    Parameter("lanplus", "IPMI 2.0 (RMCP+); nothing else is offered", "boolean", "1", option="P"),
    Parameter(
        "cipher", "Cipher suite (0, no security, is refused)", "integer", "17", option="C", least=1, most=254
    ),
    Parameter(
        "cipher_fallback",
        "Cipher suite to take when the BMC says that it does not offer `cipher`; none: rather fail",
        "select",
        "3",
        choices=("3", "none"),
    ),
    Parameter("hexadecimal_kg", "Kg key of the BMC, hexadecimal", secret=True),
    Parameter(
        "privlvl",
        "Role to ask for; operator is what switching needs",
        "select",
        "operator",
        option="L",
        choices=("callback", "user", "operator", "administrator"),
    ),
    *PLUG,
    Parameter("target", "IPMB address to bridge requests to", option="t"),
    Parameter(
        "method",
        "How to reboot: onoff, or cycle in one command; either way off must be seen",
        "select",
        "onoff",
        option="m",
        choices=("onoff", "cycle"),
    ),
    *TIMES,
    Parameter("ipmitool_timeout", "Seconds to wait for each packet", "integer", "1", least=1, most=30),
    Parameter("ipmitool_path", "Path of ipmitool", default="/usr/bin/ipmitool"),
    *WORDS,
)

LIKE_IPMILAN = {
    **IGNORED,
    "auth": "IPMI 1.5 alone has it; with IPMI 2.0 the cipher suite says how a login is proven",
    "sudo": "ipmitool needs no rights to reach another machine's BMC",
    "sudo_path": "as sudo",
    "use_sudo": "as sudo",
}

LONGDESC = (
    "Switches the power of a host through its BMC with IPMI 2.0 over LAN (ipmitool). off is successful when the "
    "BMC was seen to report off, not when it accepted a command; a refusal is reported at once, with the BMC's "
    f"reason. {HOW_LONG} Both cipher suites sign and encrypt everything; 17 hashes with SHA-256, 3 with "
    "SHA-1. Suite 3 is asked for only when the BMC says that it does not offer 17, and every action says so, because a "
    "host that cannot be fenced is the greater danger; cipher=3 ends the message, cipher_fallback=none forbids it. "
    "method=cycle counts only when the BMC was seen off: when that was missed, a plain off follows. One device with "
    "several hosts in pcmk_host_list reaches all of them at one address: the cluster cannot tell such an alias from a "
    "mistake. The password never appears in a process list; password_file or "
    "password_script keep it out of the cluster configuration. Old names of parameters are accepted."
)
