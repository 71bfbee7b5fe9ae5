#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run inside a root with Backstay installed: what each agent in Pacemaker's place says, by a mark (@AGENT-MARK), the exit
# code in the first line. /srv/web1.xml is the definition that the agent domain is given.
set -u
cat >/srv/web1.xml <<'END'
<domain type="qemu"><name>web1</name><uuid>11111111-1111-4111-8111-111111111111</uuid><memory unit="MiB">64</memory>
<os><type arch="x86_64">hvm</type></os></domain>
END

act() { # MARK AGENT ACTION [PARAMETER=VALUE ...]
    mark=$1 agent=$2 action=$3 code=0
    shift 3
    said=$(env -i PATH=/usr/sbin:/usr/bin OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=one OCF_RESKEY_CRM_meta_timeout=20000 \
        OCF_RESKEY_CRM_meta_interval=0 OCF_RESKEY_CRM_meta_clone_max=2 "$@" \
        "/usr/lib/ocf/resource.d/backstay/$agent" "$action" 2>&1 </dev/null) || code=$?
    printf '@%s-%s\n%s\n%s\n' "$agent" "$mark" "$code" "$said"
}

course() { # AGENT WRONG-PARAMETER RIGHT-PARAMETER...
    agent=$1 wrong=$2
    shift 2
    act metadata "$agent" meta-data
    act right "$agent" validate-all "$@"
    act wrong "$agent" validate-all "$@" "$wrong"
    act here "$agent" validate-all OCF_CHECK_LEVEL=10 "$@"
    act probe "$agent" monitor "$@"
}

course datastore OCF_RESKEY_directory=srv OCF_RESKEY_directory=/srv
course domain OCF_RESKEY_config=web1.xml OCF_RESKEY_config=/srv/web1.xml
course drbd OCF_RESKEY_drbd_resource= OCF_RESKEY_drbd_resource=web1
course frontend OCF_RESKEY_lease=lease OCF_RESKEY_units=page.service OCF_RESKEY_probes=http://127.0.0.1:9/ OCF_RESKEY_lease=/srv/lease
course libvirtd OCF_RESKEY_answer_within=blue OCF_RESKEY_answer_within=3s
