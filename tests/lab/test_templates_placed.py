# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates alone that say who fences whom and who runs where: levels and a device of one's own, apart, together."""

from __future__ import annotations

import pytest

from backstay.host.clock import Deadline, until
from backstay.lab import cluster
from tests.lab.test_templates import HOSTS, by_cibadmin, by_crmsh, by_script

# A power strip: its outlet N is the power supply of the host nN, which really goes off.
STRIP = """#!/bin/sh
case "$*" in *metadata*) action=metadata ;; *) while IFS= read -r line; do
    case $line in action=*) action=${line#*=} ;; plug=*|port=*) plug=${line#*=} ;; esac
done ;; esac
case $action in metadata) cat <<END
<?xml version="1.0"?><resource-agent name="fence_strip" shortdesc="strip"><longdesc>x</longdesc><parameters>
<parameter name="action" required="1"><content type="string" default="reboot"/></parameter>
<parameter name="plug" required="1"><content type="string"/></parameter></parameters><actions>
<action name="on"/><action name="off"/><action name="reboot"/><action name="status"/><action name="list"/>
<action name="monitor"/><action name="metadata"/></actions></resource-agent>
END
exit 0 ;; esac
case $action in list|monitor) exit 0 ;; esac
echo "$action $plug" >>/root/strip.log
printf '%s\\n' ip=bmc-n$plug username=fencer password_file=/etc/backstay/bmc.password action=$action |
    /usr/sbin/fence_backstay_ipmi
"""


@pytest.fixture
def admin(lab):
    """A host of a bare cluster; each has the strip's agent."""
    for node in lab.nodes:
        node.write("/usr/sbin/fence_strip", STRIP, mode=0o755)
        node.check("rm -f /root/strip.log")
    return lab.node("n1")


def up(lab):
    return lab.ask().online()


def strips(lab):
    """What the strip was asked for, by whichever host."""
    said = [lab.node(name).run("cat /root/strip.log").stdout for name in HOSTS if name in up(lab)]
    return [line for text in said for line in text.splitlines()]


def fencings(lab):
    """The fencings that succeeded, as a host knows them that is none of them."""
    return [event for event in cluster.ask(lab.layout, among=["n1"]).fencing if event.status == "success"]


def load(node):
    by_cibadmin(node, "properties")
    for host in HOSTS:
        # n3's own BMC is one that nobody has
        address = "10.77.0.250" if host == "n3" else f"bmc-{host}"
        by_cibadmin(node, "fencing", host=host, address=address, username="fencer",
                    password_file="/etc/backstay/bmc.password")  # fmt: skip
    by_script(node, "device", name="strip", agent="fence_strip", plugs="n1:1;n2:2;n3:3")
    by_script(node, "fencing-levels", host="n3", devices="fence-n3", devices_2="fence-strip")


@pytest.mark.long
def test_a_level_of_its_own_fences(lab, admin):
    load(admin)
    lab.wait_for(cluster.running(["fence-n1", "fence-n2", "fence-strip"]), 90, "all that can run")

    before = fencings(lab)
    lab.cut("n3")

    done = until(
        lambda: [event for event in fencings(lab) if event not in before] or None,
        Deadline(240),
        what="n3 to be fenced by the second level",
    )
    assert [event.target for event in done] == ["n3"]
    assert {line.split()[1] for line in strips(lab)} == {"3"}
    lab.wait_for(cluster.all_online(HOSTS), 150, "n3 to come back")
    assert not lab.ask().unclean()


@pytest.mark.long
def test_who_is_kept_together_or_apart_moves_there_alive_and_stays_so(cloud):
    """Guests that run: together they share a host, apart they never do, also when one of their hosts dies."""
    node = cloud.node(cloud.stage.hosts()[0])
    before = node.check("cibadmin --query --scope configuration")
    first, second = "web1", "mail1"

    def places():
        found = cloud.stage.places()
        return found.get(first), found.get(second)

    try:
        with cloud.watched() as watched:
            by_script(node, "together", name="pair", domains=first, domains_2=second)
            cloud.rest()
            one, other = places()
            assert one == other
            old = f"//rsc_colocation[@id='backstay-together-pair-{second}']"
            node.check(["cibadmin", "--delete", "--xpath", old])
            by_crmsh(node, "apart", name="pair", domains=f"{first},{second}")
            cloud.rest()
            one, other = places()
            assert one != other
        moved = {deed[:2] for deed in watched[0].deeds if deed[0] == "migrate_to"}
        assert ("migrate_to", second) in moved
        assert set(watched[0].boots.values()) == {1}

        lost = next(host for host in places() if host != node.name)
        survivors = [host for host in cloud.stage.hosts() if host != lost]
        cloud.lab.cut(lost)

        def again():
            found = places()
            return found if set(found) == set(survivors) else None

        one, other = until(again, Deadline(150), what="both to run on the hosts that are left")
        assert one != other
    finally:
        cloud.settle()
        node.check("cibadmin --replace --scope configuration --xml-pipe", stdin=before, timeout=60)
        cloud.rest()
        cloud.settle()
