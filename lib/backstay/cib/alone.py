# SPDX-License-Identifier: GPL-2.0-or-later
"""One template without a cloud description: a snippet for the usual tools, or a CIB with the snippet in it.

Decides the form that `cibadmin --modify --allow-create` and `crm configure load xml update` both take. `pcs cluster
cib-push` takes only whole CIBs, so the snippet is put into one that `pcs cluster cib` wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from lxml import etree

from backstay.cib.document import MARK, SECTIONS, elements, is_ours, own_ids, section, sure_section
from backstay.cib.merge import LIVE, PROPERTIES, check_schema, put, set_properties
from backstay.cib.render import SCHEMA, check_ids, join
from backstay.cib.templates import SUFFIX, Templates
from backstay.errors import Refused

_PROPERTY = f"{MARK}property-"


def render_alone(
    templates: Templates, name: str, given: Mapping[str, str], *, explain: bool = False
) -> etree._Element:
    """The template `name` filled in with what is `given` as text, as a `<cib>` without attributes.

    cibadmin would take over whatever attributes it had: the schema, the feature set, the epoch. Raises BadInput for
    values that the template does not take, and for a template that cannot be used.
    """
    head = templates.header(name)
    text, path = templates.render(name + SUFFIX, **head.context(head.values(given)))
    cib = etree.Element("cib")
    etree.SubElement(cib, "configuration")
    join(cib, text, path, explain=explain)
    check_ids(cib)
    configuration = cib.find("configuration")
    for part in list(configuration) if configuration is not None else ():
        if not len(part):
            part.getparent().remove(part)  # type: ignore[union-attr]  # it stands in the configuration
    for pair in cib.iterfind(f"configuration/crm_config/cluster_property_set[@id='{PROPERTIES}']/nvpair"):
        # The id that crm_attribute, crmsh and pcs give to a property: with one of its own the same property would stand
        # in the set twice.
        pair.set("id", pair.get("id", "").replace(_PROPERTY, f"{PROPERTIES}-", 1))
    return cib


def _check_free(live: etree._Element, part: str, child: etree._Element) -> None:
    """Refused when an id of `child` belongs to something else than Backstay's element that it replaces."""
    same = live.find(f"configuration/{part}/*[@id='{child.get('id')}']")
    mine = set(own_ids(same)) if same is not None and is_ours(same) else set()
    configuration = live.find("configuration")
    taken = set(own_ids(configuration)) - mine if configuration is not None else set()
    clash = next((one for one in own_ids(child) if one in taken), None)
    if clash is not None:
        hint = "give another name, or remove the hand-made one when it is the same"
        raise Refused(f"the configuration already has {clash}, which Backstay did not create", hint=hint)


def _add(section_: etree._Element, child: etree._Element) -> None:
    """Put `child` in the place of the one with its id, or at the end."""
    same = section_.find(f"*[@id='{child.get('id')}']")
    if same is None:
        section_.append(deepcopy(child))
    else:
        put(same, child)


def add(live: etree._Element, snippet: etree._Element, source: str = LIVE) -> etree._Element:
    """A copy of the CIB `live` with `snippet` in it; what has the same id is replaced, all else stays in its place.

    `source` is where it came from. Raises Refused when an id is taken by something that Backstay did not create, or the
    schema is too old.
    """
    check_schema(live, SCHEMA, source)
    new = deepcopy(live)
    for name in SECTIONS:
        wanted = section(snippet, name)
        if wanted is None:
            continue
        if name == "crm_config":
            set_properties(sure_section(new, name), wanted)
            continue
        for child in elements(wanted):
            _check_free(new, name, child)
            _add(sure_section(new, name), child)
    return new
