#!/bin/sh
# Runs a command that asks the network, and runs it again, up to three times in
# all, when it fails: one hiccup is no reason to have nothing. The status is the
# last one's: tools/retry.sh COMMAND...
set -u
for pause in 5 20; do
    "$@" && exit 0
    echo "retry: ${1##*/} failed; again in $pause s" >&2
    sleep "$pause"
done
exec "$@"
