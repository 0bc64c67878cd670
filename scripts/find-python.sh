#!/bin/sh
# Prints the path of a CPython that can carry cgw: 3.12 or newer, with what a virtual environment needs.
#
#   scripts/find-python.sh            looks on PATH, then where pyenv, uv, Homebrew and the like keep theirs
#   PYTHON=/path scripts/find-python.sh    takes that one or says why not
#
# An interpreter is judged by running it, never by its name: a pyenv shim answers "not found", Debian's may lack ensurepip,
# and Windows has a python3 that only opens a shop.
set -u

# Newer ones than this are taken only if there is nothing else: not every package has wheels for them yet.
newest_with_wheels=14

probe='
import sys
if not (3, 12) <= sys.version_info[:2] <= (3, int(sys.argv[1])) or sys.implementation.name != "cpython":
    sys.exit(1)
import ensurepip, sqlite3, ssl, sysconfig, venv
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
sys.stdout.write(getattr(sys, "_base_executable", sys.executable))
'

# Prints the interpreter's own path (a shim's target, a virtual environment's base) and ends the search, if it is fit.
try() {
    found=$("$1" -I -c "$probe" "$newest" 2>/dev/null </dev/null) && [ -n "$found" ] && printf '%s\n' "$found" && exit 0
}

try_in() {
    for name in python3.14 python3.13 python3.12 python3 python; do
        [ -x "$1/$name" ] && try "$1/$name"
    done
}

search() {
    newest=$1
    old_ifs=$IFS
    IFS=:
    for folder in $PATH; do
        try_in "${folder:-.}"
    done
    # A pyenv's interpreters, found through its variable, its default place, or its shims on PATH.
    for folder in ${PYENV_ROOT:+"$PYENV_ROOT/shims"} ${HOME:+"$HOME/.pyenv/shims"} $PATH; do
        case $folder in
            */shims) for bin in "${folder%/shims}"/versions/3.*/bin; do try_in "$bin"; done ;;
        esac
    done
    IFS=$old_ifs
    for bin in \
        "${HOME:-}"/.local/share/uv/python/cpython-3.*/bin \
        "${HOME:-}"/.local/share/mise/installs/python/3.*/bin \
        "${HOME:-}"/.asdf/installs/python/3.*/bin \
        "${HOME:-}"/.local/bin \
        /usr/local/bin /opt/homebrew/bin /home/linuxbrew/.linuxbrew/bin /opt/local/bin /usr/bin \
        /usr/local/opt/python@3.*/bin /opt/homebrew/opt/python@3.*/bin \
        /Library/Frameworks/Python.framework/Versions/3.*/bin \
        /opt/python*/bin /opt/python/*/bin /usr/local/python*/bin; do
        try_in "$bin"
    done
    launched=$(py -3 -c 'import sys; sys.stdout.write(sys.executable)' 2>/dev/null </dev/null) && try "$launched"
}

if [ -n "${PYTHON:-}" ]; then
    newest=99
    try "$PYTHON"
    echo "PYTHON=$PYTHON does not run, is older than CPython 3.12, or cannot make a virtual environment with pip." >&2
    exit 1
fi

search "$newest_with_wheels"
search 99
echo "cgw needs CPython 3.12 or newer that can make a virtual environment with pip, and found none on PATH or in the usual" \
    "places: install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13;" \
    "Windows: winget install Python.Python.3.13; anywhere: pyenv install 3.13) or name yours: make PYTHON=/path/to/python3" >&2
exit 1
