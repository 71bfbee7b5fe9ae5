#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The audit guest: every record is on the disk before the witness hears of it.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/null >/dev/ttyS0 2>&1
for module in @MODULES@; do insmod "/modules/$module.ko"; done
read -r uuid </sys/class/dmi/id/product_uuid
read -r boot </proc/sys/kernel/random/boot_id

used() { # is there a record in sector $1? (the shell drops the zeros of an empty one)
    [ -n "$(dd if=/dev/vda bs=512 count=1 skip="$1" iflag=direct status=none)" ]
}

# Sectors are written one after the other, so the first empty one is found by doubling and then by halving.
next=0 last=1
while used "$last"; do next=$last last=$((2 * last)); done
used "$next" || last=$next
while [ "$next" -lt "$last" ]; do
    middle=$(((next + last) / 2))
    if used "$middle"; then next=$((middle + 1)); else last=$middle; fi
done

record() { # append one record with the word $1; the number advances only when it is on the disk
    line="#backstay $uuid $boot $next $1 ."
    dd of=/dev/vda bs=512 seek="$next" conv=notrunc,sync,fsync oflag=direct status=none <<END || return
$line
END
    echo "$line"
    next=$((next + 1))
}

# One pipe is both the clock and the power button's messenger: waiting costs no process.
mkfifo /event
exec 3<>/event
for device in /sys/class/input/event*; do
    read -r name <"$device/device/name"
    [ "$name" = "Power Button" ] || continue
    exec 4<"/dev/input/${device##*/}" # the kernel keeps the events from here on
    { dd of=/dev/null bs=24 count=1 status=none <&4; echo off >&3; } &
done

# With load=N on the kernel's command line N MiB of memory are written again and again.
if [ -n "$load" ]; then
    mkfifo /pause
    while :; do
        dd if=/dev/urandom of=/load bs=1M count="$load" conv=notrunc status=none
        read -r -t 0.4 never <>/pause
    done &
fi

record up
until read -r -t @INTERVAL@ event <&3; do record run; done
record bye
read -r -t 0.1 event <&3 # what is still in the serial port leaves before the power goes
poweroff -f
