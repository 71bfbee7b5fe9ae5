# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host is before it is a member, and what is done to make it one: asked and done by ssh, or here.

Decides nothing. One shell script looks at everything, so that a look costs one connection, and needs nothing of
Backstay on the other side. Files are replaced by a rename; secrets go through stdin, never through arguments.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from backstay.errors import CannotAsk
from backstay.host import corosync
from backstay.host.clock import Deadline, NotYet, TimedOut, until
from backstay.host.process import Completed
from backstay.host.ssh import Host

CONF, KEY, REMOTE_KEY = "/etc/corosync/corosync.conf", "/etc/corosync/authkey", "/etc/pacemaker/authkey"
CIB = "/var/lib/pacemaker/cib"
HOLD = "/etc/systemd/system/pacemaker.service.d/backstay-joining.conf"
HELD = """\
# SPDX-License-Identifier: GPL-2.0-or-later
# Written by `backstay host add`, and removed by it: until the fencing of this host is proven it joins in standby.
[Service]
Environment=PCMK_node_start_state=standby
"""
MOUNTS = "/etc/systemd/system/resource-agents-deps.target.d/backstay-cloud.conf"
UNITS = ("corosync", "pacemaker", "pacemaker_remote")
PATHS, NAMES, SECRETS, CERTIFICATES = "path", "name", "secret", "certificate"
_BUSY = "CS_ERR_TRY_AGAIN"
LOOK_TIME, CHANGE_TIME = 60.0, 60.0
START_TIME, STOP_TIME = 120.0, 600.0  # a stop of Pacemaker moves what is left there

LOOK = r"""
say() { printf '%s %s\n' "$1" "$2"; }
file() { [ -f "$2" ] && say "$1" "$(base64 -w0 "$2")"; }
sum() { [ -f "$2" ] && say "$1" "$(sha256sum <"$2")"; }
say clock "$(date +%s.%N)"
say active "$(systemctl is-active corosync pacemaker pacemaker_remote 2>/dev/null | tr '\n' ' ')"
file conf /etc/corosync/corosync.conf
file held /etc/systemd/system/pacemaker.service.d/backstay-joining.conf
file mounts /etc/systemd/system/resource-agents-deps.target.d/backstay-cloud.conf
sum key /etc/corosync/authkey
sum remote-key /etc/pacemaker/authkey
if [ -f /var/lib/pacemaker/cib/cib.xml ]; then
    named='s/.*name="cluster-name" value="\([^"]*\)".*/\1/p'
    say cib.resources "$(grep -c '<primitive' /var/lib/pacemaker/cib/cib.xml)"
    say cib.cluster "$(sed -n "$named" /var/lib/pacemaker/cib/cib.xml | head -n1)"
fi
say cmap "$(timeout 10 corosync-cmapctl 2>/dev/null | grep -E '^(nodelist|runtime.members|totem.config)' | base64 -w0)"
"""

EXAMINE = r"""
last() { "$@" 2>/dev/null | head -n1 | tr -dc '0-9A-Za-z. ()~+:-'; }
say uname "$(uname -n)"
say program.pacemaker "$(last pacemakerd --version | sed 's/^Pacemaker //')"
say program.pacemaker-remote "$(command -v pacemaker-remoted)"
say program.corosync "$(last corosync -v | sed 's/.*version //')"
libvirt() { libvirtd --version || virtqemud --version; }
say program.libvirt "$(last libvirt | sed 's/.*) //')"
say program.backstay "$(last backstay --version | sed 's/^backstay //')"
virsh="timeout 10 virsh -q -c qemu:///system"
say virsh "$($virsh version 2>&1 | base64 -w0)"
say libvirt "$($virsh uri >/dev/null 2>&1 && echo yes)"
say autostart "$($virsh list --all --autostart --name 2>/dev/null | tr '\n' ' ')"
say running "$($virsh list --name 2>/dev/null | tr '\n' ' ')"
say cpu "$($virsh capabilities 2>/dev/null | sed -n '/<cpu>/,/<\/cpu>/p;/<\/cpu>/q' | base64 -w0)"
certificates='import ssl, sys
try:
    ssl.create_default_context(cafile=sys.argv[1])
except ssl.SSLError:
    print("none")
except FileNotFoundError:
    print("missing")
else:
    print("good")'
for word in "$@"; do
    what=${word#*:}
    case $word in
    path:*) timeout 5 test -e "$what" || say missing "$what" ;;
    name:*) say "address.$what" "$(timeout 5 getent ahosts "$what" | sed -n 's/ .*//p' | sort -u | tr '\n' ' ')" ;;
    certificate:*) say "certificate.$what" "$(timeout 10 python3 -I -c "$certificates" "$what" 2>/dev/null)" ;;
    secret:*) say "secret.$what" "$(stat -Lc '%u:%a:%s' "$what" 2>/dev/null)" ;;
    esac
done
"""
END = "say end yes\n"

