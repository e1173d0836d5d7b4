# Completion for bash. The program itself knows its commands, options and
# datasets (tarn __complete), so that this file cannot fall behind.
_tarn()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    case $before in
    -L | --lake | --write-files)
        compopt -o nospace 2>/dev/null
        COMPREPLY=($(compgen -d -S / -- "$word"))
        return
        ;;
    -o | --output | --ready-file)
        COMPREPLY=($(compgen -f -- "$word"))
        return
        ;;
    esac
    COMPREPLY=($("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -gt 0 || $word == -* ]] || COMPREPLY=($(compgen -f -- "$word"))
}
complete -o filenames -F _tarn tarn
