#!/usr/bin/env bash
# Runs a cluster on this machine, from the same configuration as docker-compose.yml: Redis with an
# append-only file, three gateways (the first runs the demonstration), HAProxy before them.
#
#   scripts/cluster.sh            until it is interrupted
#   scripts/cluster.sh --check    starts it, publishes and receives through HAProxy, replaces each gateway, ends
#
# PORT (8080) is HAProxy's; Redis, the gateways and their admin listeners have the ports above it.
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-8080}
binary=${TALLYWIRE:-bin/tallywire}
front=127.0.0.1:$port
redis=127.0.0.1:$((port + 1))
gateway() { echo "127.0.0.1:$((port + 10 + $1))"; }
admin() { echo "127.0.0.1:$((port + 20 + $1))"; }

for needed in redis-server redis-cli curl; do
    command -v "$needed" >/dev/null || { echo "cluster: $needed is missing; make setup installs what is needed" >&2 && exit 1; }
done
haproxy=$(command -v haproxy || echo /usr/sbin/haproxy)
[[ -x $haproxy ]] || { echo "cluster: haproxy is missing; make setup installs what is needed" >&2 && exit 1; }
[[ -x $binary ]] || { echo "cluster: $binary is missing; make build builds it" >&2 && exit 1; }

data=$(mktemp -d)
declare -A pids=()

# Ends what was started, the last first, and waits for it.
finish() {
    local status=$?
    trap - EXIT INT TERM
    for name in haproxy gw-3 gw-2 gw-1 redis; do
        [[ -n ${pids[$name]:-} ]] && kill "${pids[$name]}" 2>/dev/null || true
    done
    wait
    [[ $status -eq 0 || $status -eq 130 ]] || tail -n 5 "$data"/*.log >&2
    rm -rf "$data"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

start() {
    local name=$1
    shift
    "$@" >"$data/$name.log" 2>&1 &
    pids[$name]=$!
}

# await TEXT COMMAND…: until the command succeeds, for at most 20 seconds.
await() {
    local what=$1 tries=0
    shift
    until "$@" >/dev/null 2>&1; do
        ((++tries < 200)) || { echo "cluster: $what" >&2 && exit 1; }
        sleep 0.1
    done
}

start_gateway() {
    local n=$1 mode=--demo-page
    ((n == 1)) && mode=--demo
    start "gw-$n" "$binary" serve "$mode" --insecure --listen "$(gateway "$n")" --admin-listen "$(admin "$n")" \
        --gateway-id "gw-$n" --redis "redis://$redis" --drain-wait 2s --drain-window 5s --log-format json
}

ready() { curl -fsS -m 2 "http://$(gateway "$1")/readyz"; }

start redis redis-server --bind 127.0.0.1 --port "${redis##*:}" --dir "$data" --save '' --appendonly yes \
    --appendfsync everysec --maxmemory-policy noeviction
await 'Redis does not answer' redis-cli -p "${redis##*:}" ping
for n in 1 2 3; do start_gateway "$n"; done
for n in 1 2 3; do await "gateway $n is not ready: $data/gw-$n.log" ready "$n"; done
TALLYWIRE_FRONT=$front TALLYWIRE_GATEWAY_1=$(gateway 1) TALLYWIRE_GATEWAY_2=$(gateway 2) TALLYWIRE_GATEWAY_3=$(gateway 3) \
    start haproxy "$haproxy" -db -f deploy/haproxy/haproxy.cfg -f deploy/haproxy/local.cfg
await 'HAProxy does not answer' curl -fsS -m 2 "http://$front/readyz"

cat <<END
cluster: http://$front/ (HAProxy, three gateways, the demonstration)
cluster: redis://$redis; publish with: $binary publish jobs:42 --type x.note --data '{"text":"hello"}' --redis redis://$redis
cluster: console of gw-1 http://$(admin 1)/, token: $(sed -n 's/^ *\(eyJ[^ ]*\)$/\1/p' "$data/gw-1.log" | head -1)
END

if [[ ${1:-} != --check ]]; then
    echo 'cluster: Ctrl-C ends it'
    wait -n || true
    echo 'cluster: a process has ended' >&2
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
# The first ones are for the tail to begin with.
await 'nothing is received' bash -c "$binary publish check:1 --type x.begin --redis redis://$redis && test -s $received"
for n in 1 2 3; do
    kill "${pids[gw-$n]}"
    publish
    wait "${pids[gw-$n]}"
    publish
    start_gateway "$n"
    await "gateway $n is not ready again" ready "$n"
    publish
done
await "not everything is received: $(cat "$received")" bash -c "test \$(grep -c x.check $received) -ge $published"
seen=$(grep x.check "$received" | sed 's/.*"n":\([0-9]*\).*/\1/' | tr '\n' ' ')
[[ $seen == "0 1 2 3 4 5 6 7 8 " ]] || { echo "cluster: received $seen" >&2 && exit 1; }
grep -q reset "$received" && { echo 'cluster: a reset without a cause' >&2 && exit 1; }
kill "${pids[tail]}"
echo "cluster: $published events through three restarts, each once and in order"
