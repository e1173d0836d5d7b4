# Completion for fish, from the program's own help.
function __tarn_commands
    tarn help 2>/dev/null | awk '/^Commands/ {on = 1; next} /^$/ {on = 0} on {c = $1; $1 = ""; sub(/^ +/, ""); print c "\t" $0}'
end
function __tarn_options
    set -l words (commandline -opc) ""
    tarn help (string match -v -- '-*' $words[2..-1])[1] 2>/dev/null | string match -rag -- '(--[a-z][a-z-]*)' | sort -u
end
complete -c tarn -n __fish_use_subcommand -f -a '(__tarn_commands)'
complete -c tarn -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__tarn_options)'
