# SPDX-License-Identifier: GPL-2.0-or-later
"""What an admin may say about a domain: the parameters of ocf:backstay:domain.

Decides names, defaults and what is a wrong value. Does nothing with them.
"""

from __future__ import annotations

from backstay.agents.domain_definition import normal_uuid
from backstay.ocf.parameters import Parameters, boolean, choice, integer, path, seconds, text

KVM = "qemu:///system"
NO_COMPRESSION = "none"
COMPRESSIONS = (NO_COMPRESSION, "xbzrle", "mt")


def _uuid_complaint(given: str) -> str:
    try:
        normal_uuid(given)
    except ValueError as complaint:
        return str(complaint)
    return ""


def _hypervisor_complaint(given: str) -> str:
    if given == KVM:
        return ""
    from backstay.agents.domain_hypervisor import complaint

    return complaint(given)


def _hypervisor(given: str) -> str:
    if given == KVM:
        return KVM
    from backstay.agents.domain_hypervisor import meaning

    return meaning(given)


def _nearest(refused: str) -> str:
    from backstay.agents.domain_hypervisor import nearest

    return nearest(refused)


def _shutdown_complaint(given: str) -> str:
    from backstay.agents.domain_stop import MODES, modes_of

    return "" if set(modes_of(given)) <= set(MODES) else f"must be a list of {', '.join(MODES)}"


def _scripts_complaint(given: str) -> str:
    return "" if all(word.startswith("/") for word in given.split()) else "must be absolute paths of programs"


def _limit_complaint(kind: str, given: str) -> str:
    from backstay.agents.domain_rates import complaint

    return complaint(kind, given)


def _migration_complaint(parameter: str, given: str) -> str:
    from backstay.agents.domain_migration_way import complaint

    return complaint(parameter, given)


def _understood(options: str) -> str:
    from backstay.agents.domain_migration_way import understood

    return understood(options)


