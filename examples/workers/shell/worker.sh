#!/bin/sh
# Publishes a small job to Redis: usage: worker.sh REDIS_URL JOB_ID [ATTEMPT]
# Needs redis-cli 7 (Debian, Ubuntu: apt install redis-tools), nothing else.
set -eu

usage() {
    echo "usage: worker.sh REDIS_URL JOB_ID [ATTEMPT]; an id has letters, digits, '_', '.' and '-'" >&2
    exit 2
}

[ $# -eq 2 ] || [ $# -eq 3 ] || usage
url=$1 job=$2 attempt=${3:-1} source=shell-worker number=0
case $job in '' | *[!A-Za-z0-9_.-]*) usage ;; esac
case $attempt in '' | 0* | *[!0-9]*) usage ;; esac
[ ${#job} -le 64 ] && [ ${#attempt} -le 9 ] || usage

# publish TYPE DATA appends an event and prints its cursor. DATA is JSON without its braces.
#
# The id makes it safe to repeat: after a lost connection nobody knows whether the event was appended,
# and a second call with the same id is answered with the cursor of the first.
publish() {
    number=$((number + 1))
    id=$job.$attempt.$number
    event=$(printf '{"id":"%s","source":"%s","type":"%s","subject":"job/%s","data":{"job_id":"%s","attempt":%s,%s}}' \
        "$id" "$source" "$1" "$job" "$job" "$attempt" "$2")
    for pause in 0.2 0.4 0.8 1.6 give-up; do
        # -e: an error reply is a failure, not an answer.
        if reply=$(redis-cli -e --no-auth-warning -u "$url" FCALL tw_publish 1 "tw:{jobs:$job}" "$event" "id=$source/$id" 2>&1); then
            # The reply has two lines: the cursor, and 1 where the event was there already.
            duplicate=$(printf '%s\n' "$reply" | sed -n 2p)
            [ "$duplicate" = 1 ] && mark=' (duplicate)' || mark=
            printf '%s %s%s\n' "$(printf '%s\n' "$reply" | sed -n 1p)" "$1" "$mark"
            return
        fi
        case $reply in
        *'Could not connect'* | *'Server closed the connection'* | *timeout* | LOADING* | READONLY* | BUSY* | TRYAGAIN*)
            [ "$pause" = give-up ] || sleep "$pause"
            ;;
        *) break ;; # refused: it will be refused again
        esac
    done
    echo "worker.sh: $reply" >&2
    exit 1
}

total=500
publish job.started "\"name\":\"Shell example\",\"kind\":\"example\",\"total\":$total"
processed=0
while [ "$processed" -lt "$total" ]; do
    processed=$((processed + 100)) # the work
    publish job.progress "\"processed\":$processed,\"total\":$total,\"percent\":$((100 * processed / total))"
done
publish job.completed "\"processed\":$total,\"matched\":$((total - 3)),\"unmatched\":3"
