# Completion for fish. The program itself knows the words.
complete -c tarn -a '(set -l words (commandline -opc) (commandline -ct); tarn __complete -- $words[2..-1] 2>/dev/null)'
