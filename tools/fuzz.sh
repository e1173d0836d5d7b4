#!/bin/sh
# Runs fuzz targets of build/fuzz one after the other: tools/fuzz.sh SECONDS [NAME...]
# What they find stays in build/fuzz/found; new inputs in build/fuzz/corpus.
set -u
cd "$(dirname "$0")/.."
seconds=${1:?usage: tools/fuzz.sh SECONDS [NAME...]}
shift
if [ $# -eq 0 ]; then
    for program in build/fuzz/tests/fuzz/fuzz_*; do
        [ -f "$program" ] && [ -x "$program" ] && set -- "$@" "$(basename "$program" | sed 's/^fuzz_//')"
    done
fi
failed=""
for name in "$@"; do
    grown=build/fuzz/corpus/$name found=build/fuzz/found/$name log=build/fuzz/$name.log
    mkdir -p "$grown" "$found"
    if build/fuzz/tests/fuzz/"fuzz_$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 \
        -print_final_stats=1 -artifact_prefix="$found/" "$grown" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        echo "fuzz $name: $(awk '/number_of_executed_units/ {print $2}' "$log") runs in $seconds s, no finding"
    else
        tail -n 60 "$log"
        echo "fuzz $name: FOUND something, see $log and $found"
        failed="$failed $name"
    fi
done
[ -z "$failed" ] || { echo "fuzz: findings in:$failed"; exit 1; }
echo "fuzz: $# targets, no finding"