WRITE = r"""
set -e
umask 022
d=$(dirname "$1")
mkdir -p "$d"
umask 077
t=$(mktemp "$d/.backstay.XXXXXX")
trap 'rm -f "$t"' EXIT
base64 -d >"$t"
[ "$(sha256sum <"$t")" = "$4  -" ] || { echo "$1 did not arrive whole, and stays as it was" >&2; exit 1; }
chmod "$2" "$t"
chgrp "$3" "$t"
sync "$t"
mv -f "$t" "$1"
sync "$d"
"""
"""$1 the path, $2 the mode, $3 the group, $4 the SHA-256 of the content, which comes as base64 from stdin.

A connection that breaks is, for the shell over there, the end of its input: without the sum it would put half a file,
or none, into the place of the old one.
"""

SET_ASIDE = r"""
set -e
[ -e "$1" ] || exit 0
n=0
while [ -e "$1.before-$n" ]; do n=$((n + 1)); done
mv "$1" "$1.before-$n"
"""
CLEAR = r"""
set -e
! systemctl is-active --quiet pacemaker || { echo "Pacemaker runs there again" >&2; exit 1; }
d=/var/lib/pacemaker/cib
n=0
while [ -e "$d.before-$n" ]; do n=$((n + 1)); done
mkdir "$d.before-$n"
find "$d" -mindepth 1 -maxdepth 1 -exec mv -t "$d.before-$n" {} +
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """What one host says of itself.

    `offset` is its clock against ours, `doubt` how wrong that may be (s). `conf` and `mounts` are files, None when
    absent; `key` and `remote_key` fingerprints, empty when absent; `cmap` what Corosync runs with, empty when it does
    not run; `cib` is (cluster, number of resources) of a CIB on its disk. `missing` are paths that it does not have,
    `secrets` owner, mode and size of files (`0:600:16`, empty when absent), `addresses` what names are there.
    `certificates` says of files whether TLS can use them: good, missing, none (in it), empty when it cannot be read.
    """

    name: str
    uname: str = ""
    offset: float = 0.0
    doubt: float = 0.0
    programs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    active: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    conf: str | None = None
    mounts: str | None = None
    held: bool = False
    key: str = ""
    remote_key: str = ""
    cib: tuple[str, int] | None = None
    cmap: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    libvirt: bool = False
    virsh: str = ""
    cpu: str = ""
    autostart: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    certificates: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def runs(self, unit: str) -> bool:
        """Whether a unit is active, or about to be."""
        return self.active.get(unit, "") in ("active", "activating", "reloading", "deactivating")


def look(host: Host) -> Machine:
    """Look at what belongs to a cluster on a host. Raises CannotAsk."""
    return _look(host, LOOK + END, ())


def examine(host: Host, words: Sequence[str]) -> Machine:
    """Look at everything; `words` ask for more (`path:/srv/vm`, `name:n1`, `secret:/etc/password`,
    `certificate:/etc/ca.pem`).
    """
    return _look(host, LOOK + EXAMINE + END, words)


def _look(host: Host, script: str, words: Sequence[str]) -> Machine:
    before = time.time()
    text = host.check(["sh", "-s", "--", *words], timeout=LOOK_TIME, stdin=script)
    return read(host.name, text, before, time.time())


def read(name: str, text: str, before: float, after: float) -> Machine:
    """What the script said between two moments of this host's clock; CannotAsk when it did not come to its end."""
    pairs = [line.partition(" ")[::2] for line in text.splitlines()]
    said = {key: value.strip() for key, value in pairs}
    if said.get("end") != "yes":
        raise CannotAsk(f"{name} did not tell everything")
    clock, middle = float(said.get("clock") or "nan"), (before + after) / 2
    return Machine(
        name,
        said.get("uname", ""),
        clock - middle,
        (after - before) / 2,
        _below(said, "program."),
        MappingProxyType(dict(zip(UNITS, said.get("active", "").split(), strict=False))),
        _text(said.get("conf")),
        _text(said.get("mounts")),
        "held" in said,
        said.get("key", "").partition(" ")[0],
        said.get("remote-key", "").partition(" ")[0],
        (said.get("cib.cluster", ""), int(said["cib.resources"] or 0)) if "cib.resources" in said else None,
        MappingProxyType(corosync.keys(_text(said.get("cmap")) or "")),
        said.get("libvirt") == "yes",
        _text(said.get("virsh")) or "",
        _text(said.get("cpu")) or "",
        tuple(said.get("autostart", "").split()),
        tuple(said.get("running", "").split()),
        tuple(value for key, value in pairs if key == "missing"),
        _below(said, "secret."),
        MappingProxyType({key: tuple(value.split()) for key, value in _below(said, "address.").items()}),
        _below(said, "certificate."),
    )


