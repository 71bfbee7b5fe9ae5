#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A small real Ceph of one monitor and one OSD in memory, in a directory of its own: ceph_here.sh DIRECTORY ADDRESS
#
# It has the pool vms, and the client libvirt that may use it. What the daemons say is in DIRECTORY/*.log, their process
# ids in DIRECTORY/mon.pid and osd.pid. Needs Debian's ceph-mon, ceph-osd and ceph-common.
set -eu
directory=$1 address=$2
mkdir -p "$directory/mon" "$directory/osd" "$directory/run"
fsid=$(cat /proc/sys/kernel/random/uuid)
osd=$(cat /proc/sys/kernel/random/uuid)
conf=$directory/ceph.conf

cat >"$conf" <<END
[global]
fsid = $fsid
mon host = [v2:$address:3300,v1:$address:6789]
public addr = $address
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool delete = true
mon allow pool size one = true
mon osd down out interval = 0
mon data = $directory/mon
osd data = $directory/osd
osd objectstore = memstore
# With one copy nobody else renews an OSD's leave to be read (20 s times 0.8): one that was stopped for longer would let
# everybody wait for ever ("waiting for readable" in its dump_ops_in_flight, 16.2).
osd pool default read lease ratio = 100
memstore device bytes = 134217728
keyring = $directory/keyring
run dir = $directory/run
admin socket = $directory/run/\$name.asok
log file = $directory/\$name.log
mon cluster log file = $directory/cluster.log
crash dir = $directory/run
[client.libvirt]
keyring = $directory/libvirt.keyring
log file =
admin socket =
END
chmod 755 "$directory"

say() { timeout 120 ceph --conf "$conf" --connect-timeout 100 "$@"; }

ceph-authtool --create-keyring "$directory/keyring" --gen-key --name mon. --cap mon 'allow *'
ceph-authtool "$directory/keyring" --gen-key --name client.admin --cap mon 'allow *' --cap osd 'allow *'
monmaptool --create --fsid "$fsid" --addv a "[v2:$address:3300,v1:$address:6789]" "$directory/monmap"
ceph-mon --conf "$conf" --id a --mkfs --monmap "$directory/monmap"
ceph-mon --conf "$conf" --id a --foreground </dev/null >"$directory/mon.out" 2>&1 &
echo $! >"$directory/mon.pid"

say osd new "$osd"
say auth get-or-create osd.0 mon 'allow profile osd' osd 'allow *' --out-file "$directory/osd/keyring"
say osd crush add osd.0 1 root=default host=here
ceph-osd --conf "$conf" --id 0 --keyring "$directory/osd/keyring" --mkfs --osd-uuid "$osd" --no-mon-config
ceph-osd --conf "$conf" --id 0 --keyring "$directory/osd/keyring" --foreground </dev/null >"$directory/osd.out" 2>&1 &
echo $! >"$directory/osd.pid"

say osd pool create vms 8 8
say osd pool application enable vms rbd
say auth get-or-create client.libvirt mon 'profile rbd' osd 'profile rbd pool=vms' --out-file "$directory/libvirt.keyring"
say auth print-key client.libvirt >"$directory/libvirt.key"
timeout 120 rbd --conf "$conf" create --size 16M --image-feature layering,exclusive-lock vms/web1
