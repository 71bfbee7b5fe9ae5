# SPDX-License-Identifier: GPL-2.0-or-later
"""backstay-alert(8): the alert agent, from the declaration of its options.

Decides the words around them.
"""

from __future__ import annotations

from collections.abc import Iterator

from backstay.alerts.attributes import OURS
from backstay.alerts.settings import OPTIONS
from backstay.alerts.wording import Weight
from backstay.cli.roff import Block, Code, Page, Term, Text
from backstay.cloud.model import ALERT_AGENT

ABOUT = """Pacemaker runs it when a host comes or goes, is fenced (or cannot be), when an action of a resource ends, and
when a node attribute changes. It says what happened, to which host or resource, and what to do next: by mail, by web
request (JSON; `text` is what chat servers show), or in the journal.

All recipients of a value are told at the same time, each by a process that is abandoned when its time is over, so that
one that does not answer hides no other. What failed is said in the journal, and the exit code is 1.

Alerts wake somebody; they are no record. They are never repeated, none comes from a host that is gone, and a human's
confirmation of a fencing is reported like a fencing."""
RECIPIENTS = (
    ("admin@example.org, mailto:admin@example.org", "Mail."),
    ("https://chat.example.org/hooks/abc", "A web request (POST)."),
    ("journal", "This host's journal; also what is done without any recipient."),
    (
        "/etc/backstay/alert-recipients",
        "A file with any of these, one in a line, `#` begins a comment: for addresses that are a secret. It runs as "
        "hacluster, so chown root:haclient and chmod 0640.",
    ),
)
WEIGHTS = {
    Weight.alarm: "Get up: a fencing or a stop that failed, fencing that could not be done, guests that run twice.",
    Weight.warning: "Look at it soon: a host was fenced or left, a resource failed or is degraded.",
    Weight.note: "Good news: a host is back, something is well again.",
    Weight.routine: "An action that ended as expected, an attribute that is not Backstay's.",
}
EXAMPLE = """alerts:
  mail:
    recipients: [admins@example.org, /etc/backstay/alert-recipients]
    events: [fencing, nodes, resources, attributes]
    attributes: [backstay-fencing, backstay-agents, backstay-libvirtd, backstay-strays]
    parameters: {smtp: mail.example.org, cluster: rack-7}"""
TRY = f"CRM_alert_kind=node CRM_alert_node=test CRM_alert_desc=lost CRM_alert_recipient=admin@example.org {ALERT_AGENT}"


def page() -> Page:
    """The page."""
    parts: tuple[tuple[str, tuple[Block, ...]], ...] = (
        ("SYNOPSIS", (Code(str(ALERT_AGENT)),)),
        ("DESCRIPTION", tuple(Text(paragraph) for paragraph in ABOUT.split("\n\n"))),
        ("RECIPIENTS", tuple(Term(word, said) for word, said in RECIPIENTS)),
        (
            "PARAMETERS",
            (Text("Instance attributes of the alert, `parameters` in a cloud description."), *_options()),
        ),
        ("HOW GRAVE", tuple(Term(weight.name, said) for weight, said in WEIGHTS.items())),
        (
            "ATTRIBUTES",
            tuple(Term(each.name + "NAME" * each.name.endswith("-"), f"{each.what}.") for each in OURS),
        ),
        ("EXAMPLES", (Code(EXAMPLE), Code(TRY))),
        ("SEE ALSO", (Text("`backstay-cloud`(5), `backstay-fence-check`(8), `crm_mon`(8)"),)),
    )
    return Page("backstay-alert", 8, "tells admins what happened in a cluster, and what to do next", parts)


def _options() -> Iterator[Block]:
    for option in OPTIONS:
        yield Term(
            option.name, f"{option.about}" + (f"\n\nDefault: `{option.default}`." if option.default else "")
        )
