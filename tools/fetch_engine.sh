#!/bin/sh
# Puts the SQL engine's library and header into build/engine (or the folder
# given), from the cache or, once, from the package registries. Versions and
# checksums: tools/engine.lock. Nothing is done when they are there already.
set -eu
cd "$(dirname "$0")/.."
. tools/engine.lock

out=${1:-build/engine}
case "$(uname -m)" in
aarch64 | arm64) library=$ENGINE_LIBRARY_arm64 library_sha256=$ENGINE_LIBRARY_arm64_SHA256 ;;
x86_64 | amd64) library=$ENGINE_LIBRARY_amd64 library_sha256=$ENGINE_LIBRARY_amd64_SHA256 ;;
*)
    echo "fetch_engine: the engine is not published for $(uname -m)" >&2
    exit 1
    ;;
esac

# Hashing 71 MB on every build would cost a third of a second; the stamp says
# that these very checksums were verified here before.
stamp="$library_sha256 $HEADER_SHA256"
if [ -f "$out/$library" ] && [ -f "$out/include/duckdb.h" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

is() { [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status 2>/dev/null; }
must_be() {
    is "$1" "$2" && return
    echo "fetch_engine: $1 does not have the checksum of tools/engine.lock; remove it and try again" >&2
    echo "fetch_engine: expected $2" >&2
    exit 1
}

if [ -n "${XDG_CACHE_HOME:-}" ]; then
    cache=$XDG_CACHE_HOME/tarn/engine
elif [ -n "${HOME:-}" ]; then
    cache=$HOME/.cache/tarn/engine
else
    cache=build/.cache/engine
fi
cache=$cache/$ENGINE_VERSION
mkdir -p "$cache" "$out/include"

work=
cleanup() { [ -z "$work" ] || rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if ! is "$cache/$library" "$library_sha256" || ! is "$cache/duckdb.h" "$HEADER_SHA256"; then
    if is "$out/$library" "$library_sha256" && is "$out/include/duckdb.h" "$HEADER_SHA256"; then
        work=$(mktemp -d "$cache/fetch.XXXXXX")
        cp "$out/$library" "$work/" && cp "$out/include/duckdb.h" "$work/"
    else
        tools/setup.sh fetch
        work=$(mktemp -d "$cache/fetch.XXXXXX")
        echo "fetch_engine: fetching $ENGINE_MAVEN"
        tools/retry.sh mvn -q -B -U "$MAVEN_COPY" -Dartifact="$ENGINE_MAVEN" -DoutputDirectory="$work" -Dmdep.useBaseVersion=true \
            </dev/null >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
        must_be "$work/$ENGINE_JAR" "$ENGINE_JAR_SHA256"
        unzip -q -o "$work/$ENGINE_JAR" "$library" -d "$work"
        echo "fetch_engine: fetching the header of $HEADER_NPM"
        tools/retry.sh npm pack --silent --pack-destination "$work" "$HEADER_NPM" </dev/null >/dev/null
        must_be "$work/$HEADER_TARBALL" "$HEADER_TARBALL_SHA256"
        tar -xzf "$work/$HEADER_TARBALL" -C "$work" --strip-components=5 "$HEADER_MEMBER"
    fi
    must_be "$work/$library" "$library_sha256"
    must_be "$work/duckdb.h" "$HEADER_SHA256"
    mv -f "$work/$library" "$cache/$library"
    mv -f "$work/duckdb.h" "$cache/duckdb.h"
fi

# A link where the file system allows it: 71 MB once, however many clones.
place() {
    is "$2" "$3" && return
    ln -f "$1" "$2" 2>/dev/null || cp -f "$1" "$2"
}
place "$cache/$library" "$out/$library" "$library_sha256"
place "$cache/duckdb.h" "$out/include/duckdb.h" "$HEADER_SHA256"
echo "$stamp" >"$out/stamp"