def _below(said: Mapping[str, str], prefix: str) -> Mapping[str, str]:
    return MappingProxyType(
        {key.removeprefix(prefix): value for key, value in said.items() if key.startswith(prefix)}
    )


def _text(said: str | None) -> str | None:
    return None if said is None else base64.b64decode(said).decode("utf-8", "replace")


def write(host: Host, path: str, content: bytes, mode: str = "0644", group: str = "root") -> None:
    """Replace a file there, complete or not at all."""
    text, sum_ = base64.b64encode(content).decode(), fingerprint(content)
    host.check(["sh", "-c", WRITE, "sh", path, mode, group, sum_], timeout=CHANGE_TIME, stdin=text + "\n")


def secret(path: str) -> bytes:
    """A key of this host; CannotAsk when it has none."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CannotAsk(f"{path} of this host cannot be read: {error.strerror}") from error


def fingerprint(content: bytes) -> str:
    """What a look says of a key."""
    return hashlib.sha256(content).hexdigest()


def hold(host: Host) -> None:
    """Let Pacemaker begin in standby there."""
    write(host, HOLD, HELD.encode())
    again(host)


def release(host: Host) -> None:
    """Take that back."""
    host.check(["rm", "-f", HOLD], timeout=CHANGE_TIME)
    again(host)


def again(host: Host) -> None:
    """Have systemd read its files."""
    host.check(["systemctl", "daemon-reload"], timeout=CHANGE_TIME)


def start(host: Host, units: Sequence[str]) -> None:
    """Start units there, and have them started at each boot."""
    for unit in units:
        host(
            ["systemctl", "reset-failed", unit], timeout=CHANGE_TIME
        )  # one that is not loaded yet has not failed
    host.check(["systemctl", "enable", "--now", *units], timeout=START_TIME)


def restart(host: Host, units: Sequence[str]) -> None:
    """Start those of the units anew that run."""
    host.check(["systemctl", "try-restart", *units], timeout=START_TIME)


def stop(host: Host, units: Sequence[str]) -> None:
    """Stop units there in this order, for good."""
    for unit in units:
        host.check(["systemctl", "disable", "--now", unit], timeout=STOP_TIME)


def clear(host: Host) -> None:
    """Set a CIB of another time aside: one with a higher epoch would take the place of the cluster's."""
    host.check(["sh", "-s"], timeout=CHANGE_TIME, stdin=CLEAR)


def put_aside(host: Host, path: str) -> None:
    """Rename a file there, so that nobody reads it any more; none is as good."""
    host.check(["sh", "-s", "--", path], timeout=CHANGE_TIME, stdin=SET_ASIDE)


def reload(host: Host, within: float = CHANGE_TIME) -> None:
    """Have every Corosync of the cluster read its corosync.conf.

    After a member came or went Corosync waits for the vote of a quorum device (30 s at most, sync_timeout in
    corosync-qdevice(8)), and reads nothing meanwhile: it is asked again.
    """

    def done() -> bool:
        said = host(["corosync-cfgtool", "-R"], timeout=CHANGE_TIME)
        if not said.ok and _BUSY in said.stdout + said.stderr:
            raise NotYet(said.complaint())
        if not said.ok:
            raise CannotAsk(f"{host.name}: corosync-cfgtool failed: {said.complaint()}")
        return True

    try:
        until(done, Deadline(within), 1.0, f"Corosync on {host.name} to read its configuration")
    except TimedOut as error:
        raise CannotAsk(str(error)) from error


def prove(host: Host, accept: Sequence[str], seconds: float) -> Completed:
    """Let a host prove what it could fence, and tell the others (its exit code says whether all of it is ready)."""
    words = [word for name in accept for word in ("--accept", name)]
    return host(["backstay", "fence", "check", "--publish", "--output", "json", *words], timeout=seconds)


def compare(host: Host, cpu: str) -> str:
    """What libvirt there says to a CPU (`identical`, `superset`, `incompatible`); empty when it does not say."""
    argv = ["timeout", "15", "virsh", "-c", "qemu:///system", "cpu-compare", "/dev/stdin"]
    done = host(argv, timeout=LOOK_TIME, stdin=cpu)
    said = done.stdout + done.stderr
    return next((word for word in ("identical", "superset", "incompatible") if word in said), "")
