#!/usr/bin/env bash
# Runs a cluster on this machine, from the same configuration as docker-compose.yml: Redis with an
# append-only file, three gateways (the first runs the demonstration), HAProxy before them.
#
#   scripts/cluster.sh            until it is interrupted
#   scripts/cluster.sh --check    starts it, publishes and receives through HAProxy, replaces each gateway, ends
#
# PORT (8080) is HAProxy's; Redis, the gateways and their admin listeners have the ports above it. Nothing is
# left when it ends, by whatever signal but SIGKILL: no process, and no file, for it is all for a trial.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "cluster: $*" >&2
    exit 1
}

case ${1:-} in
'' | --check) ;;
*) fail "unknown argument $1; there is --check" ;;
esac

port=${PORT:-8080}
binary=${TALLYWIRE:-bin/tallywire}
[[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65512 ]] || fail "PORT=$port is no port from 1 to 65512"
front=127.0.0.1:$port
redis=127.0.0.1:$((port + 1))
gateway() { echo "127.0.0.1:$((port + 10 + $1))"; }
admin() { echo "127.0.0.1:$((port + 20 + $1))"; }
window=5s
[[ ${1:-} == --check ]] && window=1s

for needed in redis-server redis-cli curl; do
    command -v "$needed" >/dev/null || fail "$needed is missing; make setup installs what is needed"
done
haproxy=$(command -v haproxy || echo /usr/sbin/haproxy)
[[ -x $haproxy ]] || fail "haproxy is missing; make setup installs what is needed"
[[ -x $binary ]] || fail "$binary is missing; make build builds it"
for address in "$front" "$redis" "$(gateway 1)" "$(gateway 2)" "$(gateway 3)" "$(admin 1)" "$(admin 2)" "$(admin 3)"; do
    (exec 3<>"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null && fail "somebody listens on $address; PORT=… chooses other ports"
done

data=$(mktemp -d)
declare -A pids=()

# stop NAME…: ends processes, at once and not one after another, and waits for them.
stop() {
    local name
    for name in "$@"; do
        [[ -z ${pids[$name]:-} ]] || kill "${pids[$name]}" 2>/dev/null || true
    done
    for name in "$@"; do
        [[ -z ${pids[$name]:-} ]] || wait "${pids[$name]}" 2>/dev/null || true
        unset "pids[$name]"
    done
}

# What is in front ends first, and Redis last.
finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP # it ends already
    stop tail haproxy
    stop gw-1 gw-2 gw-3
    stop redis
    case $status in
    0 | 129 | 130 | 143) ;;
    *) tail -n 5 "$data"/*.log >&2 2>/dev/null || true ;;
    esac
    rm -rf "$data"
    exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

start() {
    local name=$1
    shift
    "$@" >"$data/$name.log" 2>&1 &
    pids[$name]=$!
}

# await TEXT NAME COMMAND…: until the command succeeds, for at most 20 seconds, while the process of that name runs.
await() {
    local what=$1 name=$2 tries=0
    shift 2
    until "$@" >/dev/null 2>&1; do
        kill -0 "${pids[$name]}" 2>/dev/null || fail "$what: $name has ended"
        ((++tries < 200)) || fail "$what"
        sleep 0.1
    done
}

start_gateway() {
    local n=$1 mode=--demo-page
    ((n == 1)) && mode=--demo
    start "gw-$n" "$binary" serve "$mode" --insecure --listen "$(gateway "$n")" --admin-listen "$(admin "$n")" \
        --gateway-id "gw-$n" --redis "redis://$redis" --drain-wait 2s --drain-window "$window" --log-format json
}

ready() { curl -fsS -m 2 "http://$(gateway "$1")/readyz"; }

start redis redis-server --bind 127.0.0.1 --port "${redis##*:}" --dir "$data" --save '' --appendonly yes \
    --appendfsync everysec --maxmemory-policy noeviction
await 'Redis does not answer' redis redis-cli -p "${redis##*:}" ping
for n in 1 2 3; do start_gateway "$n"; done
for n in 1 2 3; do await "gateway $n is not ready" "gw-$n" ready "$n"; done
TALLYWIRE_FRONT=$front TALLYWIRE_GATEWAY_1=$(gateway 1) TALLYWIRE_GATEWAY_2=$(gateway 2) TALLYWIRE_GATEWAY_3=$(gateway 3) \
    start haproxy "$haproxy" -db -f deploy/haproxy/haproxy.cfg -f deploy/haproxy/local.cfg
await 'HAProxy does not answer' haproxy curl -fsS -m 2 "http://$front/readyz"

cat <<END
cluster: http://$front/ (HAProxy, three gateways, the demonstration)
cluster: redis://$redis; publish with: $binary publish jobs:42 --type x.note --data '{"text":"hello"}' --redis redis://$redis
cluster: console of gw-1 http://$(admin 1)/, token: $(sed -n 's/^ *\(eyJ[^ ]*\)$/\1/p' "$data/gw-1.log" | head -1)
END

if [[ ${1:-} != --check ]]; then
    echo 'cluster: Ctrl-C ends it'
    wait -n || true
    for name in "${!pids[@]}"; do
        kill -0 "${pids[$name]}" 2>/dev/null || echo "cluster: $name has ended by itself" >&2
    done
    exit 1
fi

# Everything that is published while the gateways are replaced has to arrive, once and in order.
received=$data/received
"$binary" tail check:1 --url "http://$front" >"$received" 2>"$data/tail.log" &
pids[tail]=$!
published=0
publish() {
    "$binary" publish check:1 --type x.check --data "{\"n\":$published}" --redis "redis://$redis" >/dev/null
    published=$((published + 1))
}
begun() { "$binary" publish check:1 --type x.begin --redis "redis://$redis" && test -s "$received"; }
arrived() { (($(grep -c x.check "$received") >= published)); }

# The first ones are for the tail to begin with.
await 'nothing is received' tail begun
for n in 1 2 3; do
    kill "${pids[gw-$n]}"
    publish
    wait "${pids[gw-$n]}" || fail "gateway $n has not ended well"
    publish
    start_gateway "$n"
    await "gateway $n is not ready again" "gw-$n" ready "$n"
    publish
done
await "not everything is received" tail arrived
seen=$(grep x.check "$received" | sed 's/.*"n":\([0-9]*\).*/\1/' | tr '\n' ' ')
[[ $seen == "$(seq -s ' ' 0 $((published - 1))) " ]] || fail "received $seen"
! grep -q '"reset"' "$received" || fail 'a reset without a cause'
echo "cluster: $published events through three restarts, each once and in order"
