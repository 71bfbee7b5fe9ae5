# SPDX-License-Identifier: GPL-2.0-or-later
# bash asks `backstay` itself what may come next; see lib/backstay/cli/completion.py.
_backstay() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(IFS=$'\n' && env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \
        _BACKSTAY_COMPLETE=bash_complete "$1" 2>/dev/null)
    # A value follows at once.
    [[ ${#COMPREPLY[@]} -eq 0 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}
complete -o nosort -F _backstay backstay
