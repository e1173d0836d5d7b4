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
    grown=build/fuzz/corpus/$name found=build/fuzz/found/$name
    mkdir -p "$grown" "$found"
    echo "== fuzz $name, $seconds s =="
    build/fuzz/tests/fuzz/"fuzz_$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -print_final_stats=0 \
        -verbosity=0 -artifact_prefix="$found/" "$grown" "tests/fuzz/corpus/$name" || failed="$failed $name"
done
[ -z "$failed" ] || { echo "fuzz: findings in:$failed (build/fuzz/found)"; exit 1; }
echo "fuzz: $# targets, no finding"
