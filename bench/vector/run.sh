#!/bin/sh
# make bench-vector: tarn-vector and its peers on the same data, in one run.
#
#   bench/vector/run.sh [--rows N] [--dims D] [--queries N] [--threads N]
#                       [--peers a,b,..] [--keep] [--data PREFIX] [--metric cosine|l2]
#
# Default: 100,000 rows of 768 dimensions from the generator in this tree.
# --data names existing PREFIX.base.npy, PREFIX.like.npy, PREFIX.like.truth.npy
# (and PREFIX.unlike.*). Everything but the report goes to build/bench-vector;
# the report goes to docs/benchmarks/.
set -eu
cd "$(dirname "$0")/../.."
work=build/bench-vector
binary=${TARN_VECTOR:-build/release/tarn-vector}
if [ ! -x "$binary" ]; then
    cmake --preset release >/dev/null
    ninja -C build/release tarn-vector
fi
mkdir -p "$work"
if ! cmp -s bench/vector/requirements.txt "$work/installed.txt"; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q --no-binary hnswlib -r bench/vector/requirements.txt
    cp bench/vector/requirements.txt "$work/installed.txt"
fi
exec "$work/venv/bin/python" bench/vector/bench.py --binary "$binary" --work "$work" "$@"
