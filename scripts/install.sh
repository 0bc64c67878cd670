#!/bin/sh
# Makes .venv what requirements.lock and pyproject.toml say: every package by its hash, and cgw itself, editable.
#
# Done before: answers at once. The lock changed: installs over it. Interrupted, moved, or its interpreter gone: made anew.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/installed-from
if [ "${OS:-}" = Windows_NT ]; then python=$venv/Scripts/python; else python=$venv/bin/python; fi

# The stamp is written last, so that having it means being whole. Its first line is where, the rest what was installed.
sources() {
    pwd -P
    cksum requirements.lock pyproject.toml
}

runs_here() {
    [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$(pwd -P)" ] && "$python" -c '' 2>/dev/null
}

is_current() {
    runs_here && [ "$(cat "$stamp")" = "$(sources)" ]
}

# Two makes at once (a demo in one terminal, the tests in another): the second waits for the first.
lock=.venv-lock
claim() {
    until mkdir "$lock" 2>/dev/null; do
        holder=$(cat "$lock/pid" 2>/dev/null || { sleep 1 && cat "$lock/pid" 2>/dev/null; } || true)
        if [ -z "$holder" ] || ! kill -0 "$holder" 2>/dev/null; then
            rm -rf "$lock" # its owner was killed
        else
            echo "waiting for another make (process $holder) that is installing here" >&2
            while kill -0 "$holder" 2>/dev/null && [ -d "$lock" ]; do sleep 1; done
        fi
    done
    echo $$ >"$lock/pid"
    trap 'rm -rf "$lock"' EXIT
    trap 'exit 130' INT TERM HUP
}

is_current && exit 0
claim
is_current && exit 0

if ! runs_here; then
    interpreter=$(sh scripts/find-python.sh)
    echo "== install: .venv with $interpreter"
    "$interpreter" -m venv --clear "$venv"
fi
rm -f "$stamp"

pip() {
    "$python" -m pip --quiet --disable-pip-version-check --no-input install --no-deps --no-compile "$@"
}

echo "== install: the packages of requirements.lock, by their hashes (a minute or two)"
# The lock's own pip first: the one that an interpreter brings may be years old and takes three times as long.
awk '/^[^ #]/ { wanted = /^pip==/ } wanted' requirements.lock >"$venv/pip.txt"
pip --require-hashes --requirement "$venv/pip.txt"
pip --require-hashes --requirement requirements.lock
pip --no-build-isolation --editable .
sources >"$stamp"
