# SPDX-License-Identifier: GPL-2.0-or-later
"""A cloud description becomes a CIB: the templates, filled in and joined.

Decides which template is filled in how often and in which order. The order of hosts and domains in the description is
the order in the CIB, because Pacemaker breaks placement ties by it. The same description gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from backstay.cib.document import MARK, elements, is_ours, own_ids, parse, sure_section
from backstay.cib.parameters import of_domain
from backstay.cib.templates import Templates
from backstay.cloud.model import Cloud, Host
from backstay.cloud.policy import choose, priority
from backstay.errors import BadInput

# The oldest schema that knows the roles Promoted and Unpromoted; every Pacemaker from 2.1.0 on has it.
SCHEMA = "pacemaker-3.7"


def _filled_in(cloud: Cloud, templates: Templates) -> Iterator[tuple[str, str]]:
    policy = choose(cloud)
    common = {"cluster": cloud.cluster, "hosts": cloud.hosts, "domains": cloud.domains, "policy": policy}
    yield templates.render("properties.xml", **common, properties=cloud.properties)
    for host in cloud.hosts:
        if host.capacity or host.site or host.rack:
            node = host.name if host.remote else str(host.nodeid)
            yield templates.render("host.xml", **common, host=host, node=node)
    for host in cloud.hosts:
        if host.bmc is not None:
            yield templates.render("fencing.xml", **common, host=host)
    for device in cloud.devices:
        yield templates.render("device.xml", **common, device=device)
    for host in cloud.hosts:
        if host.remote:
            yield templates.render("remote.xml", **common, host=host)
    yield templates.render("libvirtd.xml", **common)
    if any(storage.locked for storage in cloud.storage):
        locks = {"lvmlockd": any(storage.lvmlockd for storage in cloud.storage)}
        yield templates.render("dlm.xml", **common, locks=locks)
    for storage in cloud.storage:
        yield templates.render(f"{storage.type}.xml", **common, storage=storage)
        if storage.check:
            yield templates.render("datastore.xml", **common, check=storage.check)
    for domain in cloud.domains:
        weight = priority(domain.importance, domain.memory, sized=policy.sized)
        parameters = of_domain(domain, cloud.cluster)
        template = "domain-drbd.xml" if domain.drbd else "domain.xml"
        yield templates.render(template, **common, domain=domain, priority=weight, parameters=parameters)
    if cloud.frontend is not None:
        yield templates.render(f"frontend-{cloud.frontend.kind}.xml", **common, frontend=cloud.frontend)
    for apart in cloud.apart:
        yield templates.render("apart.xml", **common, group=apart)
    for together in cloud.together:
        yield templates.render("together.xml", **common, group=together)
    for host in cloud.hosts:
        if host.levels and (len(host.levels) > 1 or len(host.levels[0]) > 1):
            levels = {"host": host.name, "devices": [_joined(host, level) for level in host.levels]}
            yield templates.render("fencing-levels.xml", **common, levels=levels)
    for alert in cloud.alerts:
        yield templates.render("alerts.xml", **common, alert=alert)


def _joined(host: Host, level: tuple[str, ...]) -> str:
    """The devices of one fencing level as the template has them."""
    return "+".join(f"fence-{host.name if name == 'bmc' else name}" for name in level)


def _join_sets(section: etree._Element, part: etree._Element) -> None:
    for child in list(part):
        # Looked for among the few property sets only: a search for each of 5000 domains takes minutes.
        is_set = child.tag == "cluster_property_set"
        same = section.find(f"{child.tag}[@id='{child.get('id')}']") if is_set else None
        if same is None:
            section.append(child)
        else:
            same.extend(list(child))


def join(cib: etree._Element, text: str, path: str, *, explain: bool) -> None:
    """Put what the filled-in template `text` (from the file `path`) says into `cib`.

    Raises BadInput for what is no fragment of a configuration, or lacks Backstay's mark.
    """
    fragment = parse(text.encode(), path, keep_comments=explain, compact=True)
    if fragment.tag != "configuration":
        raise BadInput(
            f"{path} has the root <{fragment.tag}>, expected <configuration>", hint="mend the template"
        )
    for part in elements(fragment):
        for child in elements(part):
            if not (is_ours(child) or part.tag == "crm_config"):
                place = f"{path}:{child.sourceline}"
                hint = f"begin the id of its meta_attributes (of a constraint: its own id) with {MARK}"
                raise BadInput(
                    f"{place}: <{child.tag} id={child.get('id', '')!r}> lacks Backstay's mark", hint=hint
                )
        _join_sets(sure_section(cib, str(part.tag)), part)


def check_ids(cib: etree._Element) -> None:
    """BadInput when two elements of `cib` have the same id."""
    seen: set[str] = set()
    for identity in own_ids(cib):
        if identity in seen:
            hint = "rename the domain or the host that the id is made of, or mend the template"
            raise BadInput(f"two elements of the rendered CIB have the id {identity}", hint=hint)
        seen.add(identity)


def render(cloud: Cloud, templates: Templates, *, explain: bool = False) -> etree._Element:
    """The CIB of `cloud`, without status; with `explain` the templates' comments are kept.

    Comments do not belong into a live CIB: Pacemaker would carry them in every difference. Raises BadInput for a
    template that cannot be used.
    """
    cib = etree.Element(
        "cib", {"admin_epoch": "0", "epoch": "1", "num_updates": "0", "validate-with": SCHEMA}
    )
    for name in ("crm_config", "nodes", "resources", "constraints"):
        sure_section(cib, name)
    etree.SubElement(cib, "status")
    for text, path in _filled_in(cloud, templates):
        join(cib, text, path, explain=explain)
    check_ids(cib)
    return cib
