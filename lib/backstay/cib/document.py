# SPDX-License-Identifier: GPL-2.0-or-later
"""CIB documents as text and as trees, and the mark of what Backstay created.

Decides how a CIB is read (nothing is resolved, fetched or expanded) and written (the same bytes each time).
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from lxml import etree

from backstay.errors import BadInput

MARK = "backstay-"
"""What the ids of everything begin with that Backstay created, besides the ids of resources."""

SECTIONS = (
    "crm_config", "nodes", "resources", "constraints", "fencing-topology", "op_defaults", "rsc_defaults",
    "alerts", "tags", "acls",
)  # fmt: skip
"""The sections of a configuration in the order in which they are written."""

# Elements whose attribute `id` names another element instead of themselves, or is none of XML's: the entry of a remote
# node has the id of the resource that is the connection to it.
REFERENCES = frozenset({"obj_ref", "resource_ref", "role", "node"})

STRATEGIES = frozenset({"default", "utilization", "balanced", "minimal"})
"""The values of placement-strategy ("Pacemaker Explained", "Utilization and Placement Strategy")."""

LARGEST = 256 * 2**20


def parse(data: bytes, name: str, *, keep_comments: bool = True, compact: bool = False) -> etree._Element:
    """The root element of the XML `data`, called `name` in messages; line numbers are kept.

    `compact` drops white space between elements. Raises BadInput for what is not well-formed, and for a document type:
    no CIB has one, and entities are how a small file becomes a huge one.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=not keep_comments,
        remove_pis=True,
        remove_blank_text=compact,
        huge_tree=len(data) < LARGEST,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        reason = (error.msg or "not XML").split(", line ")[0]
        raise BadInput(
            f"{name}:{line}:{column}: not well-formed XML ({reason})", hint="mend the XML"
        ) from error
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]  # the stubs know half of it
        raise BadInput(f"{name} has a document type, which no CIB has", hint="remove the <!DOCTYPE ...>")
    return root


def parse_cib(data: bytes, name: str) -> etree._Element:
    """The root of the whole CIB `data`, called `name` in messages (see `parse`); BadInput for other XML."""
    root = parse(data, name)
    if root.tag != "cib" or root.find("configuration") is None:
        found = f"the root <{root.tag}>" if root.tag != "cib" else "no <configuration>"
        hint = "`cibadmin --query` and `pcs cluster cib FILE` write one"
        raise BadInput(f"{name} has {found}, expected a whole CIB", hint=hint)
    return root


def is_xml(data: bytes) -> bool:
    """Whether this is meant to be XML: a CIB, where a cloud description is YAML."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def cluster_name(cib: etree._Element) -> str:
    """The cluster's name as Corosync gave it to Pacemaker, or ""."""
    pair = cib.find("configuration/crm_config//nvpair[@name='cluster-name']")
    return pair.get("value", "") if pair is not None else ""


def write(root: etree._Element) -> bytes:
    """`root` as a document: indented, UTF-8, the same bytes for the same tree."""
    etree.indent(root, space="  ")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def write_snippet(root: etree._Element) -> bytes:
    """`root` as text for other tools: like `write`, without the XML declaration, which crmsh refuses to load."""
    etree.indent(root, space="  ")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=False, pretty_print=True)


def elements(parent: etree._Element) -> Iterator[etree._Element]:
    """The child elements of `parent`, without comments."""
    return (child for child in parent if isinstance(child.tag, str))


def own_ids(root: etree._Element) -> Iterator[str]:
    """The ids that `root` and what is in it have themselves (references to others are left out)."""
    for element in root.iter("*"):
        identity = element.get("id")
        if identity is not None and element.tag not in REFERENCES:
            yield identity


def section(cib: etree._Element, name: str) -> etree._Element | None:
    """The section `name` of the configuration of `cib`, if it is there."""
    return cib.find(f"configuration/{name}")


def sure_section(cib: etree._Element, name: str) -> etree._Element:
    """The section `name` of the configuration of `cib`, made in its usual place when it is not there."""
    found = section(cib, name)
    if found is not None:
        return found
    configuration = cib.find("configuration")
    if configuration is None:
        configuration = etree.SubElement(cib, "configuration")
    before = SECTIONS[: SECTIONS.index(name)] if name in SECTIONS else SECTIONS
    place = sum(1 for child in elements(configuration) if child.tag in before)
    new = configuration.makeelement(name)
    configuration.insert(place, new)
    return new


def calm(cib: etree._Element) -> etree._Element:
    """A copy of `cib` as on a day when nothing is wrong: quorum, every member online, no history.

    For a judgement of the configuration alone: what failed or is away is no finding about it. Nor is anything probed
    or weighed: a thousand domains on a hundred hosts would be a hundred thousand probes, which take minutes.
    """
    copy = deepcopy(cib)
    _quickly(copy)
    for status in copy.findall("status"):
        copy.remove(status)
    copy.set("have-quorum", "1")
    status = etree.SubElement(copy, "status")
    for node in _members(copy):
        known = {"id": node.get("id", ""), "uname": node.get("uname", "")}
        online = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
        etree.SubElement(status, "node_state", {**known, **online})
    return copy


def _members(cib: etree._Element) -> list[etree._Element]:
    """The full members of a cluster; one is made up where Pacemaker itself will list them.

    A cluster with nobody in it would fence its remote hosts (crm_verify 2.1.5 warns of that).
    """
    nodes = sure_section(cib, "nodes")
    found = [node for node in nodes.iterfind("node") if node.get("type", "member") == "member"]
    return found or [etree.SubElement(nodes, "node", {"id": "1", "uname": f"{MARK}calm-member"})]


def _quickly(cib: etree._Element) -> None:
    """Let the scheduler neither probe nor weigh what would go where: neither is a fault of the configuration."""
    options = cib.find("configuration/crm_config/cluster_property_set")
    if options is None:
        return
    probes = {"id": f"{MARK}calm-probes", "name": "enable-startup-probes", "value": "false"}
    for pair in list(cib.iterfind("configuration/crm_config/cluster_property_set/nvpair")):
        if pair.get("name") == probes["name"]:
            pair.set("value", "false")
            probes = {}
        # An unknown strategy stays: it is for crm_verify to find.
        if pair.get("name") == "placement-strategy" and pair.get("value") in STRATEGIES:
            pair.set("value", "default")
    if probes:
        etree.SubElement(options, "nvpair", probes)


def is_ours(element: etree._Element) -> bool:
    """Whether Backstay created `element` (a child of a section).

    A constraint or a set is known by its own id. A resource has the name that the admin gave it, and is known by the
    id of one of its attribute sets, which other tools keep when they edit it.
    """
    return element.get("id", "").startswith(MARK) or any(
        child.get("id", "").startswith(MARK) for child in elements(element) if child.tag not in REFERENCES
    )
