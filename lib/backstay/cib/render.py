# SPDX-License-Identifier: GPL-2.0-or-later
"""A cloud description becomes a CIB: the templates, filled in and joined.

Decides which template is filled in how often and in which order. The order of hosts and domains in the description is
the order in the CIB, because Pacemaker breaks placement ties by it. The same description gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from backstay.cib.document import MARK, elements, is_ours, own_ids, parse, sure_section
from backstay.cib.templates import Templates
from backstay.cloud.model import Cloud
from backstay.errors import BadInput

# The oldest schema that knows the roles Promoted and Unpromoted; every Pacemaker from 2.1.0 on has it.
SCHEMA = "pacemaker-3.7"


def _filled_in(cloud: Cloud, templates: Templates) -> Iterator[tuple[str, str]]:
    common = {"cluster": cloud.cluster, "hosts": cloud.hosts, "domains": cloud.domains}
    yield templates.render("properties.xml", **common)
    for host in cloud.hosts:
        yield templates.render("fencing.xml", **common, host=host)
    yield templates.render("libvirtd.xml", **common)
    for domain in cloud.domains:
        yield templates.render("domain.xml", **common, domain=domain)


def _join_sets(section: etree._Element, part: etree._Element) -> None:
    for child in list(part):
        # Looked for among the few property sets only: a search for each of 5000 domains takes minutes.
        is_set = child.tag == "cluster_property_set"
        same = section.find(f"{child.tag}[@id='{child.get('id')}']") if is_set else None
        if same is None:
            section.append(child)
        else:
            same.extend(list(child))


def _join(cib: etree._Element, text: str, path: str, *, explain: bool) -> None:
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


def _check_ids(cib: etree._Element) -> None:
    seen: set[str] = set()
    for identity in own_ids(cib):
        if identity in seen:
            hint = "rename the domain or the host that the id is made of, or mend the template"
            raise BadInput(f"two elements of the rendered CIB have the id {identity}", hint=hint)
        seen.add(identity)


def render(cloud: Cloud, templates: Templates, *, explain: bool = False) -> etree._Element:
    """The CIB of `cloud`, without nodes and status; with `explain` the templates' comments are kept.

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
        _join(cib, text, path, explain=explain)
    _check_ids(cib)
    return cib
