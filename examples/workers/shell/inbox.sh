#!/bin/sh
# Publishes a small job through the inbox: usage: inbox.sh REDIS_URL JOB_ID [ATTEMPT]
# For users who may XADD and nothing else. Needs redis-cli (Debian, Ubuntu: apt install redis-tools).
set -eu

usage() {
    echo "usage: inbox.sh REDIS_URL JOB_ID [ATTEMPT]; an id has letters, digits, '_', '.' and '-'" >&2
    exit 2
}

[ $# -eq 2 ] || [ $# -eq 3 ] || usage
url=$1 job=$2 attempt=${3:-1} source=shell-inbox-worker number=0
case $job in '' | *[!A-Za-z0-9_.-]*) usage ;; esac
case $attempt in '' | 0* | *[!0-9]*) usage ;; esac
[ ${#job} -le 64 ] && [ ${#attempt} -le 9 ] || usage

# add TYPE DATA puts an event into the inbox and prints the entry's id. A gateway checks and publishes it; what it
# refuses is among the dead letters. DATA is JSON without its braces.
#
# The event's id makes it safe to repeat: after a lost connection nobody knows whether the entry was added, and
# of two entries with the same event one is published.
add() {
    number=$((number + 1))
    event=$(printf '{"id":"%s","source":"%s","type":"%s","subject":"job/%s","data":{"job_id":"%s","attempt":%s,%s}}' \
        "$job.$attempt.$number" "$source" "$1" "$job" "$job" "$attempt" "$2")
    for pause in 0.2 0.4 0.8 1.6 give-up; do
        # -e: an error reply is a failure, not an answer.
        if reply=$(redis-cli -e --no-auth-warning -u "$url" XADD tw:_inbox '*' channel "jobs:$job" event "$event" 2>&1); then
            printf '%s %s\n' "$reply" "$1"
            return
        fi
        case $reply in
        *'Could not connect'* | *'Server closed the connection'* | *timeout* | LOADING* | READONLY* | BUSY* | TRYAGAIN* | OOM*)
            [ "$pause" = give-up ] || sleep "$pause"
            ;;
        *) break ;; # refused: it will be refused again
        esac
    done
    echo "inbox.sh: $reply" >&2
    exit 1
}

total=500
add job.started "\"name\":\"Shell example\",\"kind\":\"example\",\"total\":$total"
processed=0
while [ "$processed" -lt "$total" ]; do
    processed=$((processed + 100)) # the work
    add job.progress "\"processed\":$processed,\"total\":$total,\"percent\":$((100 * processed / total))"
done
add job.completed "\"processed\":$total,\"matched\":$((total - 3)),\"unmatched\":3"
