#!/usr/bin/env python3
"""Publishes a small job to Redis: usage: worker.py REDIS_URL JOB_ID [ATTEMPT]

Needs the ordinary client, nothing else: apt install python3-redis, or pip install redis.
"""

import json
import random
import re
import sys
import time

import redis

SOURCE = "python-worker"
TRIES = 5


def publish(client, channel, event):
    """Appends an event and returns its cursor, and whether it was there already.

    The id makes it safe to repeat: after a lost connection nobody knows whether the event was
    appended, and a second call with the same id is answered with the cursor of the first.
    """
    for attempt in range(1, TRIES + 1):
        try:
            cursor, duplicate = client.execute_command(
                "FCALL", "tw_publish", 1, "tw:{%s}" % channel,
                json.dumps(event, ensure_ascii=False), "id=%s/%s" % (event["source"], event["id"]),
            )
            return cursor, bool(duplicate)
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
        cursor, duplicate = publish(client, f"jobs:{job}", event)
        print(cursor, event_type + (" (duplicate)" if duplicate else ""), flush=True)

    total = 500
    step("job.started", name="Python example", kind="example", total=total)
    for processed in range(100, total + 1, 100):
        time.sleep(0.02)  # the work
        step("job.progress", processed=processed, total=total, percent=100 * processed / total)
    step("job.completed", processed=total, matched=total - 3, unmatched=3)


def usage():
    print("usage: worker.py REDIS_URL JOB_ID [ATTEMPT]; an id has letters, digits, '_', '.' and '-'", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except (redis.RedisError, ValueError) as error:  # ValueError: a URL that is none
        print("worker.py: %s" % error, file=sys.stderr)
        sys.exit(1)
