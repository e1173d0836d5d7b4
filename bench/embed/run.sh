#!/bin/sh
# make bench-embed: the built-in encoder and ONNX Runtime, same weights, same run.
#
#   bench/embed/run.sh [--rounds N]
#
# Everything but the page (docs/benchmarks/embed.md) goes to build/bench-embed.
set -eu
cd "$(dirname "$0")/../.."
work=build/bench-embed
tool=${TARN_EMBED_TOOL:-build/release/src/embed/embed_tool}
asset=${TARN_MODEL:-build/release/all-MiniLM-L6-v2.tarn-model}
[ -n "${TARN_EMBED_TOOL:-}" ] || ninja -C build/release embed_tool >/dev/null
mkdir -p "$work"
if ! cmp -s bench/embed/requirements.txt "$work/installed.txt"; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q -r bench/embed/requirements.txt
    cp bench/embed/requirements.txt "$work/installed.txt"
fi
if [ ! -f "$work/onnx/int8.onnx" ] || [ bench/embed/export.py -nt "$work/onnx/int8.onnx" ]; then
    "$work/venv/bin/python" bench/embed/export.py "$(tools/fetch_model.sh)" "$work/onnx" 2>/dev/null
fi
exec "$work/venv/bin/python" bench/embed/bench.py --tool "$tool" --asset "$asset" --onnx "$work/onnx" --work "$work" "$@"
