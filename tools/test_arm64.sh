#!/bin/sh
# Builds base and the vector engine for arm64 and runs the engine's tests under
# qemu's user mode, with both NEON tables.
#
#   tools/test_arm64.sh [BUILD_FOLDER]
#
# Needs, on Debian:
#   dpkg --add-architecture arm64 && apt-get update
#   apt-get install gcc-aarch64-linux-gnu qemu-user \
#       libcmocka-dev:arm64 libsodium-dev:arm64 libjansson-dev:arm64 libyaml-dev:arm64
#
# The other modules stay out: their libraries are many, and nothing in them
# depends on the processor. So this compiles the two folders directly instead
# of configuring the whole project for another machine.
set -eu
cd "$(dirname "$0")/.."
out=${1:-build/arm64}
cc=${CC_ARM64:-aarch64-linux-gnu-gcc}
qemu=${QEMU_ARM64:-qemu-aarch64}
for program in "$cc" "$qemu"; do
    if ! command -v "$program" >/dev/null; then
        echo "test_arm64: $program is missing; see the head of this script" >&2
        exit 2
    fi
done
mkdir -p "$out"
flags="-std=gnu17 -O2 -g -D_GNU_SOURCE -DTARN_VERSION=\"$(cat VERSION)\" -Isrc -Wall -Wextra -Wpedantic -Wshadow
    -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror"
objects=
for source in src/base/*.c src/vector/*.c src/vector/tool/input.c; do
    case $source in
    *_test.c) continue ;;
    esac
    object=$out/$(echo "$source" | tr / _).o
    objects="$objects $object"
    if [ ! -e "$object" ] || [ -n "$(find src/base src/vector -newer "$object" -name '*.[ch]' | head -1)" ]; then
        # shellcheck disable=SC2086
        $cc $flags -c "$source" -o "$object"
    fi
done
for test in src/vector/*_test.c; do
    name=$(basename "$test" .c)
    # shellcheck disable=SC2086
    $cc $flags "$test" $objects -o "$out/$name" -lcmocka -lsodium -ljansson -lyaml -lpthread -lm
    for kernels in neon neondot; do
        # Emulation is slow: every table meets the kernels, one of them the rest.
        case $kernels-$name in
        neon-kernels_test | neondot-kernels_test | neon-format_test | neondot-index_test | neon-build_test | \
            neondot-filter_test | neondot-soak_test) ;;
        *) continue ;;
        esac
        echo "== $name ($kernels)"
        TARN_TEST_SMALL=1 TARN_VECTOR_KERNELS=$kernels timeout 900 "$qemu" -cpu max "$out/$name"
    done
done
echo "arm64: all passed"
