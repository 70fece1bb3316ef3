#!/bin/sh
# Prints the first Python that has the redis client: the one on PATH, or else the system's, which is
# where Debian's python3-redis goes. Exits with status 1 if there is none.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import redis' >/dev/null 2>&1; then
        command -v "$python"
        exit 0
    fi
done
exit 1