class DomainParameters(Parameters):
    """The parameters, a section for each concern; names are VirtualDomain's where they mean the same."""

    # ---- who it is and where

    config = path(
        "file with the definition of the domain (libvirt XML)",
        required=True,
        unique_group="config",
        longdesc="Absolute path of the definition, the same on every host; usually on shared storage. It is needed to "
        "start the domain. A running domain is seen and stopped without it.",
    )
    uuid = text(
        "UUID of the domain",
        check=_uuid_complaint,
        unique_group="uuid",
        longdesc="Says who the domain is while config cannot be read, for example because its share is not mounted on "
        "a host. Must be the UUID that config has.",
    )
    hypervisor = text(
        "libvirt connection URI",
        check=_hypervisor_complaint,
        meaning=_hypervisor,
        otherwise=_nearest,
        default=KVM,
        longdesc="The libvirt on this host that runs the domain: qemu:///system, qemu:///session, or lxc:///system for "
        "containers (Debian: libvirt-daemon-driver-lxc); qemu+unix:///system, with the usual ?socket= or without, and "
        "lxc:/// mean the same. A container runs as long as a process is in its control group, also without libvirtd "
        "and without libvirt_lxc, its controller. It is asked to end by the shutdown_modes signal (SIGTERM to its "
        "init) and initctl, by both when neither is named. "
        "libvirt migrates no container: leave allow-migrate unset. snapshot, backingfile, stateless, limit_disk, "
        "limit_cpu, limit_memory, limit_network and guard=lock do not go with one; check level 10 sees no more than "
        "level 0, and each monitor asks libvirt. Others are refused: a Xen guest is no process of the host, so only "
        "libvirt's word would prove its absence, and a probe while libvirtd is down could not be answered. A probe "
        "with such a value says what it sees; where a guest of that hypervisor could run unseen it answers 2, so that "
        "Pacemaker neither starts nor stops it.",
    )
    # ---- definition: copies of it, what starts the guest behind the cluster's back

    start_from_copy = boolean(
        "start from this host's copy while config cannot be read",
        longdesc="Whenever config is read, each host keeps a copy with a checksum in /var/lib/backstay/definitions. "
        "While config cannot be read, the copy says who the domain is, so that it is seen and stopped. By default it "
        "is not started from the copy: config may have been changed since, and an old definition can name an old "
        "disk. Set this to true when config rarely changes and a start matters more; such a start is said in the log.",
    )

    traps = choice(
        "what a start does about what starts the guest without the cluster",
        ("clear", "refuse", "ignore"),
        default="clear",
        longdesc="Autostart, a managed-save image, libvirt-guests with ON_BOOT=start, and on_crash or on_poweroff with "
        "restart in the definition start a guest, or restore an old memory of it, behind the cluster's back. clear: "
        "autostart is switched off, the definition is overridden (config is not changed), and a managed-save image is "
        "removed once the guest is seen running without it, as its disk is newer then; what only an admin can do is "
        "said in the log. refuse: the start fails and names the command. ignore: they are said in the log. A guest "
        "may always reboot (on_reboot=restart). A probe, which runs on every host, does the same about autostart.",
    )
    snapshot = path(
        "directory for the saved memory of the guest",
        longdesc="A directory on shared storage, the same on every host; not the mount point itself but a directory "
        "in it, so that it is missing while the share is not mounted. A stop saves the guest's memory there, in up to "
        "45 percent of the stop timeout, else shuts the guest down; the next start on any host restores it. Never "
        "an old memory on a newer disk: each start first writes a new generation beside the image, and an image that "
        "does not fit the generation or the disks is set aside (.save.aside). What ocf:heartbeat:VirtualDomain left "
        "(NAME.state) is not restored. While the directory cannot be used the guest is not started. Remove what lies "
        "there when you unset this. Not together with force_stop or stateless.",
    )
    backingfile = path(
        "disk image under a throw-away layer",
        longdesc="The guest's disk is a qcow2 layer over this file, which is never written: config with .qcow2 for its "
        "ending (or for all from its first dot on, as with ocf:heartbeat:VirtualDomain), a disk of the definition, "
        "made at a start when it is missing. Any other file there is never replaced: the start fails. Needs qemu-img.",
    )
    stateless = boolean(
        "a new layer over backingfile at each start",
        longdesc="Only with backingfile: what the guest wrote is thrown away at its next start.",
    )

    # ---- start: the guard against a second copy
    guard = choice(
        "what keeps a second copy from being started",
        ("none", "peers", "lock"),
        default="peers",
        reloadable=True,
        longdesc="peers: before the domain is created, libvirt on the other hosts is asked, over migration_transport, "
        "whether it runs there, as after a migration by hand that the cluster does not know of. Only a host that "
        "says so refuses the start; offline and fenced hosts are not asked. One that does not answer is a warning and "
        "costs six seconds at most; so is one with what a failed start or migration left paused, which never ran, and "
        "it costs up to 15 seconds.\n\n"
        "lock: libvirt's lock manager (lock_manager in qemu.conf: virtlockd or sanlock) keeps two guests from one "
        "disk; a start without one is refused. Whatever is set here, a start that a lock refuses, libvirt's or "
        "QEMU's own, is tried again while its timeout lasts.\n\n"
        "none: nobody is asked.",
    )

    # ---- stop
    force_stop = boolean(
        "end the domain without asking the guest",
        reloadable=True,
        longdesc="Stops the domain as if its power were cut. Otherwise the guest is asked to shut down, and gets "
        "60 percent of the stop timeout for it.",
    )
    shutdown_mode = text(
        "how the guest is asked to shut down",
        check=_shutdown_complaint,
        default="agent,acpi",
        reloadable=True,
        longdesc="A list, separated by commas, of virsh's modes: agent (the QEMU guest agent), acpi (the power "
        "button), and initctl, signal and paravirt where the hypervisor has them. They are tried in this order until "
        "one is accepted: an agent that is not connected or does not answer costs at most six seconds. A guest that "
        "still runs ten seconds later is asked again, beginning with the next mode; one that no mode reaches in an "
        "eighth of the stop timeout is ended. While libvirtd is dead, the power "
        "button is pressed through the emulator's own control socket whatever stands here, as the only other "
        "thing left would be to cut the power.",
    )

    # ---- monitor
    degraded_limit = seconds(
        "how long a guest may be degraded before its monitor fails (0: for ever)",
        default="0",
        zero=True,
        reloadable=True,
        longdesc="After this time the monitor fails, and Pacemaker restarts the guest, where a restart cures what is "
        "wrong and only the guest's memory is lost: paused by its watchdog, by a failed post-copy migration, by an "
        "error of libvirt or for no known reason; powered off or left by a start without its emulator ending; a "
        "guest agent (OCF_CHECK_LEVEL 20) or a monitor script that had a connection and does not answer any more. "
        "Never counted: a pause by an I/O error (storage that fails here mostly fails everywhere, so the guest would "
        "be stopped, or its host fenced, on one host after the other for nothing; make storage a resource of its "
        "own), a guest that somebody paused or that suspended itself, one that libvirt lost while it runs well. By "
        "default nothing is restarted: what a guest has in its memory may be what the admin still wants to save. A "
        "guest that panicked is a failure at once.",
    )
    monitor_scripts = text(
        "scripts that say whether the services in the guest are well",
        check=_scripts_complaint,
        reloadable=True,
        longdesc="Absolute paths of programs, separated by spaces. They run one after the other, without arguments; "
        "DOMAIN_NAME, DOMAIN_UUID and all OCF_* variables are in their environment. One that fails makes the monitor "
        "fail with the last line that it said. One that does not end in its time (monitor_script_timeout) is killed "
        "and the domain degraded, see degraded_limit. One that is not on this host degrades too. They are not run in "
        "a guest that is paused or otherwise not well. A start waits until all pass, and fails when they do not "
        "before its timeout; a migration does not wait for them.",
    )
    monitor_scripts_depth = integer(
        "check level from which monitor_scripts run",
        default=0,
        minimum=0,
        maximum=20,
        reloadable=True,
        longdesc="0 runs them in every monitor, as ocf:heartbeat:VirtualDomain does. With 10 or 20 only a monitor with "
        "that OCF_CHECK_LEVEL runs them, so that others cost nothing.",
    )
    monitor_script_timeout = seconds(
        "time for each of monitor_scripts",
        default="10s",
        reloadable=True,
        longdesc="Each script gets this time, or its share of what is left of the action's timeout if that is less.",
    )

    # ---- migration
    migration_transport = text(
        "transport to libvirt on the other host",
        check=lambda given: _migration_complaint("migration_transport", given),
        reloadable=True,
        longdesc="How libvirt on one host reaches libvirt on another one for a live migration: empty or tls "
        "(certificates), ssh (root's keys), tcp (nobody is asked who he is and everybody can read along: for a lab, "
        "or a network that nobody else can enter), libssh or libssh2. The guest's memory goes from emulator to "
        "emulator beside it, unencrypted unless migrate_options has --tls. Backstay's how-to-migrate shows how.",
    )
    migration_user = text(
        "user on the other host",
        check=lambda given: _migration_complaint("migration_user", given),
        reloadable=True,
        longdesc="The user that libvirt logs in as on the other host, with the transport ssh; root by default.",
    )
    remoteuri = text(
        "libvirt connection URI of the other host",
        check=lambda given: _migration_complaint("remoteuri", given),
        reloadable=True,
        longdesc="Where libvirt on the other host is, with %n in the place of the name that the cluster has for it: "
        "qemu+tls://%n.example.org/system. It replaces what hypervisor, migration_transport and migration_user "
        "say about that.",
    )
    migrateuri = text(
        "where the guest's memory is sent",
        check=lambda given: _migration_complaint("migrateuri", given),
        reloadable=True,
        longdesc="The address that the emulator on the other host listens at, with %n in the place of the name that "
        "the cluster has for it: tcp://%n-10g. By default libvirt there names its own host. It replaces what "
        "migration_network_suffix and migrateport say about that.",
    )
    migration_network_suffix = text(
        "what the other host's name ends with in the migration network",
        check=lambda given: _migration_complaint("migration_network_suffix", given),
        reloadable=True,
        longdesc="Sends the guest's memory through another network: with -mig to n2-mig.example.org for the host "
        "n2.example.org. libvirt there is reached by the host's own name all the same; remoteuri changes that.",
    )
    migrateport = integer(
        "port that the guest's memory is sent to",
        default=0,
        minimum=0,
        maximum=65535,
        reloadable=True,
        longdesc="A fixed port admits one migration to a host at a time. With 0 libvirt takes a free one from "
        "49152 to 49215.",
    )
    migration_downtime = integer(
        "longest pause of the guest at the end of a migration, in milliseconds",
        default=0,
        minimum=0,
        maximum=2000000,
        reloadable=True,
        longdesc="A migration ends when what is left can be sent in this time. A guest that writes to much memory "
        "needs more of it, or never arrives. 0 leaves it to the emulator (300 ms).",
    )
    migration_speed = integer(
        "most that a migration may send, in MiB/s",
        default=0,
        minimum=0,
        maximum=2**31,
        reloadable=True,
        longdesc="Keeps room in the network for others. 0 is no limit.",
    )
    migration_auto_converge = boolean(
        "slow the guest down if it writes faster than can be sent",
        default=True,
        reloadable=True,
        longdesc="The emulator gives such a guest less and less time to run until the migration gets on. A migration "
        "that does not arrive in time is cancelled, and Pacemaker then stops the guest and starts it elsewhere.",
    )
    migration_compression = choice(
        "compress what is sent",
        COMPRESSIONS,
        default=NO_COMPRESSION,
        reloadable=True,
        longdesc="xbzrle sends the difference to a page's last content (cheap, good for guests that write little in "
        "many places), mt compresses whole pages in several threads (for slow networks).",
    )
    migration_postcopy = boolean(
        "let the guest go on at the other host before all its memory is there",
        reloadable=True,
        longdesc="A migration that would not be finished in time is switched to post-copy after all of the memory "
        "was sent once. It then always ends, but it can no longer be cancelled: if one of the two hosts or the "
        "network between them fails before the end, the guest is lost as if its power were cut.",
    )
    migrate_options = text(
        "further options for live migration",
        check=lambda given: _migration_complaint("migrate_options", given),
        otherwise=_understood,
        reloadable=True,
        longdesc="Options of virsh migrate: --unsafe, --auto-converge, --compressed, --postcopy, --tunnelled, "
        "--abort-on-error, --parallel, --tls, --persistent, --undefinesource, --copy-storage-all, "
        "--copy-storage-inc, --migrate-disks=DISK,DISK, --bandwidth=MIBPS, --migrateuri=URI, --listen-address=ADDRESS. "
        "Migration is always live and peer to peer. Where an option says something else than a parameter, it wins, and "
        "validate-all names that, and what is not understood, as does the log; the rest is used.",
    )

    # ---- limits: live throttles of a noisy guest
    limit_disk = text(
        "limits of the guest's disks",
        check=lambda given: _limit_complaint("disk", given),
        reloadable=True,
        longdesc="Rates separated by commas, for all disks or for the named ones: 50MiB/s or vda=50MiB/s,300iops "
        "vdb=read:10MB/s,write:5MB/s. Without read: or write: a rate is for both together. This and the other limits "
        "are set in the running guest: crm_resource --resource web1 --set-parameter limit_disk --parameter-value "
        "vda=50MiB/s throttles it at once, without a restart, and --delete-parameter lifts the limit back to what the "
        "definition says. They are set again at every start and after every migration. A limit that cannot be set "
        "stops no guest: its monitor is degraded, says why, and tries again.",
    )
    limit_cpu = text(
        "limit of the guest's CPU time, in percent of one host CPU",
        check=lambda given: _limit_complaint("cpu", given),
        reloadable=True,
        longdesc="150% is one and a half CPUs of the host for the whole domain, emulator included. Needs libvirt's "
        "cgroup controller cpu.",
    )
    cpu_shares = integer(
        "weight of the guest when CPUs are scarce (0: what the definition says)",
        default=0,
        minimum=0,
        maximum=262144,
        reloadable=True,
        longdesc="Relative to other guests: twice the number is twice the time. A guest has 1024 on hosts with cgroup "
        "v1 and 100 with v2, where 10000 is the most. For containers too. Needs libvirt's cgroup controller cpu.",
    )
    limit_memory = text(
        "memory that the guest is asked to make do with (balloon)",
        check=lambda given: _limit_complaint("memory", given),
        reloadable=True,
        longdesc="A size such as 2GiB, at most the memory of the definition. The guest's balloon driver gives the rest "
        "back to the host when it can.",
    )
    limit_network = text(
        "limits of the guest's network interfaces",
        check=lambda given: _limit_complaint("network", given),
        reloadable=True,
        longdesc="Rates for all interfaces, or for those named by MAC address, by number (the first is 0) or by their "
        "name on the host: 100Mbit/s or 52:54:00:12:34:56=100Mbit/s 1=in:10MB/s,out:2MB/s. in: is what the guest "
        "receives, out: what it sends; without either a rate is for each of both. libvirt needs htb, sfq and ingress "
        "of the host's kernel (sch_htb, sch_sfq, sch_ingress); where one is missing, the monitor is degraded.",
    )

    # ---- utilization and what VirtualDomain has besides
    start_resources = boolean(
        "start libvirt networks and storage pools that the domain needs",
        reloadable=True,
        longdesc="Before the domain starts, and at the target before it migrates, the networks of its interfaces and "
        "the pools of its volumes are started where they are not active (a pool that is, is refreshed), in a quarter "
        "of the action's time at most. What fails is said in the log, and libvirt says whether it can be done without.",
    )

    def contradiction(self) -> str:
        """Say which values contradict each other, in one sentence; empty when none do.

        A start and a stop have an answer: with force_stop nothing is saved, and a start writes its generation still.
        """
        from backstay.agents.domain_contradictions import contradiction

        return contradiction(self)
