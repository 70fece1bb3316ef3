#!/usr/bin/env bash
# Installs the system packages that the tests need: the one place that lists them.
#
# Quiet and quick when everything is there. Otherwise installs what is missing with apt-get, as root or
# through sudo; where that cannot be done, says what is missing and exits with status 1. Never asks a
# question, and starts no service: the tests start their own servers on free ports.
set -euo pipefail
cd "$(dirname "$0")/.."

# package: a command that succeeds once the package (or another source of the same thing) is there.
packages=(
    'gcc:command -v "${CC:-gcc}"'                            # the race detector needs cgo
    'libc6-dev:test -e /usr/include/stdlib.h || test "$(uname -s)" != Linux'
    'redis-server:command -v redis-server'
    'redis-tools:command -v redis-cli'
    'prometheus:command -v promtool && command -v prometheus' # alerts, dashboard: test/chart
    'curl:command -v curl'                                   # the lines that docs/http.md prints
    'python3-redis:scripts/python-with-redis.sh'             # examples/workers/python
    'nodejs:command -v node'                                 # examples/workers/node, test/browser, client
    'npm:command -v npm'
    'shellcheck:command -v shellcheck'                       # make check-scripts
    'haproxy:command -v haproxy || test -x /usr/sbin/haproxy'  # test: the load balancer before gateways
    'chromium:command -v chromium || command -v google-chrome' # test/browser, test/client
)

# Folders whose packages `npm ci` installs.
node_folders=(examples/workers/node test/browser client examples/dashboard)

missing_packages() {
    local entry
    for entry in "${packages[@]}"; do
        bash -c "${entry#*:}" >/dev/null 2>&1 </dev/null || echo "${entry%%:*}"
    done
}

give_up() {
    echo "setup: missing: $*" >&2
    echo "setup: $reason; install them (Debian, Ubuntu: apt-get install $*) and run this again" >&2
    exit 1
}

# Where a service must not start, Debian's maintainer scripts ask policy-rc.d, and 101 means no.
policy=/usr/sbin/policy-rc.d
policy_backup=

forbid_services() {
    trap allow_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if "${as_root[@]}" test -e "$policy"; then
        policy_backup=$(mktemp)
        cat "$policy" >"$policy_backup"
    fi
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
}

allow_services() {
    if [[ -n $policy_backup ]]; then
        "${as_root[@]}" tee "$policy" <"$policy_backup" >/dev/null
        rm -f "$policy_backup"
    else
        "${as_root[@]}" rm -f "$policy"
    fi
}

install_packages() {
    local -a missing=("$@")
    command -v apt-get >/dev/null || { reason='there is no apt-get here' && give_up "${missing[@]}"; }
    as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || { reason='not root, and there is no sudo' && give_up "${missing[@]}"; }
        as_root=(sudo)
        [[ -t 0 ]] || as_root=(sudo -n)
        "${as_root[@]}" true || { reason='sudo refused' && give_up "${missing[@]}"; }
    fi
    echo "setup: installing ${missing[*]}"
    local log
    log=$(mktemp)
    forbid_services
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        reason='apt-get failed (above)'
        give_up "${missing[@]}"
    fi
    rm -f "$log"
}

# A stamp beside the installed packages tells whether they are those of the lock file.
install_node_packages() {
    local folder=$1 stamp=$1/node_modules/.lock-installed
    [[ -f $folder/package-lock.json ]] || return 0
    cmp -s "$folder/package-lock.json" "$stamp" && return 0
    echo "setup: npm ci in $folder"
    (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error </dev/null)
    mkdir -p "$folder/node_modules"
    cp "$folder/package-lock.json" "$stamp"
}

mapfile -t missing < <(missing_packages)
if ((${#missing[@]})); then
    install_packages "${missing[@]}"
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]})); then
        reason='they were installed, yet what they bring was not found'
        give_up "${missing[@]}"
    fi
fi

for folder in "${node_folders[@]}"; do
    install_node_packages "$folder"
done
