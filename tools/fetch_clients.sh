#!/bin/sh
# Puts the conformance clients that Maven publishes into build/conformance:
# Iceberg's runtime for Spark, and Trino with its Iceberg plugin alone. Versions
# and checksums: tools/clients.lock. Nothing is done when they are there already;
# one that cannot be had is named on standard output and left out.
set -eu
cd "$(dirname "$0")/.."
. tools/clients.lock
out=$PWD/build/conformance
stamp="$SPARK_SHA256 $TRINO_SHA256 $TRINO_ICEBERG_SHA256"
[ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

tools/setup.sh fetch >&2
mkdir -p "$out"
work=$(mktemp -d "$out/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# fetch ARTIFACT FILE SHA256: into $work. Maven keeps its own copy, so that
# another clone on this machine downloads nothing.
fetch() {
    echo "fetch_clients: fetching $1" >&2
    tools/retry.sh mvn -q -B -U "$MAVEN_COPY" -Dartifact="$1" -DoutputDirectory="$work" -Dmdep.useBaseVersion=true \
        </dev/null >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; return 1; }
    echo "$3  $work/$2" | sha256sum --check --status 2>/dev/null || {
        echo "fetch_clients: $2 does not have the checksum of tools/clients.lock" >&2
        exit 1
    }
}

whole=yes
if fetch "$SPARK_MAVEN" "$SPARK_FILE" "$SPARK_SHA256"; then
    rm -rf "$out/spark" && mkdir "$out/spark"
    mv "$work/$SPARK_FILE" "$out/spark/iceberg-spark-runtime.jar"
else
    whole=no
    echo "$SPARK_MAVEN"
fi

# Of Trino's 194 MB only the server; its other plugins stay in the archive.
if fetch "$TRINO_MAVEN" "$TRINO_FILE" "$TRINO_SHA256" &&
    fetch "$TRINO_ICEBERG_MAVEN" "$TRINO_ICEBERG_FILE" "$TRINO_ICEBERG_SHA256"; then
    mkdir -p "$work/trino/plugin"
    tar -xzf "$work/$TRINO_FILE" -C "$work/trino" --strip-components=1 --wildcards '*/lib'
    unzip -q "$work/$TRINO_ICEBERG_FILE" -d "$work/trino/plugin"
    mv "$work"/trino/plugin/trino-iceberg-* "$work/trino/plugin/iceberg"
    rm -rf "$out/trino"
    mv "$work/trino" "$out/trino"
else
    whole=no
    echo "$TRINO_MAVEN"
fi
[ "$whole" = no ] || echo "$stamp" >"$out/stamp"
