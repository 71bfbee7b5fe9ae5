# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a bare cluster a cloud: guests on the shared storage, the witness, the configuration loaded, guests running.

Decides what "furnished" is. The configuration is rendered, validated and loaded by the Backstay that is installed
in the nodes, as an admin would do it.
"""

from __future__ import annotations

import time
from pathlib import Path

from backstay.cloud.model import Cloud
from backstay.cloud.parse import parse
from backstay.errors import CannotAsk
from backstay.lab import guest, witness
from backstay.lab.layout import Layout
from backstay.lab.node import Node
from backstay.lab.progress import Progress
from backstay.lab.stage import Stage, all_well, wait

RUNNING_SECONDS = 300.0
"""Six guests under software emulation speak about 30 s after the configuration was loaded, on two cores."""

LOAD_SECONDS = 420.0
SETTLE_SECONDS = 300
EXAMPLE = "three-hosts.yaml"
EXAMPLES = (Path(__file__).resolve().parents[3] / "examples", Path("/usr/share/doc/backstay/examples"))
TODAYS_AGENTS = Path(__file__).parent / "data" / "todays-agents"
DESCRIPTION = "/etc/backstay/cloud.yaml"
TEMPLATES = "/etc/backstay/crm-templates"
CIB = "/etc/backstay/cloud.xml"


def example() -> str:
    """The text of the cloud description that the lab runs; CannotAsk when the package is not complete."""
    for place in EXAMPLES:
        if (place / EXAMPLE).is_file():
            return (place / EXAMPLE).read_text(encoding="utf-8")
    raise CannotAsk(
        f"{EXAMPLE} is neither in {' nor in '.join(map(str, EXAMPLES))}", hint="is the package complete?"
    )


def furnish(
    layout: Layout, progress: Progress, *, todays_agents: bool = False, description: str = ""
) -> Stage:
    """Furnish the cluster that is up, and return when every guest speaks.

    `description` is the text of another one than the example that the lab runs.
    `todays_agents` loads the same description with VirtualDomain, systemd:libvirtd and fence_ipmilan instead.
    Raises CannotAsk when a step fails, TimedOut's sentence included when guests stay silent.
    """
    text = description or example()
    cloud = parse(text.encode(), EXAMPLE)
    stage = stage_of(layout, cloud)
    progress.step(f"making {len(cloud.domains)} guests; starting the witness that hears them")
    guest.prepare(layout, cloud.domains)
    witness.start(layout, layout.names())
    load(Node(layout, stage.hosts()[0]), text, progress, todays_agents=todays_agents)
    progress.step(f"waiting until {len(cloud.domains)} guests run")
    problem = wait(stage, all_well, RUNNING_SECONDS, "every guest to speak", progress.still)
    if problem:
        raise CannotAsk(f"the cloud does not come up: {problem}", hint="look around: backstay lab status")
    _mark(layout).write_text(f"{time.monotonic():.3f}\n", encoding="ascii")
    return stage


def since(layout: Layout) -> float:
    """When every guest of the lab ran for the first time (monotonic seconds); CannotAsk when that never was."""
    try:
        return float(_mark(layout).read_text(encoding="ascii"))
    except FileNotFoundError:
        raise CannotAsk(
            "no cloud was built in this lab", hint="backstay lab demo --keep builds one"
        ) from None


def _mark(layout: Layout) -> Path:
    return layout.directory / "furnished"


def stage_of(layout: Layout, cloud: Cloud) -> Stage:
    """The stage for a description; its domains need a UUID each, or the witness could not name them."""
    return Stage(layout, {domain.uuid.lower(): domain.name for domain in cloud.domains})


def load(node: Node, text: str, progress: Progress, *, todays_agents: bool) -> None:
    """Let the node's own Backstay render, validate and apply a description, saying what each step said."""
    node.write(DESCRIPTION, text)
    if todays_agents:
        for template in sorted(TODAYS_AGENTS.glob("*.xml")):
            node.write(f"{TEMPLATES}/{template.name}", template.read_text(encoding="utf-8"))
    for command in (
        f"backstay render {DESCRIPTION} -o {CIB}",
        f"backstay validate {CIB}",
        f"backstay apply --yes --wait {SETTLE_SECONDS} {DESCRIPTION}",
    ):
        progress.step(f"{node.name}# {command}")
        node.check(command, timeout=LOAD_SECONDS)
