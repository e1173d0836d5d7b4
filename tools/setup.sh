#!/bin/sh
# Installs the Debian packages of the named purposes (tools/packages.txt), if
# any is missing: tools/setup.sh build test
set -eu
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
    echo "usage: tools/setup.sh PURPOSE...   (purposes: $(awk '/^[a-z]/ {print $1}' tools/packages.txt | sort -u | tr '\n' ' '))" >&2
    exit 2
fi

wanted=$(awk -v purposes="$*" '
    BEGIN { n = split(purposes, list, " "); for (i = 1; i <= n; i++) want[list[i]] = 1 }
    /^[a-z]/ && ($1 in want) && !seen[$2]++ { print $2 }' tools/packages.txt)
programs=$(awk '/^[a-z]/ && NF == 3 { print $2 "=" $3 }' tools/packages.txt)
[ -n "$wanted" ] || { echo "setup: no such purpose: $*" >&2; exit 2; }

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "setup: this is not a Debian system; install what answers to:" $wanted >&2
    echo "setup: continuing, in the hope that they are there" >&2
    exit 0
fi

# A foreign package is known as name:arch, a native one by its bare name too.
missing=$(dpkg-query -W -f='${Package} ${Package}:${Architecture} ${db:Status-Status}\n' 2>/dev/null |
    awk -v wanted="$wanted" '
        $3 == "installed" { have[$1] = 1; have[$2] = 1 }
        END { n = split(wanted, list, "\n"); for (i = 1; i <= n; i++) if (!(list[i] in have)) print list[i] }')
[ -n "$missing" ] || exit 0

# A program that came from elsewhere serves as well as the package's.
unserved=""
for package in $missing; do
    for pair in $programs; do
        if [ "${pair%%=*}" = "$package" ] && command -v "${pair#*=}" >/dev/null 2>&1; then
            continue 2
        fi
    done
    unserved="$unserved $package"
done
missing=${unserved# }
[ -n "$missing" ] || exit 0

foreign=""
case "$missing" in *:arm64*) foreign="dpkg --add-architecture arm64 && " ;; esac
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        as_root="sudo"
    else
        echo "setup: packages are missing and there is neither root nor sudo here. An administrator must run:" >&2
        echo "    ${foreign}apt-get update && apt-get install -y --no-install-recommends $missing" >&2
        exit 1
    fi
fi

echo "setup: installing $missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
    $as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@" </dev/null >"$log" 2>&1
}
install_missing() {
    { [ -z "$foreign" ] || quietly dpkg --add-architecture arm64; } &&
        quietly $apt update && quietly $apt install -y --no-install-recommends $missing
}
# A machine that has just started often upgrades itself: who holds apt's locks is
# waited for. And a mirror may hiccup, so that an update misses a list of packages.
apt="apt-get -o DPkg::Lock::Timeout=60 -o Acquire::Retries=3"
tries=0 waits=0
until install_missing; do
    case "$(cat "$log")" in
    *"get lock"* | *"to lock"* | *"lock was locked"*) waits=$((waits + 1)) pause=5 ;;
    *) tries=$((tries + 1)) pause=$((tries * 10)) ;;
    esac
    if [ "$tries" -ge 3 ] || [ "$waits" -ge 120 ]; then
        tail -n 20 "$log" >&2
        echo "setup: failed: apt-get update && apt-get install $missing" >&2
        exit 1
    fi
    echo "setup: $(tail -n 1 "$log"); again in $pause s" >&2
    sleep "$pause"
done
