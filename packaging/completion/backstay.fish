# SPDX-License-Identifier: GPL-2.0-or-later
# fish asks `backstay` itself what may come next; see lib/backstay/cli/completion.py.
function __backstay_complete
    set -l command (commandline -opc)[1]
    for line in (env _BACKSTAY_COMPLETE=fish_complete COMP_WORDS=(commandline -cp | string collect) \
            COMP_CWORD=(commandline -ct | string collect --allow-empty) $command 2>/dev/null)
        set -l part (string split --max 1 , -- $line)
        switch $part[1]
            case dir
                __fish_complete_directories $part[2]
            case file
                __fish_complete_path $part[2]
            case plain
                echo $part[2]
        end
    end
end
complete --no-files --command backstay --arguments "(__backstay_complete)"
