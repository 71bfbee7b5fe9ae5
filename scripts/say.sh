# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by the other scripts: how they speak to the admin, and how they try again.

# say TEXT: progress, on stderr, with the seconds since the script began.
say() { printf 'backstay: [%3ds] %s\n' "$SECONDS" "$*" >&2; }

# stop TEXT: the one sentence for a circumstance that ends the work.
stop() {
    printf 'backstay: %s\n' "$*" >&2
    exit "${stop_code:-3}"
}

# retry N COMMAND...: up to N times, 2, 4, 8 ... seconds apart.
retry() {
    local times=$1 attempt pause=2
    shift
    for ((attempt = 1; attempt <= times; attempt++)); do
        "$@" && return 0
        if ((attempt < times)); then
            say "failed ($attempt of $times): $1 ... again in $pause s"
            sleep "$pause"
            pause=$((pause * 2))
        fi
    done
    return 1
}
