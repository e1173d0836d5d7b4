#!/bin/sh
# make bench-vector: tarn-vector and its peers on the same data, in one run.
#
#   bench/vector/run.sh [--quick] [--rows N] [--dims D,D,..] [--queries N]
#                       [--sections peers,filter,churn,insert,fold,cold]
#                       [--peers a,b,..] [--minutes M] [--seconds S]
#                       [--threads N] [--keep] [--data PREFIX|FILE.hdf5]
#                       [--metric cosine|l2]
#
# Default: all sections over 100,000 rows of 768 dimensions from the generator in
# this tree. --minutes bounds each section, --seconds each peer's sweep; what was
# measured before a bound counts. --quick runs everything over 20,000 rows in a
# few minutes and leaves its report in build/bench-vector/quick.
# --data names existing PREFIX.base.npy, PREFIX.like.npy, PREFIX.like.truth.npy
# (and PREFIX.unlike.*), or an HDF5 file of ann-benchmarks. Everything but the
# report goes to build/bench-vector; the report (a page, two pictures, the
# figures as JSON) goes to docs/benchmarks/.
set -eu
cd "$(dirname "$0")/../.."
work=build/bench-vector
binary=${TARN_VECTOR:-build/release/tarn-vector}
if [ -z "${TARN_VECTOR:-}" ]; then
    cmake --log-level=NOTICE --preset release >/dev/null
    ninja -C build/release tarn-vector
fi
mkdir -p "$work"
if ! cmp -s bench/vector/requirements.txt "$work/installed.txt"; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q --no-binary hnswlib -r bench/vector/requirements.txt
    cp bench/vector/requirements.txt "$work/installed.txt"
fi
exec "$work/venv/bin/python" bench/vector/bench.py --binary "$binary" --work "$work" "$@"
