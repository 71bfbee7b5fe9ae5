# SPDX-License-Identifier: GPL-2.0-or-later
"""A live CIB and a rendered one become the CIB to load.

Decides what belongs to Backstay and is replaced, and what belongs to others and stays, in content and in order: nodes,
status, hand-made resources and constraints, properties that the templates do not name. An admin's switches on a
resource (target-role and the like) stay as well. Pure: the inputs are not changed.
"""

from __future__ import annotations

import shlex
from copy import deepcopy

from lxml import etree

from backstay.cib.document import (
    MARK,
    SECTIONS,
    cluster_name,
    elements,
    is_ours,
    own_ids,
    section,
    sure_section,
)
from backstay.cib.schema import version
from backstay.errors import Refused

LIVE = "the live configuration"
PROPERTIES = "cib-bootstrap-options"
RESOURCES = ("primitive", "group", "clone", "bundle")
# What `pcs resource disable`, `crm resource unmanage` and their like write into a resource's meta attributes.
SWITCHES = ("target-role", "is-managed", "maintenance")


def check_cluster(live: etree._Element, name: str, source: str = LIVE) -> None:
    """Refused when `live` is the CIB of a cluster whose name is not `name`. One without a name is believed.

    `source` is where it came from.
    """
    found = cluster_name(live)
    if found not in ("", name):
        hint = f"set `cluster: name: {found}` in the description if it is meant for this cluster"
        raise Refused(f"the description is for the cluster {name}, {source} is that of {found}", hint=hint)


def _without_comments(element: etree._Element) -> etree._Element:
    copy = deepcopy(element)
    etree.strip_tags(copy, etree.Comment)
    for node in copy.iter():
        node.text = node.tail = None
    return copy


def _keep_switches(old: etree._Element, new: etree._Element) -> None:
    """Carry an admin's switches from `old` to `new`, each in the set where it stands.

    crm_resource and pcs put them into a set of their own (`web1-meta_attributes`) at the end of the resource.
    """
    for holder in old.findall("meta_attributes"):
        rendered = {pair.get("name") for pair in new.iterfind("meta_attributes/nvpair")}
        kept = [
            pair
            for pair in holder.iterfind("nvpair")
            if pair.get("name") in SWITCHES and pair.get("name") not in rendered
        ]
        place = new.find(f"meta_attributes[@id='{holder.get('id')}']")
        if kept and place is None:
            place = etree.SubElement(new, "meta_attributes", {"id": holder.get("id", "")})
        if place is not None:
            place.extend([_without_comments(pair) for pair in kept])


def _keep_all_switches(old: etree._Element, new: etree._Element) -> None:
    before = {resource.get("id"): resource for resource in old.iter(*RESOURCES)}
    for resource in new.iter(*RESOURCES):
        if resource.get("id") in before:
            _keep_switches(before[resource.get("id")], resource)


def put(old: etree._Element, wanted: etree._Element) -> None:
    """Replace `old`, which is in a CIB, by `wanted`; the admin's switches on it stay."""
    new = _without_comments(wanted)
    _keep_all_switches(old, new)
    parent = old.getparent()
    assert parent is not None  # it is in a section
    parent.replace(old, new)


def _fill(live: etree._Element, wanted: list[etree._Element]) -> None:
    """Put `wanted` where Backstay's elements stand in `live`, in order; others keep their places."""
    slots = [child for child in elements(live) if is_ours(child)]
    old = {child.get("id"): child for child in slots}
    fresh = [_without_comments(child) for child in wanted]
    for child in fresh:
        if child.get("id") in old:
            _keep_all_switches(old[child.get("id")], child)
    place = live.index(slots[-1]) + 1 if slots else len(live)
    live[place:place] = fresh[len(slots) :]
    for slot, child in zip(slots, fresh, strict=False):
        live.replace(slot, child)
    for slot in slots[len(fresh) :]:
        live.remove(slot)


