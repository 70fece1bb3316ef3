#!/usr/bin/env python3
"""Publishes a small job through the inbox: usage: inbox.py REDIS_URL JOB_ID [ATTEMPT]

For users who may XADD and nothing else. Needs the ordinary client: apt install python3-redis, or pip install redis.
"""

import json
import random
import re
import sys
import time

import redis

SOURCE = "python-inbox-worker"
TRIES = 5


def add(client, channel, event):
    """Puts an event into the inbox and returns the entry's id.

    A gateway checks and publishes it; what it refuses is among the dead letters. The event's id makes it safe to
    repeat: after a lost connection nobody knows whether the entry was added, and of two entries with the same event
    one is published.
    """
    entry = {"channel": channel, "event": json.dumps(event, ensure_ascii=False)}
    for attempt in range(1, TRIES + 1):
        try:
            return client.xadd("tw:_inbox", entry)
        except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError):
            # Not reached, no answer, loading, or a primary that has just become a replica.
            if attempt == TRIES:
                raise
            time.sleep(random.uniform(0.5, 1) * 0.1 * 2**attempt)


def main():
    if len(sys.argv) not in (3, 4) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", sys.argv[2]):
        usage()
    url, job, attempt = (sys.argv[1:] + ["1"])[:3]
    if not re.fullmatch(r"[1-9][0-9]{0,8}", attempt):
        usage()
    attempt = int(attempt)
    client = redis.Redis.from_url(url, decode_responses=True, socket_timeout=5, socket_connect_timeout=5)

    number = 0

    def step(event_type, **data):
        nonlocal number
        number += 1
        event = {
            "id": f"{job}.{attempt}.{number}",
            "source": SOURCE,
            "type": event_type,
            "subject": f"job/{job}",
            "data": {"job_id": job, "attempt": attempt, **data},
        }
        print(add(client, f"jobs:{job}", event), event_type, flush=True)

    total = 500
    step("job.started", name="Python example", kind="example", total=total)
    for processed in range(100, total + 1, 100):
        time.sleep(0.02)  # the work
        step("job.progress", processed=processed, total=total, percent=100 * processed / total)
    step("job.completed", processed=total, matched=total - 3, unmatched=3)


def usage():
    print("usage: inbox.py REDIS_URL JOB_ID [ATTEMPT]; an id has letters, digits, '_', '.' and '-'", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except (redis.RedisError, ValueError) as error:  # ValueError: a URL that is none
        print("inbox.py: %s" % error, file=sys.stderr)
        sys.exit(1)
