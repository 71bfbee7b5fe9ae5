#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first program of a VM node: it finds the root that the machine exports, and goes on in it. With "backstay.try" on
# the kernel's command line it only says that the kernel has come this far.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in @MODULES@; do insmod "/modules/$module.ko"; done
read -r arguments </proc/cmdline
case " $arguments " in
*" backstay.try "*)
    echo "backstay: this kernel runs" >/dev/ttyS0
    poweroff -f
    ;;
esac
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,access=user root /root ||
    { echo "backstay: the root cannot be mounted" >/dev/ttyS0; poweroff -f; }
umount /proc /sys
mount --move /dev /root/dev
exec switch_root /root /sbin/init