def set_properties(live: etree._Element, rendered: etree._Element) -> None:
    """Set the rendered properties in the set that all tools use; an existing entry keeps its id.

    Both are sections `crm_config`.
    """
    holder = live.find(f"cluster_property_set[@id='{PROPERTIES}']")
    if holder is None:
        holder = etree.SubElement(live, "cluster_property_set", id=PROPERTIES)
    wanted = {pair.get("name", ""): pair for pair in rendered.iterfind("cluster_property_set/nvpair")}
    present = {pair.get("name", ""): pair for pair in holder.iterfind("nvpair")}
    for name, pair in wanted.items():
        if name in present:
            present[name].set("value", pair.get("value", ""))
        else:
            holder.append(_without_comments(pair))


def _properties(live: etree._Element, rendered: etree._Element) -> None:
    set_properties(live, rendered)
    wanted = {pair.get("name") for pair in rendered.iterfind("cluster_property_set/nvpair")}
    for holder in live.findall(f"cluster_property_set[@id='{PROPERTIES}']"):
        for pair in list(holder.iterfind("nvpair")):
            if pair.get("id", "").startswith(MARK) and pair.get("name") not in wanted:
                holder.remove(pair)


def set_nodes(live: etree._Element, rendered: etree._Element) -> None:
    """Set what Backstay says about hosts that the cluster knows, and nothing else of them; both are sections `nodes`.

    A host is known by its name. A full member that the cluster does not know is left out: Pacemaker makes its entry
    when it joins, and would fence one that never did. A remote node joins nothing, so its entry is made here.
    """
    wanted = {node.get("uname"): node for node in rendered.iterfind("node")}
    for node in live.findall("node"):
        for old in list(elements(node)):
            if old.get("id", "").startswith(MARK):
                node.remove(old)
        fresh = wanted.pop(node.get("uname"), None)
        if fresh is not None:
            node.extend([_without_comments(child) for child in elements(fresh) if is_ours(child)])
    live.extend([_without_comments(node) for node in wanted.values() if node.get("type") == "remote"])


def _check_ids(live: etree._Element, rendered: etree._Element, source: str) -> None:
    configuration = live.find("configuration")
    foreign: set[str] = set()
    for part in elements(configuration) if configuration is not None else ():
        for child in elements(part):
            if not is_ours(child) and part.tag != "crm_config":
                foreign.update(own_ids(child))
    for name in SECTIONS[1:]:
        wanted = section(rendered, name)
        taken = next((one for one in own_ids(wanted) if one in foreign), None) if wanted is not None else None
        if taken is not None:
            hint = "rename it in the description, or remove the hand-made one when it is the same"
            raise Refused(f"{source} already has {taken}, which Backstay did not create", hint=hint)


def check_schema(live: etree._Element, needs: str, source: str = LIVE) -> None:
    """Refused when the schema of the CIB `live`, which came from `source`, is older than the one called `needs`."""
    has = live.get("validate-with", "")
    if version(has) < version(needs):
        where = "" if source in (LIVE, "<stdin>") else f"CIB_file={shlex.quote(source)} "
        hint = f"{where}cibadmin --upgrade --force brings it to the newest schema"
        raise Refused(f"{source} uses the schema {has or 'none'}, and {needs} is needed", hint=hint)


def merge(live: etree._Element, rendered: etree._Element, source: str = LIVE) -> etree._Element:
    """The CIB to load: `live` with everything of Backstay's replaced by what is in `rendered`.

    Epoch and status are those of `live`, and so are nodes, but for what Backstay says about them. Raises Refused when
    an id is already taken by something hand-made, or the schema of `live`, which came from `source`, is too old.
    """
    check_schema(live, rendered.get("validate-with", ""), source)
    _check_ids(live, rendered, source)
    new = deepcopy(live)
    _properties(sure_section(new, "crm_config"), sure_section(deepcopy(rendered), "crm_config"))
    if (nodes := section(rendered, "nodes")) is not None and (
        len(nodes) or section(new, "nodes") is not None
    ):
        set_nodes(sure_section(new, "nodes"), nodes)
    for name in SECTIONS:
        wanted = section(rendered, name)
        if name in ("crm_config", "nodes") or (wanted is None and section(new, name) is None):
            continue
        _fill(sure_section(new, name), list(elements(wanted)) if wanted is not None else [])
    return new
