#!/bin/sh
# Makes build/venv-NAME hold exactly the packages of tests/requirements-NAME.txt
# and prints nothing when it does already: tools/venv.sh NAME
# With --each a package that cannot be installed is named and left out.
set -eu
cd "$(dirname "$0")/.."
each=no
[ "${1:-}" != "--each" ] || { each=yes; shift; }
name=${1:?usage: tools/venv.sh [--each] NAME}
list=tests/requirements-$name.txt
venv=build/venv-$name
stamp=$(cat "$list"; python3 --version)
[ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ] || { cat "$venv/missing" 2>/dev/null || true; exit 0; }

echo "venv: preparing $venv" >&2
rm -rf "$venv"
python3 -m venv "$venv"
pip="$venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check"
if [ "$each" = no ]; then
    tools/retry.sh $pip -r "$list" </dev/null >&2
elif ! tools/retry.sh $pip -r "$list" </dev/null >&2; then
    # One broken package must not take the others along.
    sed -e 's/[[:space:]]*#.*//' -e '/^$/d' "$list" | while read -r package; do
        $pip "$package" </dev/null >&2 || echo "$package" >>"$venv/missing"
    done
fi
echo "$stamp" >"$venv/stamp"
cat "$venv/missing" 2>/dev/null || true
