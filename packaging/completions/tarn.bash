# Completion for bash. Commands and options come from the program's own help,
# so that this file cannot fall behind.
_tarn()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -L | --lake | -S | --server | --set) ((i++)) ;;
        -*) ;;
        *)
            command=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
    case $before in
    -L | --lake | --write-files)
        compopt -o nospace 2>/dev/null
        COMPREPLY=($(compgen -d -S / -- "$word"))
        return
        ;;
    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" help $command 2>/dev/null | grep -oE -- '(^|[ ,])--[a-z][a-z-]*')" -- "$word"))
    elif [[ -z $command || $command == help ]]; then
        COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" help 2>/dev/null | awk '/^Commands/ {on = 1; next} /^$/ {on = 0} on {print $1}')" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -o filenames -F _tarn tarn
