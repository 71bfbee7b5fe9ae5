#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# rpm_root.sh DIRECTORY OURS THEIRS...: installs our package with the real rpm into a root of its own (this machine's
# files under an overlay that nobody else sees), then each of the others, and removes them again. After each it prints
# the file's name and whatever systemctl was told meanwhile. To be run in a mount namespace: unshare --mount.
set -eu
directory=$1 ours=$2
shift 2
root=$directory/root
mount --make-rprivate /
mount -t tmpfs none "$directory"
mkdir "$root" "$directory/upper" "$directory/work"
mount -t overlay -o "lowerdir=/,upperdir=$directory/upper,workdir=$directory/work" none "$root"
mount -t tmpfs none "$root/run"
mount --bind /dev "$root/dev"
said=$root/run/said
cat >"$directory/systemctl" <<'END'
#!/bin/sh
echo "$*" >>/run/said
END
rm -rf "$root/usr/lib/backstay" "$root/var/lib/rpm" "$root/usr/bin/systemctl"
install -m 755 "$directory/systemctl" "$root/usr/bin/systemctl"

in_root() { rpm --root "$root" --nodeps --ignoresize --nosignature "$@" >&2; }
told() { echo "$1:$(tr '\n' ';' <"$said")"; }

rpm --root "$root" --initdb
in_root -i "$ours" # no system runs there yet: nothing is rehearsed, nothing is begun
mkdir -p "$root/run/systemd/system"
for file in "$@"; do
    : >"$said"
    in_root -i "$file"
    told "install $(basename "$file")"
done
for file in "$@"; do
    : >"$said"
    name=$(basename "$file")
    in_root -e "${name%-1-1.noarch.rpm}"
    told "remove $name"
done
