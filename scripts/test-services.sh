#!/bin/sh
# Sees to it that the tests can start a Redis and a PostgreSQL of their own (tests/support/servers.py).
#
# Installs what is missing where that is one plain step: as root, with apt-get. Elsewhere says loudly what to do, and the tests
# that need them are skipped. In CI (CI=true) nothing may be skipped, so there a missing server is a failure.
set -eu

# The same places as tests/support/servers.py looks in.
have() {
    command -v "$1" >/dev/null && return
    for bin in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /usr/local/pgsql/bin /usr/pgsql-*/bin; do
        [ -x "$bin/$1" ] && return
    done
    return 1
}

missing() {
    have redis-server || echo redis-server
    { have initdb && have postgres; } || echo postgresql
}

wanted=$(missing | xargs)
[ -z "$wanted" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "== services: installing $wanted"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    # shellcheck disable=SC2086 # two package names are two words
    if { apt-get update && apt-get install --yes --no-install-recommends $wanted; } >"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        tail -n 20 "$log" >&2
    fi
    wanted=$(missing | xargs)
    [ -z "$wanted" ] && exit 0
fi

if command -v apt-get >/dev/null; then
    command="sudo apt-get install $wanted"
elif command -v brew >/dev/null; then
    command="brew install redis postgresql"
elif command -v dnf >/dev/null; then
    command="sudo dnf install redis postgresql-server"
else
    command="install Redis and PostgreSQL"
fi
echo "!! missing: $wanted. The tests that need it are SKIPPED. To run them too: $command" >&2
[ "${CI:-}" != true ]
