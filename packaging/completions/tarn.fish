# Completion for fish, from the program itself (tarn __complete). Files are
# offered beside its words, as most commands take some.
function __tarn_words
    set -l words (commandline -opc)
    tarn __complete $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c tarn -n __fish_use_subcommand -f
complete -c tarn -a '(__tarn_words)'
